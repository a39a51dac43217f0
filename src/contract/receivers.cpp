#include "contract/receivers.hpp"

#include "base/json.hpp"
#include "contract/names.hpp"

#include <simdjson.h>

namespace foz::contract {
namespace {

using names = std::vector<std::string>;

std::optional<names> from_json(std::string_view text) {
    thread_local simdjson::dom::parser parser;
    simdjson::dom::array array;
    if (parser.parse(text.data(), text.size(), true).get(array) != simdjson::SUCCESS) return std::nullopt;
    names all;
    for (const auto item : array) {
        std::string_view name;
        if (item.get(name) != simdjson::SUCCESS || all.size() == receivers_limit) return std::nullopt;
        all.emplace_back(name);
    }
    return all;
}

}  // namespace

std::string encode_receivers(std::span<const std::string> receivers) {
    std::string text = "[";
    for (const std::string& name : receivers) {
        if (text.size() > 1) text += ',';
        append_json_string(text, name);
    }
    return text + ']';
}

std::optional<std::vector<std::string>> parse_receivers(const amqp::field_value* header) {
    if (!header) return names{};
    if (const auto text = amqp::as_string(header)) {
        if (text->starts_with('[')) return from_json(*text);
        return names{std::string(*text)};
    }
    const auto* const array = amqp::as_array(header);
    if (!array || array->size() > receivers_limit) return std::nullopt;
    names all;
    for (const auto& item : *array) {
        const auto name = amqp::as_string(item);
        if (!name) return std::nullopt;
        all.emplace_back(*name);
    }
    return all;
}

}  // namespace foz::contract
