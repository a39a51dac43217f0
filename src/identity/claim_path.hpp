// Where a provider keeps a claim: "/foz/channels" (a JSON pointer, RFC 6901, of members alone) or "foz.channels".
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace foz::identity {

// The names on the way. A text that begins with "/" is a pointer, with ~1 for "/" and ~0 for "~" in names; every other
// one is split at its dots. The error says what is wrong.
std::expected<std::vector<std::string>, std::string> parse_claim_path(std::string_view text);

}  // namespace foz::identity
