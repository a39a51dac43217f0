#include "amqp/conn/channel.hpp"

#include "amqp/conn/client.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foz::amqp {

namespace {

constexpr std::chrono::milliseconds retry_min{50};
constexpr std::chrono::milliseconds retry_max{5000};
// A pause is no longer than this, or than a tenth of the time for which the channel has failed: a broker that is only
// starting is met soon.
constexpr std::chrono::milliseconds retry_soon_max{1'000};
// So many openings in a row that did not last: it is sick, and not only unlucky.
constexpr unsigned sick_from = 4;

}  // namespace

void channel_handler::on_cancelled(channel& self, std::string_view consumer_tag) {
    self.reopen_later({errc::channel_closed, 0, "the broker cancelled consumer " + std::string(consumer_tag)});
}

void channel_handler::on_too_large(channel& self, const delivery& what, const skipped_body&) {
    self.discard(what);
}

channel::channel(client& owner, channel_handler& handler, std::uint64_t serial)
    : owner_(&owner), handler_(&handler), serial_(serial) {}

channel::~channel() = default;

connection* channel::transport() noexcept {
    return owner_ ? owner_->current() : nullptr;
}

void channel::begin() {
    connection* const link = transport();
    if (!link || state_ != state::waiting) return;
    const auto number = link->attach(*this);
    if (!number) return retry_later();
    number_ = *number;
    state_ = state::opening;
    consumers_.clear();
    asio::co_spawn(owner_->home().context(), open_and_set_up(++opening_), asio::detached);
}

asio::awaitable<void> channel::open_and_set_up(std::uint32_t opening) {
    const auto keep = shared_from_this();
    auto opened = co_await call(channel_open{});
    if (!opened || opening != opening_ || state_ != state::opening) co_return;
    auto ready = co_await handler_->set_up(*this);
    if (opening != opening_ || state_ != state::opening) co_return;
    if (!ready) {
        // The broker left the channel open, or set_up() did not like what it found.
        reopen(ready.error());
        co_return;
    }
    state_ = state::ready;
    if ((failures_ > 0 || owner_->sick_.contains(serial_)) && !good_timer_.active())
        good_timer_.start(owner_->home().wheel(), owner_->options_.good_after);
    owner_->on_set_up(*this);
    handler_->on_ready(*this);
}

channel::pending_call channel::describe(const method& m) {
    const method_info& known = info(m);
    pending_call call{.class_id = known.class_id, .method_id = known.method_id};
    if (const auto* consume = std::get_if<basic_consume>(&m)) {
        call.queue = consume->queue;
        call.no_ack = consume->no_ack;
        call.from_stream = consume->arguments.find("x-stream-offset") != nullptr;
    } else if (const auto* declare = std::get_if<queue_declare>(&m)) {
        call.queue = declare->queue;
    }
    return call;
}

const channel::pending_call* channel::blamed(const error& why) const {
    // 320 (CONNECTION_FORCED) is an operator's wish.
    if (calls_.empty() || why.code != errc::connection_closed || why.reply_code < 400) return nullptr;
    const pending_call& call = calls_.front();
    // A broker whose queue crashes says 541 (INTERNAL_ERROR) and names no method. A channel that only opens is not it.
    if (why.class_id == 0) return call.class_id == channel_open::class_id ? nullptr : &call;
    return call.class_id == why.class_id && call.method_id == why.method_id ? &call : nullptr;
}

asio::awaitable<result<method>> channel::request(method m, std::chrono::milliseconds within) {
    const auto keep = shared_from_this();
    connection* const link = transport();
    if (!link || (state_ != state::opening && state_ != state::ready))
        co_return std::unexpected(error{errc::channel_closed, 0, "the channel is not open"});
    if (const auto sent = link->send(number_, m); !sent) co_return std::unexpected(sent.error());

    pending_call call = describe(m);
    if (!call.queue.empty()) about_ = call.queue;
    call.deadline = owner_->home().time().now() + within;
    if (!deadline_timer_.active()) deadline_timer_.start(owner_->home().wheel(), within);
    auto& context = owner_->home().context();
    auto reply = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(result<method>)>(
        [&](auto handler) {
            // Posted, so that the awaiting coroutine never runs inside the connection's reading.
            call.done = [&context, handler = std::move(handler)](result<method> answer) mutable {
                asio::post(context, [handler = std::move(handler), answer = std::move(answer)]() mutable {
                    std::move(handler)(std::move(answer));
                });
            };
            calls_.push_back(std::move(call));
        },
        asio::use_awaitable);
    co_return reply;
}

result<bool> channel::publish(const basic_publish& target, const basic_properties& properties, std::string_view body) {
    connection* const link = transport();
    if (!link || state_ != state::ready) return false;
    if (auto sent = link->send_content(number_, target, properties, body); !sent) return std::unexpected(sent.error());
    return true;
}

bool channel::holds(delivery_id id) noexcept {
    return transport() && id.opening == opening_ && number_ != 0;
}

void channel::ack(delivery_id id, bool multiple) {
    connection* const link = transport();
    if (!link || !holds(id)) return;
    basic_ack acknowledgement;
    acknowledgement.delivery_tag = id.tag;
    acknowledgement.multiple = multiple;
    (void)link->send(number_, acknowledgement);
}

void channel::nack(delivery_id id, bool requeue) {
    connection* const link = transport();
    if (!link || id.opening != opening_ || number_ == 0) return;
    basic_nack refusal;
    refusal.delivery_tag = id.tag;
    refusal.requeue = requeue;
    (void)link->send(number_, refusal);
}

void channel::discard(const delivery& what) {
    const auto by = std::find_if(consumers_.begin(), consumers_.end(),
                                 [&](const consumer_kind& c) { return c.tag == what.consumer_tag; });
    if (by != consumers_.end() && by->no_ack) return;
    // A stream takes no basic.nack: RabbitMQ closes the connection for it (540).
    if (by != consumers_.end() && by->from_stream) return ack(what.id);
    nack(what.id, false);
}

void channel::on_method(method&& received) {
    const auto keep = shared_from_this();
    if (const auto* closing = std::get_if<channel_close>(&received)) {
        number_ = 0;
        lose({errc::channel_closed, closing->reply_code, closing->reply_text, closing->failing_class_id,
              closing->failing_method_id});
        return retry_later();
    }
    if (const auto* ack = std::get_if<basic_ack>(&received)) {
        if (owner_) owner_->last_confirm_ = owner_->home().time().now();
        return handler_->on_confirm(*this, ack->delivery_tag, ack->multiple, true);
    }
    if (const auto* nack = std::get_if<basic_nack>(&received))
        return handler_->on_confirm(*this, nack->delivery_tag, nack->multiple, false);
    if (const auto* cancelled = std::get_if<basic_cancel>(&received))
        return handler_->on_cancelled(*this, cancelled->consumer_tag);
    if (const auto* flow = std::get_if<channel_flow>(&received)) {
        // RabbitMQ has not sent it since 2.0; agreeing is all that AMQP 0-9-1 §1.5.2.3 asks of us here.
        channel_flow_ok agreed;
        agreed.active = flow->active;
        if (connection* const link = transport()) (void)link->send(number_, agreed);
        return;
    }
    if (calls_.empty()) return;  // an answer to nothing that we asked
    auto call = std::move(calls_.front());
    calls_.pop_front();
    if (calls_.empty()) deadline_timer_.cancel();
    if (const auto* began = std::get_if<basic_consume_ok>(&received))
        consumers_.push_back({std::string(began->consumer_tag), call.no_ack, call.from_stream});
    if (const auto* ended = std::get_if<basic_cancel_ok>(&received))
        std::erase_if(consumers_, [&](const consumer_kind& c) { return c.tag == ended->consumer_tag; });
    call.done(std::move(received));
}

void channel::on_content(message& received) {
    const auto keep = shared_from_this();
    if (const auto* deliver = std::get_if<basic_deliver>(&received.method)) {
        const delivery what{.id = {opening_, deliver->delivery_tag},
                            .redelivered = deliver->redelivered,
                            .consumer_tag = deliver->consumer_tag,
                            .exchange = deliver->exchange,
                            .routing_key = deliver->routing_key,
                            .properties = received.properties,
                            .body = received.body};
        if (received.skipped) return handler_->on_too_large(*this, what, *received.skipped);
        handler_->on_delivery(*this, what);
    } else if (const auto* returned = std::get_if<basic_return>(&received.method)) {
        if (received.skipped)
            return handler_->on_too_large_return(*this, *returned, received.properties, *received.skipped);
        handler_->on_return(*this, *returned, received.properties, received.body);
    }
}

void channel::on_connection_lost(const error& why) {
    const auto keep = shared_from_this();
    number_ = 0;
    failures_ = 0;  // the client paces what follows
    if (const pending_call* const call = blamed(why); call && owner_) owner_->suspect(*this, call->queue);
    lose(why);
}

void channel::reopen(const error& why) {
    const auto keep = shared_from_this();
    if (state_ != state::opening && state_ != state::ready) return;
    by_own_wish_ = state_ == state::ready;
    if (connection* const link = transport(); link && number_ != 0) link->detach(number_, true);
    number_ = 0;
    const bool was_ready = state_ == state::ready;
    lose(why);
    if (state_ != state::waiting) return;
    // A channel that worked is replaced at once; one that never came up, after a pause.
    if (was_ready) return begin();
    retry_later();
}

void channel::reopen_later(const error& why) {
    const auto keep = shared_from_this();
    if (state_ != state::opening && state_ != state::ready) return;
    if (connection* const link = transport(); link && number_ != 0) link->detach(number_, true);
    number_ = 0;
    lose(why);
    retry_later();
}

void channel::lose(const error& why) {
    if (state_ != state::opening && state_ != state::ready) return;
    state_ = state::waiting;
    last_loss_ = why;
    if (owner_) {
        lost_at_ = owner_->home().time().now();
        owner_->on_lost(*this);
    }
    ++opening_;  // voids delivery ids and ends a set_up() that is under way
    deadline_timer_.cancel();
    if (!std::exchange(by_own_wish_, false)) good_timer_.cancel();
    for (auto& call : std::exchange(calls_, {})) call.done(std::unexpected(why));
    handler_->on_lost(*this, why);
}

void channel::retry_later() {
    if (state_ != state::waiting || !owner_) return;
    const steady_time now = owner_->home().time().now();
    if (failures_ == 0) failing_since_ = now;
    const auto tenth = std::chrono::floor<std::chrono::milliseconds>((now - failing_since_) / 10);
    const auto pause =
        std::min({retry_max, retry_min * (1 << std::min(failures_++, 8u)), std::max(tenth, retry_soon_max)});
    retry_timer_.start(owner_->home().wheel(), pause);
    owner_->on_opening_failed(*this, failures_ >= sick_from, pause);
}

// It has lasted.
void channel::on_good() {
    if (state_ != state::ready) return;  // it was opened anew because somebody wished so
    failures_ = 0;
    if (owner_) owner_->recover(serial_);
}

void channel::check_deadlines() {
    const auto keep = shared_from_this();
    if (calls_.empty() || !owner_) return;
    const steady_time now = owner_->home().time().now();
    if (calls_.front().deadline <= now)
        return reopen({errc::timed_out, 0, "the broker did not answer a method in time"});
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(calls_.front().deadline - now);
    deadline_timer_.start(owner_->home().wheel(), left);
}

void channel::close() {
    const auto keep = shared_from_this();
    if (state_ == state::closed) return;
    if (connection* const link = transport(); link && number_ != 0) link->detach(number_, true);
    number_ = 0;
    state_ = state::closed;
    ++opening_;
    retry_timer_.cancel();
    deadline_timer_.cancel();
    good_timer_.cancel();
    for (auto& call : std::exchange(calls_, {})) call.done(std::unexpected(error{errc::stopped, 0, "closed"}));
    if (owner_) owner_->on_gone(*this);
    owner_ = nullptr;
}

}  // namespace foz::amqp
