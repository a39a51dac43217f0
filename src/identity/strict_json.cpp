#include "identity/strict_json.hpp"

#include <algorithm>
#include <vector>

namespace foz::identity {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

bool has_duplicates(element one);

bool has_same_names(object one) {
    std::vector<std::string_view> names;
    for (const auto& [name, value] : one) names.push_back(name);
    std::ranges::sort(names);
    return std::ranges::adjacent_find(names) != names.end();
}

// As deep as the parser lets documents be.
bool has_duplicates(element one) {
    if (object inner; one.get(inner) == simdjson::SUCCESS) {
        if (has_same_names(inner)) return true;
        for (const auto& [name, value] : inner)
            if (has_duplicates(value)) return true;
    } else if (simdjson::dom::array list; one.get(list) == simdjson::SUCCESS) {
        for (const element value : list)
            if (has_duplicates(value)) return true;
    }
    return false;
}

}  // namespace

std::expected<object, json_flaw> parse_object(std::string_view octets) {
    constexpr std::size_t usual_octets = 4096;
    thread_local simdjson::dom::parser parser;
    if (parser.capacity() == 0 && parser.allocate(usual_octets, nesting_max) != simdjson::SUCCESS)
        return std::unexpected(json_flaw::not_an_object);
    element document;
    object all;
    if (octets.empty() || parser.parse(octets.data(), octets.size()).get(document) != simdjson::SUCCESS ||
        document.get(all) != simdjson::SUCCESS)
        return std::unexpected(json_flaw::not_an_object);
    if (has_duplicates(document)) return std::unexpected(json_flaw::duplicate_member);
    return all;
}

std::optional<element> member(object from, std::string_view name) {
    element found;
    if (from.at_key(name).get(found) != simdjson::SUCCESS) return std::nullopt;
    return found;
}

std::optional<std::string_view> string_member(object from, std::string_view name) {
    const auto found = member(from, name);
    std::string_view text;
    if (!found || found->get(text) != simdjson::SUCCESS) return std::nullopt;
    return text;
}

bool is_plain_text(std::string_view text, std::size_t octets_max) noexcept {
    if (text.empty() || text.size() > octets_max) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c < 0x20 || c == 0x7f) return false;
        // U+0080 to U+009F in UTF-8.
        if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) return false;
    }
    return true;
}

}  // namespace foz::identity
