#include "ops/admin/exposition.hpp"

#include <charconv>

namespace foz::ops {
namespace {

void append_escaped(std::string& out, std::string_view text, bool quotes) {
    for (const char c : text) {
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        if (c == '\\' || (quotes && c == '"')) out += '\\';
        out += c;
    }
}

}  // namespace

void exposition::family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_.append("# HELP ").append(name).append(" ");
    append_escaped(text_, help, false);
    text_.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
}

void exposition::sample(const labels& of, double number) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    line(of, {digits, end});
}

void exposition::line(const labels& of, std::string_view number) {
    text_ += name_;
    for (std::size_t i = 0; i < of.size(); ++i) {
        text_.append(i == 0 ? "{" : ",").append(of[i].first).append("=\"");
        append_escaped(text_, of[i].second, true);
        text_ += '"';
    }
    text_.append(of.empty() ? " " : "} ").append(number).append("\n");
}

}  // namespace foz::ops
