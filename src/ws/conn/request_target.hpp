// The target of a request line (RFC 9112 §3.2), taken apart and made canonical. Pure.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace foz::ws {

struct request_target {
    std::string authority;  // of the absolute form, as it came; empty in the other forms
    // Begins with '/', or is "*". Percent-decoded once (RFC 3986 §2.1), without dot segments (§5.2.4), without control
    // characters, and without a slash that was encoded: what is left is a path in which '/' separates, and nothing
    // else does.
    std::string path;
    std::vector<std::pair<std::string, std::string>> query;  // percent-decoded, '+' is a space
};

// The origin form, which begins with '/'; the absolute form with http or https; "*" for OPTIONS. Anything else is an
// error, which is one line for the client (status 400). A stray '%' is an error in the path and stands for itself in
// the query.
std::expected<request_target, std::string> parse_request_target(std::string_view method, std::string_view target);

// uri-host [ ":" port ] (RFC 9110 §7.2): what a Host header or the authority of an absolute target may be.
bool is_authority(std::string_view text) noexcept;

}  // namespace foz::ws
