#include "service/stream_follower.hpp"

#include "base/clock.hpp"
#include "base/random.hpp"
#include "contract/names.hpp"
#include "service/outbox.hpp"

#include <algorithm>
#include <utility>

namespace foz::service {
namespace {

constexpr std::uint16_t prefetch = 200;
constexpr unsigned acknowledge_every = 50;
constexpr std::chrono::milliseconds acknowledge_within{500};
constexpr std::size_t recent_ids_limit = 10'000;
// A stream that was made anew is silent when it is asked for an offset above its end.
constexpr std::chrono::milliseconds silence_after_resume{10'000};
constexpr std::chrono::milliseconds marker_confirm_timeout{30'000};

amqp::basic_qos qos() {
    amqp::basic_qos method;
    method.prefetch_count = prefetch;
    return method;
}

// Answers have none of these: they are for their caller alone.
bool is_said_to_clients(const amqp::basic_properties& properties) {
    if (!properties.headers) return false;
    for (const auto header : {contract::header_broadcast, contract::header_multicast, contract::header_direct})
        if (properties.headers->find(header)) return true;
    return false;
}

}  // namespace

stream_follower::stream_follower(parts around, const contract::channel_settings& channel,
                                 std::chrono::system_clock::time_point since, follower hear)
    : around_(around),
      home_(around.streams.home()),
      channel_(channel),
      since_(since),
      hear_(std::move(hear)),
      marker_id_(system_random().token()),
      link_(around.streams.open_channel(*this)) {}

stream_follower::~stream_follower() {
    link_->close();
}

boost::asio::awaitable<amqp::result<void>> stream_follower::set_up(amqp::channel& self) {
    auto prepared = co_await around_.owner.prepare(self);
    if (!prepared) co_return prepared;
    auto limited = co_await self.call(qos());
    if (!limited) co_return std::unexpected(limited.error());
    resuming_ = last_read_.has_value();
    auto consuming = co_await self.call(consume_from_here());
    if (!consuming) co_return std::unexpected(consuming.error());
    co_return amqp::result<void>{};
}

amqp::basic_consume stream_follower::consume_from_here() const {
    amqp::basic_consume method;
    method.queue = channel_.out_queue();
    if (last_read_) {
        // Inclusive: the entry that was read last shows whether this is still the same stream.
        method.arguments = {{"x-stream-offset", static_cast<std::int64_t>(last_read_->offset)}};
    } else {
        const auto seconds = std::max<std::int64_t>(unix_ms(since_).count() / 1000, 0);
        method.arguments = {{"x-stream-offset", amqp::timestamp{static_cast<std::uint64_t>(seconds)}}};
    }
    return method;
}

void stream_follower::on_ready(amqp::channel&) {
    if (resuming_) silence_timer_.start(home_.wheel(), silence_after_resume);
    if (!caught_up_) publish_marker();
}

// Nothing tells where a stream's end is: RabbitMQ reports it as empty. What is published now comes after all that was
// there.
void stream_follower::publish_marker() {
    amqp::publication marker = make_publication();
    marker.routing_key = channel_.out_queue();
    marker.properties.type = contract::type_marker;
    marker.properties.message_id = marker_id_;
    marker.body = "null";
    around_.publisher.publish(std::move(marker), marker_confirm_timeout, [this](amqp::outcome result) {
        if (result == amqp::outcome::confirmed || caught_up_) return;
        around_.owner.notice(channel_.out_queue() + " takes no message; trying again");
        if (link_->ready()) publish_marker();
    });
}

void stream_follower::on_lost(amqp::channel&, const amqp::error& why) {
    silence_timer_.cancel();
    acknowledge_timer_.cancel();
    unacknowledged_ = 0;
    around_.owner.on_stream_lost(why);
}

void stream_follower::on_silence() {
    // Not even the entry that was read last: it is gone, and with it the order of offsets.
    last_read_.reset();
    around_.owner.notice(channel_.out_queue() + " was made anew and is read from its beginning");
    link_->reopen({amqp::errc::channel_closed, 0, channel_.out_queue() + " was made anew"});
}

void stream_follower::on_delivery(amqp::channel&, const amqp::delivery& d) {
    const auto offset = amqp::as_int64(d.properties.headers ? d.properties.headers->find("x-stream-offset") : nullptr);
    place here{static_cast<std::uint64_t>(offset.value_or(0)), d.properties.message_id.value_or("")};
    const bool repeated = resuming_ && here == last_read_;
    if (std::exchange(resuming_, false)) {
        silence_timer_.cancel();
        if (!repeated) around_.owner.notice(channel_.out_queue() + " lost entries before they were read");
    }
    const bool marker = here.message_id == marker_id_;
    last_read_ = std::move(here);
    // Every entry takes its turn, so that an acknowledgement covers nothing that is still to be heard.
    around_.hearing.hand_in([this, id = d.id, marker, e = repeated ? std::nullopt : for_follower(d)] {
        if (e) hear(*e);
        home_.post([this, id, marker] {
            heard(id);
            if (marker && !std::exchange(caught_up_, true)) around_.owner.on_caught_up();
        });
    });
}

std::optional<stream_follower::entry> stream_follower::for_follower(const amqp::delivery& d) {
    const auto& properties = d.properties;
    std::string type = properties.type.value_or("");
    if (type.starts_with(contract::reserved_type_prefix) || !is_said_to_clients(properties)) return std::nullopt;
    std::string id = properties.message_id.value_or("");
    if (!id.empty() && !is_new(id)) return std::nullopt;
    const std::string prefix = channel_.name + ".";
    std::string topic(d.routing_key.starts_with(prefix) ? d.routing_key.substr(prefix.size()) : "");
    return entry{std::move(topic), std::move(type), std::move(id), std::string(d.body)};
}

bool stream_follower::is_new(const std::string& message_id) {
    const auto [at, fresh] = recent_.insert(message_id);
    if (!fresh) return false;
    recent_order_.push_back(&*at);
    if (recent_order_.size() > recent_ids_limit) {
        recent_.erase(*recent_order_.front());
        recent_order_.pop_front();
    }
    return true;
}

void stream_follower::hear(const entry& e) const {
    try {
        hear_({.topic = e.topic, .type = e.type, .message_id = e.message_id, .message = e.body});
    } catch (const std::exception& failure) {
        // An entry of a stream can't be given back: the next one is heard.
        around_.owner.notice("follower of " + channel_.name + " failed on " + e.message_id + ": " + failure.what());
    }
}

void stream_follower::heard(amqp::delivery_id id) {
    last_heard_ = id;
    if (++unacknowledged_ >= acknowledge_every) return acknowledge();
    if (!acknowledge_timer_.active()) acknowledge_timer_.start(home_.wheel(), acknowledge_within);
}

void stream_follower::acknowledge() {
    acknowledge_timer_.cancel();
    if (std::exchange(unacknowledged_, 0) > 0) link_->ack(last_heard_, true);
}

}  // namespace foz::service
