#include "ops/config/key_flaws.hpp"

#include "envelope/topic.hpp"
#include "net/network_list.hpp"
#include "ws/conn/origin.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

namespace foz::ops::table {

std::string no_file(const value& v) {
    const auto& path = std::get<std::string>(v);
    std::error_code error;
    if (path.empty() || (std::filesystem::is_regular_file(path, error) && std::ifstream(path))) return {};
    return "a file that can be read is expected, not " + path;
}

std::string no_folder(const value& v) {
    const auto& path = std::get<std::string>(v);
    std::error_code error;
    if (path.empty() || std::filesystem::is_directory(path, error)) return {};
    return "a folder is expected, not " + path;
}

namespace {

// RFC 9110 §5.6.2: a token.
std::string flaw_of_header(const std::string& name) {
    constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    const bool good = std::ranges::all_of(name, [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               marks.find(c) != std::string_view::npos;
    });
    return good ? "" : "the name of a header is expected, not " + name;
}

}  // namespace

std::string no_header(const value& v) {
    return flaw_of_header(std::get<std::string>(v));
}

std::string no_headers(const value& v) {
    for (const std::string& name : std::get<std::vector<std::string>>(v)) {
        if (name.empty()) return "an empty name is none";
        if (std::string flaw = flaw_of_header(name); !flaw.empty()) return flaw;
    }
    return {};
}

std::string no_patterns(const value& v) {
    for (const std::string& pattern : std::get<std::vector<std::string>>(v))
        if (const auto flaw = envelope::check_pattern(pattern)) return "\"" + pattern + "\": " + std::string(*flaw);
    return {};
}

std::string no_urls(const value& v) {
    for (const std::string& text : std::get<std::vector<std::string>>(v))
        if (const auto parsed = amqp::parse_url(text); !parsed) return parsed.error().text;
    return {};
}

std::string no_endpoint(const value& v) {
    const auto parsed = parse_endpoint(std::get<std::string>(v));
    return parsed ? std::string() : parsed.error();
}

std::string no_endpoint_or_off(const value& v) {
    return std::get<std::string>(v).empty() ? std::string() : no_endpoint(v);
}

std::string no_address(const value& v) {
    return no_endpoint(value("[" + std::get<std::string>(v) + "]:0"));
}

// The value isn't repeated: somebody may have put the secret itself there.
std::string no_variable(const value& v) {
    const std::string_view name = std::get<std::string>(v);
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    const bool good =
        name.empty() || (letters.find(name[0]) != std::string_view::npos &&
                         name.find_first_not_of(std::string(letters) + "0123456789") == std::string_view::npos);
    return good ? "" : "the name of an environment variable is expected, not the secret";
}

std::string empty_exchange(const value& v) {
    const auto& all = std::get<std::vector<std::string>>(v);
    return std::find(all.begin(), all.end(), "") == all.end() ? "" : "the default exchange must not be among them";
}

std::string no_networks(const value& v) {
    for (const std::string& entry : std::get<std::vector<std::string>>(v))
        if (std::string flaw = net::network_list::flaw(entry); !flaw.empty()) return flaw;
    return {};
}

std::string no_hosts(const value& v) {
    for (const std::string& name : std::get<std::vector<std::string>>(v))
        if (std::string flaw = ws::host_list::flaw(name); !flaw.empty()) return flaw;
    return {};
}

std::string too_little_memory(const value& v) {
    constexpr std::int64_t least = 64 * 1024 * 1024;
    const auto octets = std::get<std::int64_t>(v);
    return octets == 0 || octets >= least ? std::string() : "0, or at least 67108864 (64 MiB), expected";
}

std::string no_pairs(const value& v) {
    for (const std::string& text : std::get<std::vector<std::string>>(v)) {
        const auto pair = parse_pair(text);
        if (!pair) return "CERTIFICATE:KEY, two files, is expected, not " + text;
        for (const std::string& file : {pair->certificate_file, pair->key_file})
            if (std::string flaw = no_file(value(file)); !flaw.empty()) return flaw;
    }
    return {};
}

std::string no_vhost(const value& v) {
    constexpr std::size_t octets_max = 255;  // a short string, AMQP 0-9-1 §4.2.5.3
    for (const std::string& name : std::get<std::vector<std::string>>(v)) {
        if (name.empty()) return "a virtual host has a name; the usual one is /";
        if (name.size() > octets_max) return "the name of a virtual host has at most 255 octets";
    }
    return {};
}

}  // namespace foz::ops::table
