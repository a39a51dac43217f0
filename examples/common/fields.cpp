#include "common/fields.hpp"

namespace examples {

void refuse(const std::string& why) {
    throw foz::service::error("bad_message", why);
}

fields::fields(std::string_view json) {
    if (parser_.parse(json.data(), json.size()).get(object_) != simdjson::SUCCESS) refuse("an object is expected");
}

std::string fields::required(const char* name, std::size_t bytes_max) {
    std::string_view value;
    if (object_[name].get(value) != simdjson::SUCCESS) refuse(std::string(name) + ": a string is expected");
    if (value.empty() || value.size() > bytes_max)
        refuse(std::string(name) + ": 1 to " + std::to_string(bytes_max) + " bytes are expected");
    return std::string(value);
}

std::string fields::optional(const char* name, std::size_t bytes_max) {
    simdjson::dom::element ignored;
    return object_[name].get(ignored) == simdjson::SUCCESS ? required(name, bytes_max) : std::string();
}

std::int64_t fields::number(const char* name, std::int64_t min, std::int64_t max, std::int64_t absent) {
    simdjson::dom::element value;
    if (object_[name].get(value) != simdjson::SUCCESS) return absent;
    std::int64_t number = 0;
    if (value.get(number) != simdjson::SUCCESS || number < min || number > max)
        refuse(std::string(name) + ": a number from " + std::to_string(min) + " to " + std::to_string(max) +
               " is expected");
    return number;
}

std::string fields::json(const char* name) {
    simdjson::dom::element value;
    if (object_[name].get(value) != simdjson::SUCCESS) refuse(std::string(name) + ": a value is expected");
    return simdjson::to_string(value);
}

}  // namespace examples
