// The JSON that is written by hand (frames are spliced, not built as trees) and the one check for JSON from outside.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace foz {

// Appends text as a JSON string with its quotes. `text` must be valid UTF-8. U+2028 and U+2029 are escaped too, as
// Primus does (some clients evaluate what they receive).
void append_json_string(std::string& out, std::string_view text);

std::string json_string(std::string_view text);

// True when the octets are exactly one JSON value (RFC 8259) in valid UTF-8, white space around it allowed.
// Nesting deeper than 1,024 is refused. Thread-safe: each thread has a parser of its own.
bool is_json(std::string_view octets);

}  // namespace foz
