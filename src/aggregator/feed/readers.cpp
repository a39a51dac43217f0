#include "aggregator/feed/readers.hpp"

#include "contract/names.hpp"
#include "contract/topology.hpp"
#include "envelope/position.hpp"

#include <utility>

#include <boost/asio/awaitable.hpp>

namespace foz::aggregator {
namespace {

constexpr unsigned acknowledge_every = 250;
constexpr std::chrono::milliseconds acknowledge_within{500};
// A stream that was made anew is silent when it is asked for an offset above its end.
constexpr std::chrono::milliseconds silence_after_resume{3000};

// g++ 12 can't build initializer lists within a coroutine's co_await expressions, so methods are made here.
amqp::basic_qos qos(std::uint16_t prefetch) {
    amqp::basic_qos method;
    method.prefetch_count = prefetch;
    return method;
}

amqp::queue_declare volatile_queue(const std::string& name, std::int32_t max_length) {
    amqp::queue_declare method;
    method.queue = name;
    method.exclusive = true;
    method.arguments = {{"x-max-length", max_length}, {"x-overflow", "drop-head"}};
    return method;
}

amqp::queue_bind volatile_binding(const std::string& name, const contract::channel_settings& channel) {
    amqp::queue_bind method;
    method.queue = name;
    method.exchange = contract::outbound_exchange;
    method.routing_key = channel.binding_key();
    return method;
}

amqp::basic_consume consume(const std::string& queue) {
    amqp::basic_consume method;
    method.queue = queue;
    return method;
}

}  // namespace

bool recent_ids::insert(const std::string& id) {
    const auto [at, fresh] = seen_.insert(id);
    if (!fresh) return false;
    order_.push_back(&*at);
    if (order_.size() > capacity_) {
        seen_.erase(*order_.front());
        order_.pop_front();
    }
    return true;
}

reader::reader(amqp::client& owner, const settings& all, std::size_t channel, reader_sink& sink)
    : settings_(all), channel_(channel), sink_(sink), client_(owner), recent_(all.deduplication_window) {}

reader::~reader() {
    if (link_) link_->close();
}

boost::asio::awaitable<amqp::result<void>> reader::prepare(amqp::channel& on, std::uint16_t prefetch) {
    auto declared = co_await contract::declare(on, contract::make_topology(settings_.channels));
    if (!declared) co_return declared;
    auto limited = co_await on.call(qos(prefetch));
    if (!limited) co_return std::unexpected(limited.error());
    co_return amqp::result<void>{};
}

void reader::done_with(amqp::delivery_id id) {
    last_ = id;
    if (++unacknowledged_ >= acknowledge_every) return acknowledge();
    if (!acknowledge_timer_.active()) acknowledge_timer_.start(client_.home().wheel(), acknowledge_within);
}

void reader::acknowledge() {
    acknowledge_timer_.cancel();
    if (std::exchange(unacknowledged_, 0) > 0) link_->ack(last_, true);
}

void reader::deliver(const amqp::delivery& message, std::optional<std::uint64_t> offset) {
    // An answer (through the default exchange, as any RPC) that nobody waited for any more is said again when its
    // request is sent again, under the same id; who has it already ignores it.
    const auto& id = message.properties.message_id;
    if (id && !message.exchange.empty() && !recent_.insert(*id)) return;
    sink_.on_outbound(channel_, message, offset);
}

void reader::on_lost(amqp::channel&, const amqp::error& why) {
    unacknowledged_ = 0;
    acknowledge_timer_.cancel();
    sink_.on_detached(channel_, why);
}

stream_reader::stream_reader(amqp::client& owner, amqp::publisher& markers, const settings& all, std::size_t channel,
                             reader_sink& sink)
    : reader(owner, all, channel, sink), markers_(markers) {
    link_ = owner.open_channel(*this);
}

boost::asio::awaitable<amqp::result<void>> stream_reader::set_up(amqp::channel& self) {
    silence_timer_.cancel();
    auto prepared = co_await prepare(self, settings_.stream_prefetch);
    if (!prepared) co_return prepared;
    resuming_ = last_read_.has_value();
    auto consuming = co_await self.call(consume_from_here());
    if (!consuming) co_return std::unexpected(consuming.error());
    co_return amqp::result<void>{};
}

amqp::basic_consume stream_reader::consume_from_here() const {
    amqp::basic_consume method = consume(channel().out_queue());
    if (last_read_) {
        // Inclusive: the entry that was read last shows whether this is still the same stream.
        method.arguments = {{"x-stream-offset", static_cast<std::int64_t>(last_read_->offset)}};
    } else {
        method.arguments = {{"x-stream-offset", "next"}};
    }
    return method;
}

void stream_reader::on_ready(amqp::channel&) {
    if (!resuming_) return publish_marker();
    silence_timer_.start(client_.home().wheel(), silence_after_resume);
    sink_.on_attached(channel_, channel().out_queue());
}

void stream_reader::publish_marker() {
    marker_ = "marker." + client_.home().random().token();
    amqp::publication marker;
    marker.routing_key = channel().out_queue();  // through the default exchange, to this stream alone
    marker.properties.message_id = marker_;
    marker.properties.type = contract::type_marker;
    marker.properties.delivery_mode = 2;
    marker.properties.timestamp = static_cast<std::uint64_t>(unix_ms(client_.home().time().wall_now()).count() / 1000);
    marker.body = "null";
    markers_.publish(std::move(marker), settings_.publish_timeout,
                     [link = link_, opening = link_->opening()](amqp::outcome result) {
                         // Without its marker this opening never becomes useful.
                         if (result != amqp::outcome::confirmed && link->opening() == opening)
                             link->reopen({amqp::errc::timed_out, 0, "the marker was not confirmed"});
                     });
}

void stream_reader::on_silence() {
    // Not even the entry that was read last: it is gone, and with it the order of offsets. Start over from "next".
    last_read_.reset();
    sink_.on_gap(channel_, envelope::gap_cause::recreated);
    link_->reopen({amqp::errc::channel_closed, 0, channel().out_queue() + " was made anew"});
}

void stream_reader::on_delivery(amqp::channel&, const amqp::delivery& message) {
    const amqp::table* const headers = message.properties.headers ? &*message.properties.headers : nullptr;
    const auto offset = amqp::as_int64(headers ? headers->find("x-stream-offset") : nullptr);
    done_with(message.id);
    if (!offset) return;  // not from a stream; the topology forbids it
    const place here{static_cast<std::uint64_t>(*offset),
                     envelope::check_of(message.properties.message_id.value_or(""), message.body)};
    if (std::exchange(resuming_, false)) {
        silence_timer_.cancel();
        const bool same_place = here.offset == last_read_->offset;
        if (same_place && here.check == last_read_->check) return;
        sink_.on_gap(channel_, same_place ? envelope::gap_cause::recreated : envelope::gap_cause::retention);
    }
    last_read_ = here;
    deliver(message, here.offset);
    if (marker_.empty() || message.properties.message_id != marker_) return;
    marker_.clear();
    sink_.on_attached(channel_, channel().out_queue());
}

volatile_reader::volatile_reader(amqp::client& owner, const settings& all, std::size_t channel, reader_sink& sink)
    : reader(owner, all, channel, sink) {
    link_ = owner.open_channel(*this);
}

boost::asio::awaitable<amqp::result<void>> volatile_reader::set_up(amqp::channel& self) {
    queue_ = channel().out_queue() + "." + client_.home().random().token();
    auto prepared = co_await prepare(self, settings_.stream_prefetch);
    if (!prepared) co_return prepared;
    auto declared = co_await self.call(volatile_queue(queue_, channel().volatile_max_length));
    if (!declared) co_return std::unexpected(declared.error());
    auto bound = co_await self.call(volatile_binding(queue_, channel()));
    if (!bound) co_return std::unexpected(bound.error());
    auto consuming = co_await self.call(consume(queue_));
    if (!consuming) co_return std::unexpected(consuming.error());
    co_return amqp::result<void>{};
}

void volatile_reader::on_ready(amqp::channel&) {
    sink_.on_attached(channel_, queue_);
}

void volatile_reader::on_delivery(amqp::channel&, const amqp::delivery& message) {
    done_with(message.id);
    deliver(message, std::nullopt);
}

}  // namespace foz::aggregator
