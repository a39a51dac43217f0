#include "service/stream_follower.hpp"

#include "base/clock.hpp"
#include "base/random.hpp"
#include "contract/names.hpp"
#include "service/outbox.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace foz::service {
namespace {

constexpr std::uint16_t follow_prefetch = 200;
constexpr unsigned acknowledge_every = 50;
constexpr std::chrono::milliseconds acknowledge_within{500};
constexpr std::chrono::milliseconds marker_confirm_timeout{30'000};

amqp::basic_qos qos() {
    amqp::basic_qos method;
    method.prefetch_count = follow_prefetch;
    return method;
}

contract::stream_cursor_options cursor_options(std::chrono::system_clock::time_point since) {
    const auto seconds = std::max<std::int64_t>(unix_ms(since).count() / 1000, 0);
    return {.begin = {.what = contract::attach_at::kind::time, .value = static_cast<std::uint64_t>(seconds)},
            .marker_prefix = system_random().token()};
}

amqp::basic_consume consume(const std::string& stream, const contract::attach_at& where) {
    amqp::basic_consume method;
    method.queue = stream;
    method.arguments = contract::stream_arguments(where);
    return method;
}

std::optional<std::uint64_t> offset_of(const amqp::delivery& d) {
    const auto offset = amqp::as_int64(d.properties.headers ? d.properties.headers->find("x-stream-offset") : nullptr);
    if (!offset || *offset < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*offset);
}

// Of this process's own: it is compared with nothing from elsewhere.
std::uint32_t check_of(const amqp::delivery& d) {
    const std::hash<std::string_view> hash;
    return static_cast<std::uint32_t>(hash(d.body) ^ (hash(d.properties.message_id.value_or("")) * 31));
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
      hear_(std::move(hear)),
      cursor_(cursor_options(since)),
      link_(around.streams.open_channel(*this)) {}

stream_follower::~stream_follower() {
    link_->close();
}

boost::asio::awaitable<amqp::result<void>> stream_follower::set_up(amqp::channel& self) {
    auto prepared = co_await around_.owner.prepare(self);
    if (!prepared) co_return prepared;
    auto limited = co_await self.call(qos());
    if (!limited) co_return std::unexpected(limited.error());
    cursor_.attaching();
    auto consuming = co_await self.call(consume(channel_.out_queue(), cursor_.where()));
    if (!consuming) co_return std::unexpected(consuming.error());
    co_return amqp::result<void>{};
}

void stream_follower::on_ready(amqp::channel&) {
    cursor_.attached(home_.time().now(), events_);
    act(nullptr);
}

// Nothing tells where a stream's end is: RabbitMQ reports it as empty. What is published now comes after all that was
// there.
void stream_follower::publish_marker(const std::string& id) {
    amqp::publication marker = make_publication();
    marker.routing_key = channel_.out_queue();
    marker.properties.type = contract::type_marker;
    marker.properties.message_id = id;
    marker.body = "null";
    around_.publisher.publish(std::move(marker), marker_confirm_timeout, [this](amqp::outcome result) {
        // After a silence there is another one.
        if (result != amqp::outcome::confirmed && !cursor_.is_caught_up())
            around_.owner.notice(channel_.out_queue() + " takes no message; trying again");
    });
}

void stream_follower::on_lost(amqp::channel&, const amqp::error& why) {
    cursor_.lost();
    tick_timer_.cancel();
    acknowledge_timer_.cancel();
    unacknowledged_ = 0;
    around_.owner.on_stream_lost(why);
}

void stream_follower::on_delivery(amqp::channel&, const amqp::delivery& d) {
    const auto offset = offset_of(d);
    if (!offset) return hand_in(d.id, std::nullopt);  // not from a stream; the topology forbids it
    const auto& id = d.properties.message_id;
    const bool to_clients = is_said_to_clients(d.properties);
    cursor_.delivered({.at = {.offset = *offset, .check = check_of(d)},
                       .message_id = id ? std::string_view(*id) : std::string_view(),
                       .repeatable = to_clients,
                       .marker = d.properties.type == contract::type_marker},
                      home_.time().now(), events_);
    act(&d);
}

void stream_follower::on_too_large(amqp::channel&, const amqp::delivery& d, const amqp::skipped_body& body) {
    const auto offset = offset_of(d);
    if (!offset) return hand_in(d.id, std::nullopt);
    around_.owner.notice(channel_.out_queue() + ": an entry of " + std::to_string(body.size) +
                         " octets is too large and was skipped, message id " + d.properties.message_id.value_or("-"));
    cursor_.delivered({.at = {.offset = *offset, .check = body.check}, .too_large = true}, home_.time().now(), events_);
    act(&d);
}

void stream_follower::act(const amqp::delivery* d) {
    using kind = contract::cursor_event::kind;
    bool again = false;
    for (const auto& event : events_) {
        switch (event.what) {
            case kind::entry:
                hand_in(d->id, for_follower(*d));
                break;
            case kind::duplicate:
            case kind::skipped:
            case kind::repeated:
                hand_in(d->id, std::nullopt);
                break;
            case kind::gap:
                around_.owner.notice(channel_.out_queue() + (event.why == contract::cursor_event::cause::recreated
                                                                 ? " was made anew and is read from its beginning"
                                                                 : " lost entries before they were read"));
                break;
            case kind::publish_marker:
                publish_marker(event.marker);
                break;
            case kind::ask_again:
                again = true;
                break;
            case kind::caught_up:
                // When everything before has been heard.
                around_.hearing.hand_in([this] { home_.post([this] { around_.owner.on_caught_up(); }); });
                break;
            case kind::restarted:
            case kind::proven:
                break;
        }
    }
    events_.clear();
    if (again) link_->reopen({amqp::errc::timed_out, 0, "asking " + channel_.out_queue() + " again"});
    set_timer();
}

// Every entry takes its turn, so that an acknowledgement covers nothing that is still to be heard.
void stream_follower::hand_in(amqp::delivery_id id, std::optional<entry> e) {
    ++unheard_;
    around_.hearing.hand_in([this, id, e = std::move(e)] {
        if (e) hear(*e);
        home_.post([this, id] { heard(id); });
    });
}

std::optional<stream_follower::entry> stream_follower::for_follower(const amqp::delivery& d) const {
    const auto& properties = d.properties;
    std::string type = properties.type.value_or("");
    if (type.starts_with(contract::reserved_type_prefix) || !is_said_to_clients(properties)) return std::nullopt;
    const std::string prefix = channel_.name + ".";
    std::string topic(d.routing_key.starts_with(prefix) ? d.routing_key.substr(prefix.size()) : "");
    return entry{std::move(topic), std::move(type), properties.message_id.value_or(""), std::string(d.body)};
}

void stream_follower::on_tick() {
    // A broker whose entries wait to be heard has nothing to say.
    if (unheard_ > 0) cursor_.listen(home_.time().now());
    cursor_.tick(home_.time().now(), events_);
    act(nullptr);
}

void stream_follower::set_timer() {
    const auto deadline = cursor_.deadline();
    if (!deadline) return tick_timer_.cancel();
    if (tick_timer_.active()) return;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - home_.time().now());
    tick_timer_.start(home_.wheel(), std::max(left, std::chrono::milliseconds(1)));
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
    --unheard_;
    last_heard_ = id;
    if (++unacknowledged_ >= acknowledge_every) return acknowledge();
    if (!acknowledge_timer_.active()) acknowledge_timer_.start(home_.wheel(), acknowledge_within);
}

void stream_follower::acknowledge() {
    acknowledge_timer_.cancel();
    if (std::exchange(unacknowledged_, 0) > 0) link_->ack(last_heard_, true);
}

}  // namespace foz::service
