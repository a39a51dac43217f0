// What an aggregator asks, as values. Internal to the SDK.
#pragma once

#include "service/connect.hpp"

#include <optional>
#include <string_view>

namespace foz::service {

// Nothing when it isn't a JSON object. What is missing in it, or is something else than text, is empty.
std::optional<connect_question> parse_connect_question(std::string_view json);

}  // namespace foz::service
