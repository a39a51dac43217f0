#include "contract/stream_publishers.hpp"

#include <utility>

namespace foz::contract {

void stream_publishers::publish(amqp::publication p, steady_time deadline, amqp::on_outcome done) {
    const channel_settings* const stream = stream_of(channels_, p.exchange, p.routing_key);
    amqp::publisher& through = stream ? to(*stream) : others_;
    through.publish(std::move(p), {.has_queue = stream != nullptr, .deadline = deadline}, std::move(done));
}

amqp::publisher& stream_publishers::of(const amqp::publication& p) {
    const channel_settings* const stream = stream_of(channels_, p.exchange, p.routing_key);
    return stream ? to(*stream) : others_;
}

amqp::publisher& stream_publishers::to(const channel_settings& channel) {
    return streams_.try_emplace(channel.name, client_).first->second;
}

}  // namespace foz::contract
