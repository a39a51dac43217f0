#include "ops/admin/action.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <simdjson.h>

namespace foz::ops {
namespace {

constexpr std::string_view type_marks = "+#";  // of a boolean, of a number

}  // namespace

std::expected<action_arguments, std::string> action_arguments::parse(std::string_view json) {
    simdjson::dom::parser parser;
    simdjson::dom::object all;
    if (parser.parse(json.data(), json.size()).get(all) != simdjson::SUCCESS)
        return std::unexpected("a JSON object is expected");
    action_arguments made;
    for (const auto [name, content] : all) {
        argument read;
        if (std::string_view text; content.get(text) == simdjson::SUCCESS)
            read = std::string(text);
        else if (bool flag = false; content.get(flag) == simdjson::SUCCESS)
            read = flag;
        else if (std::int64_t number = 0; content.get(number) == simdjson::SUCCESS)
            read = static_cast<long long>(number);
        else
            return std::unexpected(std::string(name) + ": a string, a boolean or a whole number is expected");
        // Two readers could mean different ones (RFC 8259 §4).
        if (!made.members_.emplace(name, std::move(read)).second)
            return std::unexpected(std::string(name) + " is there twice");
    }
    return made;
}

std::string action_arguments::flaw(std::initializer_list<std::string_view> known) const {
    for (const auto& [name, content] : members_) {
        const auto at = std::ranges::find(known, name, [](std::string_view one) {
            return one.substr(std::min(one.find_first_not_of(type_marks), one.size()));
        });
        if (at == known.end()) return "there is no \"" + name + "\"";
        const std::size_t wanted = type_marks.find(at->front()) + 1;  // npos + 1: a text
        constexpr const char* types[] = {"a string", "a boolean", "a whole number"};
        if (content.index() != wanted) return name + ": " + types[wanted] + " is expected";
    }
    return {};
}

}  // namespace foz::ops
