// A TOML file as a flat list of what it says. The only place that knows the TOML library.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace foz::ops {

// What a setting can be, wherever it was said.
using value = std::variant<bool, std::int64_t, std::string, std::vector<std::string>>;

struct toml_entry {
    std::vector<std::string> path;  // {"channels", "chat", "order"}
    unsigned line = 0;
    std::string kind;              // for people: "a section", "a string", "a float" …
    std::optional<value> content;  // empty: a section, or of a type that no setting has
};

struct toml_error {
    unsigned line = 0;
    std::string text;
};

// Sections come before what is in them; otherwise in the order of the file.
std::expected<std::vector<toml_entry>, toml_error> parse_toml(std::string_view text);

}  // namespace foz::ops
