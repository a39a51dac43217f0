// RabbitMQ's definitions for those who may not see everything. Pure.
#pragma once

#include <string>
#include <string_view>

namespace foz::ops {

// Definitions as JSON without the password hashes of their users. What can't be read becomes an empty object.
std::string without_password_hashes(std::string_view definitions);

}  // namespace foz::ops
