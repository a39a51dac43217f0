// Aggregators → workers, past the queues: advice that is of use at once or not at all.
#pragma once

#include "aggregator/settings.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace foz::aggregator {

struct control_counters {
    std::uint64_t told = 0;
    std::uint64_t given_up = 0;  // the broker took none, or too much waited for it already
};

// Publishes to the exchange CONTROL, on which workers that care have queues of their own. Lives on shard 0.
class control {
public:
    // The connection outlives this and is stopped before it is destroyed.
    control(amqp::client& publish, const settings& all);

    // Nobody waits any more for the answer to this message of the client's.
    void tell_cancelled(std::size_t channel, const std::string& client, std::string message_id);

    const control_counters& counters() const noexcept { return counters_; }

private:
    const settings& settings_;
    control_counters counters_;
    amqp::publisher publisher_;
};

}  // namespace foz::aggregator
