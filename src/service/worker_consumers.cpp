// How much a worker takes at once, and what it holds: a message whose handler failed goes back to its queue only after
// a pause that grows with its attempts, so that something that is away for a while makes no dead letters.
#include "service/request_state.hpp"
#include "service/worker_core.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace foz::service {
namespace {

// One consumer on each channel; for a moment two, when it goes on from the first to the second.
constexpr std::string_view careful_tag = "careful";
constexpr std::string_view full_tag = "full";
// Ids of messages that were given back, which are remembered.
constexpr std::size_t failed_ids_max = 1'024;

// No tag is used twice on a channel. RabbitMQ before 3.12.5 may take what a quorum queue gives to a consumer for
// something that it has delivered already, if there was one of that tag with messages in hand (rabbitmq-server #9158).
std::string spare_tag(std::uint64_t number) {
    return "spare-" + std::to_string(number);
}

// A client whose messages wait for each other must not keep the others' from being delivered. More than that would be
// returned, and counted, for nothing when a worker dies.
constexpr unsigned ordered_prefetch_factor = 4;

std::uint16_t prefetch(const contract::channel_settings& channel, std::uint16_t concurrency) {
    if (channel.order != contract::order_kind::client || concurrency == 1) return concurrency;
    return static_cast<std::uint16_t>(std::min(concurrency * ordered_prefetch_factor, 65'535u));
}

amqp::basic_qos qos(std::uint16_t prefetch) {
    amqp::basic_qos method;
    method.prefetch_count = prefetch;
    return method;
}

amqp::basic_consume consume(const std::string& queue, std::string_view tag) {
    amqp::basic_consume method;
    method.queue = queue;
    method.consumer_tag = tag;
    return method;
}

amqp::basic_cancel cancel(std::string_view tag) {
    amqp::basic_cancel method;
    method.consumer_tag = tag;
    return method;
}

}  // namespace

boost::asio::awaitable<amqp::result<void>> worker_core::consumer::set_up(amqp::channel& self) {
    auto prepared = co_await owner.prepare(self);
    if (!prepared) co_return prepared;
    const std::uint16_t full = prefetch(channel, owner.options_.concurrency);
    careful = full > 1 && !channel.single_active();
    careful_ended = false;
    spares.clear();
    spares_begun = 0;
    auto limited = co_await self.call(qos(careful ? 1 : full));
    if (!limited) co_return std::unexpected(limited.error());
    auto consuming_ok = co_await self.call(consume(channel.in_queue(), careful ? careful_tag : full_tag));
    if (!consuming_ok) co_return std::unexpected(consuming_ok.error());
    co_return amqp::result<void>{};
}

void worker_core::consumer::on_delivery(amqp::channel&, const amqp::delivery& d) {
    if (careful && !d.redelivered) {
        careful_ended = true;
        adjust();
    }
    owner.take(*this, d);
}

// Its caller is told as of any dead letter.
void worker_core::consumer::on_too_large(amqp::channel& self, const amqp::delivery& d, const amqp::skipped_body& body) {
    owner.notice(channel.in_queue() + ": a message of " + std::to_string(body.size) +
                 " octets is too large and was refused, message id " + d.properties.message_id.value_or("-"));
    ++owner.counters_.refused;
    self.discard(d);
}

void worker_core::consumer::on_ready(amqp::channel&) {
    consuming = true;
    adjust();
    const auto& all = owner.consumers_;
    if (std::all_of(all.begin(), all.end(), [](const auto& c) { return c->consuming; })) owner.become_ready();
}

void worker_core::consumer::on_lost(amqp::channel&, const amqp::error& why) {
    consuming = false;
    // What waits here will be delivered again, perhaps to another worker; what is being worked on goes on.
    std::erase_if(owner.waiting_, [&](const request_ptr& r) { return r->state_->from == link; });
    for (const request_ptr& one : std::exchange(returning, {})) owner.leave_lane(*one, true);
    std::erase_if(owner.held_, [&](const held_message& one) {
        if (one.what->state_->from != link) return false;
        owner.leave_lane(*one.what, true);
        return true;
    });
    held = 0;
    owner.counters_.held = owner.held_.size();
    for (auto& [client, one] : lanes) one.awaited.reset();
    if (!owner.started_ && why.permanent()) return owner.fail_start(why);
    if (why.code == amqp::errc::channel_closed) owner.notice(channel.in_queue() + ": " + why.text);
}

void worker_core::consumer::adjust() {
    if (adjusting || !consuming || owner.draining_) return;
    adjusting = true;
    boost::asio::co_spawn(owner.home_.context(), adjust_on(link), boost::asio::detached);
}

// One method after the other: what basic.qos says holds for the consumer that begins next. What is lost meanwhile is
// set up anew.
boost::asio::awaitable<void> worker_core::consumer::adjust_on(std::shared_ptr<amqp::channel> on) {
    bool more = true;
    while (more && consuming && !owner.draining_) more = co_await one_step(*on);
    adjusting = false;
    owner.return_to_queue(std::exchange(returning, {}));
}

// False: nothing is to be done, or it can't be.
boost::asio::awaitable<bool> worker_core::consumer::one_step(amqp::channel& on) {
    // The place of a single active consumer would go to another worker, and another consumer of ours gets nothing.
    const std::size_t wanted = channel.single_active() ? 0 : std::min(held, owner.options_.held_max);
    if (careful && careful_ended) {
        // The new consumer first: a queue without consumers would be seen as a channel without a service.
        auto begun = co_await begin_consumer(on, prefetch(channel, owner.options_.concurrency), full_tag);
        if (!begun) co_return false;
        careful = false;
        auto cancelled = co_await on.call(cancel(careful_tag));
        co_return cancelled.has_value();
    }
    if (spares.size() < wanted) {
        const std::string tag = spare_tag(++spares_begun);
        spares.push_back(tag);
        auto begun = co_await begin_consumer(on, 1, tag);
        if (!begun) std::erase(spares, tag);
        co_return begun;
    }
    if (spares.size() > wanted) {
        const std::string tag = spares.back();
        auto cancelled = co_await on.call(cancel(tag));
        if (cancelled) std::erase(spares, tag);
        co_return cancelled.has_value();
    }
    co_return false;
}

boost::asio::awaitable<bool> worker_core::consumer::begin_consumer(amqp::channel& on, std::uint16_t at_once,
                                                                   std::string_view tag) {
    auto limited = co_await on.call(qos(at_once));
    if (!limited) co_return false;
    auto consuming_ok = co_await on.call(consume(channel.in_queue(), tag));
    co_return consuming_ok.has_value();
}

boost::asio::awaitable<void> worker_core::consumer::cancel_all() {
    std::vector<std::string> tags = spares;
    tags.emplace_back(careful_tag);
    tags.emplace_back(full_tag);
    for (const std::string& tag : tags) {
        auto cancelled = co_await link->call(cancel(tag));
        if (!cancelled) co_return;  // not connected: nothing comes from there
    }
}

// --- what is held

// The n-th time it is held twice as long as the time before.
std::chrono::milliseconds worker_core::pause_after(unsigned attempt) const {
    std::chrono::milliseconds pause = options_.retry_pause_min;
    for (unsigned i = 1; i < attempt && pause < options_.retry_pause_max; ++i) pause *= 2;
    return std::min(pause, options_.retry_pause_max);
}

void worker_core::hold(request_ptr failed) {
    ++consumer_of(*failed).held;
    const auto pause = pause_after(failed->attempt());
    const auto place = held_.emplace(held_.end(), *this, std::move(failed));
    place->place = place;
    place->until.start(home_.wheel(), pause);
    counters_.held = held_.size();
    consumer_of(*place->what).adjust();
}

void worker_core::give_back(std::list<held_message>::iterator which) {
    request_ptr done = std::move(which->what);
    held_.erase(which);
    counters_.held = held_.size();
    if (!done->message_id().empty()) failed_.emplace_back(done->message_id());
    if (failed_.size() > failed_ids_max) failed_.pop_front();
    consumer& from = consumer_of(*done);
    --from.held;
    from.returning.push_back(std::move(done));
    from.adjust();
}

// At the end: the consumers have been cancelled.
void worker_core::give_back_all() {
    while (!held_.empty()) give_back(held_.begin());
    for (const auto& one : consumers_) return_to_queue(std::exchange(one->returning, {}));
}

void worker_core::return_to_queue(std::vector<request_ptr> all) {
    for (const request_ptr& one : all) return_to_queue(*one);
    if (!all.empty()) start_work();
}

// It was delivered before, and not because its handler told us that it had failed.
bool worker_core::may_have_killed(const request& r) const {
    return r.redelivered() && std::ranges::find(failed_, r.message_id()) == failed_.end();
}

}  // namespace foz::service
