#include "aggregator/feed/readers.hpp"

#include "aggregator/feed/stream_delivery.hpp"
#include "contract/names.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/awaitable.hpp>

namespace foz::aggregator {
namespace {

constexpr unsigned acknowledge_every_max = 250;
constexpr std::chrono::milliseconds acknowledge_within{500};

// g++ 12 can't build initializer lists within a coroutine's co_await expressions, so methods are made here.
amqp::basic_qos qos(std::uint16_t prefetch) {
    amqp::basic_qos method;
    method.prefetch_count = prefetch;
    return method;
}

amqp::queue_declare volatile_queue(const std::string& name, std::int32_t max_length, const std::string& dropped) {
    amqp::queue_declare method;
    method.queue = name;
    method.exclusive = true;
    method.arguments = {{"x-max-length", max_length},
                        {"x-overflow", "drop-head"},
                        {"x-dead-letter-exchange", ""},
                        {"x-dead-letter-routing-key", dropped}};
    return method;
}

// What was dropped: the last one is enough.
amqp::queue_declare evidence_queue(const std::string& name) {
    amqp::queue_declare method;
    method.queue = name;
    method.exclusive = true;
    method.arguments = {{"x-max-length", 1}, {"x-overflow", "drop-head"}};
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

bool is_durable(const contract::channel_settings& channel) {
    return channel.delivery == contract::delivery_kind::durable;
}

}  // namespace

reader::reader(amqp::client& owner, const settings& all, std::size_t channel, feed_sink& sink)
    : settings_(all), channel_(channel), sink_(sink), client_(owner) {}

reader::~reader() {
    if (link_) link_->close();
}

boost::asio::awaitable<amqp::result<void>> reader::prepare(amqp::channel& on, std::uint16_t prefetch) {
    auto declared = co_await settings_.topology->ensure(on);
    if (!declared) co_return declared;
    auto limited = co_await on.call(qos(prefetch));
    if (!limited) co_return std::unexpected(limited.error());
    acknowledge_every_ = std::clamp(prefetch / 4u, 1u, acknowledge_every_max);
    co_return amqp::result<void>{};
}

void reader::done_with(amqp::delivery_id id, std::size_t deliveries) {
    last_ = id;
    unacknowledged_ += deliveries;
    if (unacknowledged_ >= acknowledge_every_) return acknowledge();
    if (!acknowledge_timer_.active()) acknowledge_timer_.start(client_.home().wheel(), acknowledge_within);
}

void reader::acknowledge() {
    acknowledge_timer_.cancel();
    if (std::exchange(unacknowledged_, 0) > 0) link_->ack(last_, true);
}

decode_source reader::source(std::optional<std::uint64_t> offset) const {
    return {.channel = channel_,
            .channel_name = channel().name,
            .durable = is_durable(channel()),
            .not_json = channel().not_json,
            .offset = offset};
}

entry_ref reader::make_skipped(const amqp::delivery& message, const std::optional<envelope::position>& where,
                               bool history) {
    if (!history) {
        ++counters_.too_large;
        sink_.on_dropped(channel_, drop_reason::too_large, message.properties.message_id.value_or(""));
    }
    return std::make_shared<const entry>(decode_skipped(message, source(std::nullopt), where));
}

entry_ref reader::make_entry(const amqp::delivery& message, std::optional<std::uint64_t> offset, bool history) {
    auto made = decode(message, source(offset));
    if (made.dropped && !history) sink_.on_dropped(channel_, *made.dropped, message.properties.message_id.value_or(""));
    if (made.dropped && !offset && !made.message.answer) return nullptr;
    // Who asks now gets its time from now on, whatever its clock says.
    if (auto& question = made.message.question; question && !history)
        question->expires = std::max(question->expires, client_.home().time().wall_now() + question->life);
    return std::make_shared<const entry>(std::move(made.message));
}

void reader::on_lost(amqp::channel&, const amqp::error& why) {
    unacknowledged_ = 0;
    acknowledge_timer_.cancel();
    if (!std::exchange(reopening_, false)) sink_.on_detached(channel_, why);
}

void reader::reopen(const std::string& why) {
    reopening_ = true;
    link_->reopen({amqp::errc::timed_out, 0, why});
    reopening_ = false;
}

volatile_reader::volatile_reader(amqp::client& owner, const settings& all, std::size_t channel, feed_sink& sink)
    : reader(owner, all, channel, sink), recent_(all.deduplication_window) {
    link_ = owner.open_channel(*this);
}

boost::asio::awaitable<amqp::result<void>> volatile_reader::set_up(amqp::channel& self) {
    queue_ = channel().out_queue() + "." + client_.home().random().token();
    dropped_queue_ = queue_ + ".dropped";
    // The prefetch holds for the consumers that follow; one at a time is enough here.
    auto prepared = co_await prepare(self, 1);
    if (!prepared) co_return prepared;
    auto evidence = co_await self.call(evidence_queue(dropped_queue_));
    if (!evidence) co_return std::unexpected(evidence.error());
    auto watching = co_await self.call(consume(dropped_queue_));
    if (!watching) co_return std::unexpected(watching.error());
    prepared = co_await prepare(self, settings_.stream_prefetch);
    if (!prepared) co_return prepared;
    auto declared = co_await self.call(volatile_queue(queue_, channel().volatile_max_length, dropped_queue_));
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

bool volatile_reader::is_evidence(const amqp::delivery& message) const {
    return message.exchange.empty() && message.routing_key == dropped_queue_;
}

// Acknowledged with what comes next, or soon: so often at most it is told.
void volatile_reader::take_evidence(const amqp::delivery& message) {
    done_with(message.id, 1);
    ++counters_.overflowed;
    sink_.on_gap(channel_, envelope::gap_cause::lost, std::nullopt);
}

void volatile_reader::on_too_large(amqp::channel&, const amqp::delivery& message, const amqp::skipped_body&) {
    if (is_evidence(message)) return take_evidence(message);
    ++counters_.read;
    done_with(message.id, 1);
    const entry_ref made = make_skipped(message, std::nullopt, false);
    sink_.on_entry(channel_, made, false, {.channel = channel_, .number = ++handed_on_});
    if (made->too_large) sink_.on_gap(channel_, envelope::gap_cause::too_large, std::nullopt);
}

void volatile_reader::on_delivery(amqp::channel&, const amqp::delivery& message) {
    if (is_evidence(message)) return take_evidence(message);
    ++counters_.read;
    done_with(message.id, 1);
    const auto& id = message.properties.message_id;
    if (id && !message.exchange.empty() && !recent_.insert(*id)) {
        ++counters_.duplicates;
        return;
    }
    if (const entry_ref made = make_entry(message, std::nullopt, false))
        sink_.on_entry(channel_, made, false, {.channel = channel_, .number = ++handed_on_});
}

}  // namespace foz::aggregator
