// What GET <pathname>/spec answers, as Primus' server does.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace foz::primus {

// The Primus whose framing this module speaks, and whose client library is served.
inline constexpr std::string_view version = "8.0.9";

struct spec_options {
    std::string_view pathname = "/primus";
    std::chrono::milliseconds ping_interval = std::chrono::seconds(30);
};

// The body; its type is application/json.
std::string spec_json(const spec_options& options);

}  // namespace foz::primus
