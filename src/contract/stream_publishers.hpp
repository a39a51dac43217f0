// Who publishes to streams and to other places, in nobody's name.
#pragma once

#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"
#include "contract/channel_settings.hpp"

#include <map>
#include <span>
#include <string>

namespace foz::contract {

// A publisher for each stream, and one for everything else: see stream_of(). Lives on the client's shard; the client is
// stopped before it is destroyed, and the channels outlive it.
class stream_publishers {
public:
    stream_publishers(amqp::client& on, std::span<const channel_settings> channels)
        : client_(on), channels_(channels), others_(on) {}

    // As amqp::publisher::publish. What goes to a stream is sent again for a while when no queue takes it.
    void publish(amqp::publication p, steady_time deadline, amqp::on_outcome done);
    // The publisher of such a message. What goes through one keeps its order; through two, it has none.
    amqp::publisher& of(const amqp::publication& p);
    // Of the channel's stream.
    amqp::publisher& to(const channel_settings& channel);

private:
    amqp::client& client_;
    const std::span<const channel_settings> channels_;
    amqp::publisher others_;
    std::map<std::string, amqp::publisher, std::less<>> streams_;  // by channel
};

}  // namespace foz::contract
