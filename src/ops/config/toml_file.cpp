#include "ops/config/toml_file.hpp"

#include <algorithm>
#include <toml++/toml.h>
#include <utility>

namespace foz::ops {
namespace {

std::string kind_of(const toml::node& node) {
    switch (node.type()) {
        case toml::node_type::table:
            return "a section";
        case toml::node_type::array:
            return node.is_array_of_tables() ? "an array of sections" : "a list";
        case toml::node_type::string:
            return "a string";
        case toml::node_type::integer:
            return "an integer";
        case toml::node_type::floating_point:
            return "a float";
        case toml::node_type::boolean:
            return "a boolean";
        default:
            return "a date or time";
    }
}

// Strings in a list are all that any setting takes.
std::optional<value> content_of(const toml::node& node) {
    if (const auto* flag = node.as_boolean()) return flag->get();
    if (const auto* number = node.as_integer()) return number->get();
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* list = node.as_array()) {
        std::vector<std::string> texts;
        for (const toml::node& element : *list) {
            if (!element.is_string()) return std::nullopt;
            texts.push_back(element.as_string()->get());
        }
        return texts;
    }
    return std::nullopt;
}

void flatten(const toml::table& from, std::vector<std::string>& path, std::vector<toml_entry>& to) {
    for (const auto& [name, node] : from) {
        path.emplace_back(name.str());
        to.push_back({path, node.source().begin.line, kind_of(node), content_of(node)});
        if (const toml::table* inner = node.as_table()) flatten(*inner, path, to);
        path.pop_back();
    }
}

}  // namespace

std::expected<std::vector<toml_entry>, toml_error> parse_toml(std::string_view text) {
    try {
        const toml::table all = toml::parse(text);
        std::vector<toml_entry> entries;
        std::vector<std::string> path;
        flatten(all, path, entries);
        std::stable_sort(entries.begin(), entries.end(),
                         [](const toml_entry& a, const toml_entry& b) { return a.line < b.line; });
        return entries;
    } catch (const toml::parse_error& error) {
        std::string what(error.description());
        std::replace(what.begin(), what.end(), '\n', ' ');
        return std::unexpected(toml_error{error.source().begin.line, std::move(what)});
    }
}

}  // namespace foz::ops
