// The fields of a JSON message, read with errors that name them.
#pragma once

#include "service/request.hpp"

#include <cstdint>
#include <string>
#include <string_view>

#include <simdjson.h>

namespace examples {

// Answers the caller with the error "bad_message".
[[noreturn]] void refuse(const std::string& why);

class fields {
public:
    // Refuses what is no object.
    explicit fields(std::string_view json);

    // Text of 1 to bytes_max bytes; refused otherwise.
    std::string required(const char* name, std::size_t bytes_max);
    // The same, or empty when it is not there.
    std::string optional(const char* name, std::size_t bytes_max);
    // A whole number; `absent` when it is not there.
    std::int64_t number(const char* name, std::int64_t min, std::int64_t max, std::int64_t absent);
    // Any value, as JSON.
    std::string json(const char* name);

private:
    simdjson::dom::parser parser_;
    simdjson::dom::object object_;
};

}  // namespace examples
