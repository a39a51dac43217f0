// Exchanges, queues and bindings of a running model.
#pragma once

#include "broker/core/node.hpp"
#include "broker/definitions/definition_set.hpp"

#include <expected>
#include <string>

namespace foz::broker {

// Declares what is not there. The error is one line: "queues[3].arguments.x-max-length: …"; what came before it has
// been declared. The virtual hosts are there (check()).
std::expected<void, std::string> declare(node& model, const definition_set& what);

// Adds what there is, apart from what every virtual host has by itself and what goes with a connection.
void collect_topology(const node& model, definition_set& to);

}  // namespace foz::broker
