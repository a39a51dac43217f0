#include "aggregator/feeds.hpp"

#include "aggregator/feed/decode.hpp"
#include "amqp/codec/property_view.hpp"
#include "base/json.hpp"
#include "contract/names.hpp"
#include "envelope/position.hpp"

#include <utility>

namespace foz::sim {
namespace {

using contract::cursor_event;

constexpr unsigned acknowledge_every = 16;
constexpr std::chrono::milliseconds look_every{1'000};
constexpr std::chrono::milliseconds again_after{500};

contract::stream_cursor_options cursor_options(const feed_tools& with) {
    return {.begin = {.what = contract::attach_at::kind::next},
            .marker_prefix = "marker." + with.around.random.product.token(),
            .ids_max = with.around.with.ids_max,
            .history_entries = with.around.with.history_entries,
            .recreated_back = with.around.with.ids_max};
}

}  // namespace

aggregator::entry_ref make_entry(const feed_tools& with, const delivered& one, std::optional<std::uint64_t> offset) {
    const amqp::basic_properties properties = amqp::decode_properties(one.what->properties());
    const amqp::delivery as_sent{.id = {},
                                 .redelivered = one.redelivered,
                                 .consumer_tag = {},
                                 .exchange = one.what->exchange(),
                                 .routing_key = one.what->routing_key(),
                                 .properties = properties,
                                 .body = one.what->body()};
    const auto& channel = with.settings();
    auto made = aggregator::decode(as_sent, {.channel = with.channel,
                                             .channel_name = channel.name,
                                             .durable = channel.delivery == contract::delivery_kind::durable,
                                             .not_json = channel.not_json,
                                             .offset = offset});
    if (made.dropped && !offset && !made.message.answer) return nullptr;
    return std::make_shared<const aggregator::entry>(std::move(made.message));
}

contract::delivery_view view_of(const feed_tools& with, const delivered& one,
                                const amqp::basic_properties& properties) {
    const std::string_view id = properties.message_id ? std::string_view(*properties.message_id) : std::string_view();
    return {.at = {.offset = *one.offset, .check = envelope::check_of(id, one.what->body())},
            .message_id = id,
            .repeatable = !one.what->exchange().empty(),
            .marker = properties.type == contract::type_marker,
            .too_large = one.what->body().size() > with.around.with.stream_message_bytes_max,
            .octets = one.what->body().size()};
}

amqp::publication make_marker(const feed_tools& with, const std::string& id) {
    amqp::publication marker;
    marker.routing_key = with.settings().out_queue();
    marker.properties.message_id = id;
    marker.properties.type = contract::type_marker;
    marker.properties.delivery_mode = 2;
    marker.properties.timestamp = static_cast<std::uint64_t>(unix_ms(with.around.time.wall_now()).count() / 1000);
    marker.body = "null";
    return marker;
}

// --- A stream.

stream_feed::stream_feed(feed_tools tools) : with_(std::move(tools)), cursor_(cursor_options(with_)) {
    with_.client.add(*this);
}

stream_feed::~stream_feed() {
    with_.client.remove(*this);
}

void stream_feed::begin() {
    attach();
}

void stream_feed::attach() {
    const std::string queue = with_.settings().out_queue();
    cursor_.attaching();
    number_ = with_.client.consume(
        *this, {.queue = queue, .prefetch = 64, .arguments = contract::stream_arguments(cursor_.where())});
    unacknowledged_ = 0;
}

void stream_feed::lost() {
    number_ = 0;
    cursor_.lost();
    with_.listener.on_detached(with_.channel);
}

void stream_feed::on_open(std::uint32_t channel) {
    if (channel != number_) return;
    cursor_.attached(with_.around.time.now(), events_);
    act(nullptr);
}

void stream_feed::on_closed(std::uint32_t channel) {
    if (channel != number_) return;
    lost();
    with_.owner.after(again_after, [this] {
        if (number_ != 0 || !with_.client.live()) return;
        with_.client.live()->declare();
        attach();
    });
}

void stream_feed::on_delivery(std::uint32_t channel, const delivered& one) {
    if (channel != number_) return;
    const auto properties = amqp::decode_properties(one.what->properties());
    cursor_.delivered(view_of(with_, one, properties), with_.around.time.now(), events_);
    last_tag_ = one.tag;
    if (++unacknowledged_ >= acknowledge_every) {
        unacknowledged_ = 0;
        with_.client.live()->ack(number_, last_tag_, true);
    }
    act(&one);
}

void stream_feed::act(const delivered* one) {
    using kind = cursor_event::kind;
    bool again = false;
    const auto& queue = with_.settings().out_queue();
    for (const cursor_event& event : std::exchange(events_, {})) {
        switch (event.what) {
            case kind::entry:
            case kind::duplicate:
            case kind::skipped:
                hand_on(*one, event);
                break;
            case kind::repeated:
                break;
            case kind::gap:
                with_.listener.on_gap(with_.channel,
                                      event.why == cursor_event::cause::recreated ? envelope::gap_cause::recreated
                                                                                  : envelope::gap_cause::retention,
                                      std::nullopt);
                break;
            case kind::restarted:
                with_.listener.on_history_void(with_.channel);
                break;
            case kind::publish_marker:
                with_.markers.submit(make_marker(with_, event.marker),
                                     {.deadline = with_.around.time.now() + with_.around.with.publish_timeout}, {});
                break;
            case kind::ask_again:
                again = true;
                break;
            case kind::proven:
                if (cursor_.is_caught_up()) with_.listener.on_attached(with_.channel, queue);
                break;
            case kind::caught_up:
                with_.listener.on_attached(with_.channel, queue);
                break;
        }
    }
    if (again) {
        with_.client.close_channel(number_);
        cursor_.lost();
        attach();
    }
    arm();
}

void stream_feed::hand_on(const delivered& one, const cursor_event& what) {
    aggregator::entry_ref made;
    if (what.what == cursor_event::kind::entry) {
        made = make_entry(with_, one, one.offset);
    } else {
        made = std::make_shared<const aggregator::entry>(
            aggregator::entry{.channel = with_.channel,
                              .where = envelope::position{.offset = *one.offset, .check = cursor_.last()->check},
                              .too_large = what.why == cursor_event::cause::too_large});
    }
    with_.listener.on_entry(made, what.history);
    const bool too_large = what.why == cursor_event::cause::too_large && !what.history;
    if (too_large) with_.listener.on_gap(with_.channel, envelope::gap_cause::too_large, made->where);
}

void stream_feed::arm() {
    const auto deadline = cursor_.deadline();
    if (!deadline || armed_) return;
    armed_ = true;
    with_.owner.after(std::max<duration>(*deadline - with_.around.time.now(), std::chrono::milliseconds(1)), [this] {
        armed_ = false;
        if (number_ == 0) return;
        cursor_.tick(with_.around.time.now(), events_);
        act(nullptr);
        with_.turn();
    });
}

// --- A volatile channel's queue.

volatile_feed::volatile_feed(feed_tools tools) : with_(std::move(tools)), recent_(with_.around.with.ids_max) {
    with_.client.add(*this);
}

volatile_feed::~volatile_feed() {
    with_.client.remove(*this);
}

void volatile_feed::begin() {
    queue_ = with_.settings().out_queue() + "." + with_.around.random.product.token();
    const std::string dropped = queue_ + ".dropped";
    evidence_ = with_.client.consume(*this, {.queue = dropped, .prefetch = 1, .arguments = {}, .length_max = 1});
    number_ = with_.client.consume(*this, {.queue = queue_,
                                           .prefetch = 64,
                                           .arguments = {},
                                           .length_max = with_.settings().volatile_max_length,
                                           .bind_key = with_.settings().binding_key(),
                                           .dropped_to = dropped});
}

void volatile_feed::lost() {
    number_ = evidence_ = 0;
    with_.listener.on_detached(with_.channel);
}

void volatile_feed::on_open(std::uint32_t channel) {
    if (channel == number_) with_.listener.on_attached(with_.channel, queue_);
}

void volatile_feed::on_closed(std::uint32_t channel) {
    if (channel != number_) return;
    lost();
    with_.owner.after(again_after, [this] {
        if (number_ == 0 && with_.client.live()) begin();
    });
}

void volatile_feed::on_delivery(std::uint32_t channel, const delivered& one) {
    if (channel == evidence_) {
        with_.client.live()->ack(evidence_, one.tag, false);
        return with_.listener.on_gap(with_.channel, envelope::gap_cause::lost, std::nullopt);
    }
    if (channel != number_) return;
    with_.client.live()->ack(number_, one.tag, false);
    const auto properties = amqp::decode_properties(one.what->properties());
    const auto& id = properties.message_id;
    if (id && !one.what->exchange().empty() && !recent_.insert(*id)) return;
    if (const auto made = make_entry(with_, one, std::nullopt)) with_.listener.on_entry(made, false);
}

// --- Dead letters.

dead_feed::dead_feed(feed_tools tools) : with_(std::move(tools)) {
    with_.client.add(*this);
}

dead_feed::~dead_feed() {
    with_.client.remove(*this);
}

void dead_feed::begin() {
    number_ = with_.client.consume(
        *this, {.queue = std::string(contract::dead_notice_queue), .prefetch = 50, .arguments = {}});
}

void dead_feed::on_closed(std::uint32_t channel) {
    if (channel != number_) return;
    number_ = 0;
    with_.owner.after(again_after, [this] {
        if (number_ == 0 && with_.client.live()) begin();
    });
}

void dead_feed::on_delivery(std::uint32_t channel, const delivered& one) {
    if (channel != number_) return;
    const auto dead = amqp::decode_properties(one.what->properties());
    if (!dead.reply_to || !dead.correlation_id) return with_.client.live()->ack(channel, one.tag, false);
    const auto reason = amqp::as_string(dead.headers ? dead.headers->find("x-first-death-reason") : nullptr);
    const std::string code = reason == "expired" ? "timeout" : "dead_lettered";
    amqp::publication p;
    p.routing_key = *dead.reply_to;
    p.properties.content_type = "application/json";
    p.properties.delivery_mode = 2;
    p.properties.type = contract::type_error;
    p.properties.correlation_id = dead.correlation_id;
    p.properties.message_id = dead.message_id.value_or("") + "/" + code;
    p.properties.headers.emplace().set(contract::header_error, code);
    p.body = "{\"code\":" + json_string(code) + "}";
    p.mandatory = true;
    const bool has_queue = contract::stream_of(with_.around.with.channels, p.exchange, p.routing_key) != nullptr;
    const steady_time deadline = with_.around.time.now() + with_.around.with.publish_timeout;
    with_.markers.submit(std::move(p), {.has_queue = has_queue, .deadline = deadline},
                         [this, channel, tag = one.tag](amqp::outcome result) {
                             if (channel != number_ || !with_.client.live()) return;
                             using enum amqp::outcome;
                             const bool settled = result == confirmed || result == unroutable || result == invalid;
                             settled ? with_.client.live()->ack(channel, tag, false)
                                     : with_.client.live()->nack(channel, tag, true);
                         });
}

// --- Whether services are there.

service_watch::service_watch(feed_tools tools)
    : with_(std::move(tools)), there_(with_.around.with.channels.size(), true) {
    with_.client.add(*this);
}

service_watch::~service_watch() {
    with_.client.remove(*this);
}

void service_watch::lost() {
    for (std::size_t i = 0; i < there_.size(); ++i) {
        there_[i] = true;
        with_.listener.on_service(i, true);
    }
}

void service_watch::look() {
    if (!with_.client.live()) return;
    for (const auto& channel : with_.around.with.channels) with_.client.live()->count_consumers(channel.in_queue());
    if (std::exchange(looking_, true)) return;
    with_.owner.after(look_every, [this] {
        looking_ = false;
        look();
    });
}

void service_watch::on_consumers(const std::string& queue, std::size_t count) {
    for (std::size_t i = 0; i < there_.size(); ++i) {
        if (with_.around.with.channels[i].in_queue() != queue || there_[i] == (count > 0)) continue;
        there_[i] = count > 0;
        with_.listener.on_service(i, there_[i]);
    }
}

}  // namespace foz::sim
