#include "base/json.hpp"

#include <simdjson.h>

namespace foz {

void append_json_string(std::string& out, std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    out += '"';
    std::size_t done = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        const bool separator = c == 0xe2 && text.substr(i, 2) == "\xe2\x80" && i + 2 < text.size() &&
                               (text[i + 2] == '\xa8' || text[i + 2] == '\xa9');
        if (c >= 0x20 && c != '"' && c != '\\' && !separator) continue;
        out.append(text, done, i - done);
        done = i + 1;
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            case 0xe2:
                out += text[i + 2] == '\xa8' ? "\\u2028" : "\\u2029";
                i += 2;
                done = i + 1;
                break;
            default:
                out += "\\u00";
                out += digits[c >> 4];
                out += digits[c & 15];
        }
    }
    out.append(text, done, text.size() - done);
    out += '"';
}

std::string json_string(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 2);
    append_json_string(out, text);
    return out;
}

bool is_json(std::string_view octets) {
    if (octets.empty()) return false;  // and perhaps nowhere: simdjson would copy from there
    thread_local simdjson::dom::parser parser;
    simdjson::dom::element document;
    return parser.parse(octets.data(), octets.size(), true).get(document) == simdjson::SUCCESS;
}

}  // namespace foz
