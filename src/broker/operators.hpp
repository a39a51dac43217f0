// What operators have defined, now and at earlier starts: what it means for this start.
#pragma once

#include "base/random.hpp"
#include "broker/core/node.hpp"
#include "broker/definitions/definition_set.hpp"
#include "broker/embedded.hpp"

#include <string>
#include <vector>

namespace foz::broker {

// Throws std::runtime_error with one line that names the file, when it is the file's, and the JSON path.
class operators_definitions {
public:
    // Reads the file and what the storage keeps, and keeps what they are together.
    operators_definitions(const embedded_options& options, storage& disk, random_source& random);

    // All of it but topology.
    definition_set whole() const;
    std::vector<policy> policies() const { return all_.policies.value_or(std::vector<policy>()); }
    // Guest when nobody is defined.
    std::vector<user_settings> users(const embedded_options& options) const;
    // Topology, in a model that has started.
    void declare_in(node& model) const;

private:
    const std::string label_;
    definition_set file_;
    const definition_set given_;
    definition_set all_;
    std::vector<std::string> builtin_vhost_;
    random_source& random_;
};

}  // namespace foz::broker
