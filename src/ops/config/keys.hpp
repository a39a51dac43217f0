// The table of all keys: from it come the file's keys, the variables' names, the errors and docs/configuration.md.
#pragma once

#include "ops/config/configuration.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::ops {

enum class value_type { boolean, integer, text, list };  // in the order of the variant's alternatives

// Whose setting it is; a channel's keys have a channel, an issuer's an issuer, those of a user of the admin port a
// user.
struct target {
    configuration& all;
    contract::channel_settings* channel = nullptr;
    identity::issuer_settings* issuer = nullptr;
    admin_user* user = nullptr;
};

struct key {
    std::string section;  // "" | "listen" | … | "channels" for those of [channels.NAME], "issuers", "admin_users"
    std::string name;     // empty: can be said only as a variable or a flag
    value_type type = value_type::text;
    std::int64_t min = 0;  // of an integer
    std::int64_t max = 0;
    std::string unit;                // of an integer; "FILE", "URL" … of others
    std::vector<std::string> words;  // of a text: the only ones; of an integer: instead of a number
    std::string help;
    std::string flag;      // "--listen", or none
    std::string variable;  // FOZ_SECTION_NAME; of a named section's key with NAME in it
    std::string alias;     // a second variable, or none
    std::function<value(const target&)> get;
    std::function<void(const target&, const value&)> set;
    // What is wrong with a value of the right type, or empty.
    std::function<std::string(const value&)> flaw;

    bool of_channel() const { return section == "channels"; }
    bool of_issuer() const { return section == "issuers"; }
    bool of_user() const { return section == "admin_users"; }
    // Its section has sections with names of the user's: [channels.NAME].
    bool of_named() const { return of_channel() || of_issuer() || of_user(); }
    std::string path(std::string_view owner = "NAME") const;
};

struct section {
    std::string name;
    std::string help;
};

const std::vector<key>& keys();
const std::vector<section>& sections();

// "1024 to 2048", "durable or volatile": what a key takes.
std::string expectation(const key& what);
// The content if it is of the key's type and range; the error says what is expected.
std::expected<value, std::string> check(const key& what, value content);
// The same from a variable's or a flag's text.
std::expected<value, std::string> parse_text(const key& what, const std::vector<std::string>& texts);
// As TOML: 5, true, "text", ["a", "b"]. Passwords in URLs are masked.
std::string to_toml(const value& content);

}  // namespace foz::ops
