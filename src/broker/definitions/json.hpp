// RabbitMQ's definitions file: what `rabbitmqctl export_definitions` and `foz topology export` write.
#pragma once

#include "base/random.hpp"
#include "broker/definitions/definition_set.hpp"

#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace foz::broker {

struct read_definitions {
    definition_set set;
    std::vector<std::string> warnings;  // what the file has and this broker has not, one line each
};

// Passwords in plain text are hashed at once; `random` gives the salt. The error is one line that begins with the JSON
// path: "queues[3].arguments.x-max-length: …".
std::expected<read_definitions, std::string> parse_definitions(std::string_view json, random_source& random);
// The same of a file, whose name the error and the warnings begin with.
std::expected<read_definitions, std::string> load_definitions(const std::string& file, random_source& random);

// One object on a line, in the order of the names. What JSON can't carry of arguments becomes what RabbitMQ makes of
// it: a byte array a string, a timestamp a number; octets that are no UTF-8 become U+FFFD.
std::string to_json(const definition_set& all);

}  // namespace foz::broker
