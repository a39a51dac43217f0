#include "identity/claim_path.hpp"

#include <algorithm>
#include <cstddef>

namespace foz::identity {
namespace {

constexpr std::size_t names_max = 8;

std::expected<std::string, std::string> unescaped(std::string_view name) {
    std::string out;
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (name[i] != '~') {
            out += name[i];
            continue;
        }
        const char next = i + 1 < name.size() ? name[i + 1] : '\0';
        if (next != '0' && next != '1')
            return std::unexpected("in a JSON pointer a ~ is followed by 0 or 1 (RFC 6901 §3)");
        out += next == '0' ? '~' : '/';
        ++i;
    }
    return out;
}

}  // namespace

std::expected<std::vector<std::string>, std::string> parse_claim_path(std::string_view text) {
    const bool pointer = text.starts_with('/');
    const char mark = pointer ? '/' : '.';
    if (pointer) text.remove_prefix(1);
    std::vector<std::string> names;
    while (true) {
        const std::size_t end = std::min(text.find(mark), text.size());
        const std::string_view name = text.substr(0, end);
        if (name.empty()) return std::unexpected("a path like /foz/channels or foz.channels is expected");
        auto plain = pointer ? unescaped(name) : std::string(name);
        if (!plain) return std::unexpected(plain.error());
        names.push_back(std::move(*plain));
        if (names.size() > names_max)
            return std::unexpected("a path has at most " + std::to_string(names_max) + " names");
        if (end == text.size()) return names;
        text.remove_prefix(end + 1);
    }
}

}  // namespace foz::identity
