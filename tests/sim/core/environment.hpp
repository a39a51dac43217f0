// What everybody in a run shares.
#pragma once

#include "core/history.hpp"
#include "core/parameters.hpp"
#include "core/pipe.hpp"
#include "core/random.hpp"
#include "core/scheduler.hpp"

#include <memory>
#include <string>
#include <vector>

namespace foz::sim {

class broker_process;
class connection;
class ws_link;

struct environment {
    explicit environment(std::uint64_t s) : seed(s), random(s), log(time), with(parameters::draw(random.parameters)) {}

    const std::uint64_t seed;
    scheduler time;
    random_streams random;
    history log;
    parameters with;
    broker_process* broker = nullptr;

    // For faults: what there is to be cut. Those that have gone are left out now and then.
    struct named_connection {
        std::string label;
        std::weak_ptr<connection> what;
    };
    std::vector<named_connection> connections;
    std::vector<std::weak_ptr<ws_link>> links;

    pipe_options pipe_to_broker() const {
        return {with.broker_latency_min, with.broker_latency_max, with.broker_window};
    }
    pipe_options pipe_to_client() const {
        return {with.client_latency_min, with.client_latency_max, with.client_window};
    }
};

}  // namespace foz::sim
