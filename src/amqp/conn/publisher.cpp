#include "amqp/conn/publisher.hpp"

#include "amqp/conn/client.hpp"

#include <algorithm>
#include <utility>

namespace foz::amqp {

namespace {

constexpr std::chrono::milliseconds sweep_interval{100};

// Between the attempts at what was refused. The first one follows at once.
constexpr std::chrono::milliseconds pause_min{20};
constexpr std::chrono::milliseconds pause_max{250};
constexpr std::chrono::milliseconds refusals_forgotten_after{1'000};

}  // namespace

publisher::publisher(client& owner, publisher_options options)
    : client_(owner), options_(options), channel_(owner.open_channel(*this)) {}

publisher::~publisher() {
    *alive_ = false;
    channel_->close();
}

asio::awaitable<result<void>> publisher::set_up(channel& self) {
    if (recipe_) {
        auto prepared = co_await recipe_(self);
        if (!prepared) co_return prepared;
    }
    auto selected = co_await self.call(confirm_select{});
    if (!selected) co_return std::unexpected(selected.error());
    co_return result<void>{};
}

void publisher::publish(publication p, std::chrono::milliseconds deadline, on_outcome done) {
    ++counters_.published;
    if (pending_.size() >= options_.pending_limit || pending_bytes_ + p.body.size() > options_.pending_bytes_limit)
        return tell_later(std::move(done), outcome::overloaded);
    pending_bytes_ += p.body.size();
    pending_.push_back(
        {.content = std::move(p), .done = std::move(done), .deadline = client_.home().time().now() + deadline});
    if (!sweep_timer_.active()) sweep_timer_.start(client_.home().wheel(), sweep_interval);
    send_waiting();
}

void publisher::send_waiting() {
    while (first_waiting_ < pending_.size() && channel_->ready() && !draining_ && !client_.blocked()) {
        entry& next = pending_[first_waiting_];
        if (!next.settled && !send(next)) return;
        // What was settled unsent shares its predecessor's tag: tags never fall along the queue.
        if (next.settled) next.tag = next_tag_ - 1;
        ++first_waiting_;
    }
}

bool publisher::send(entry& e) {
    basic_publish target;
    target.exchange = e.content.exchange;
    target.routing_key = e.content.routing_key;
    target.mandatory = e.content.mandatory;
    const auto sent = channel_->publish(target, e.content.properties, e.content.body);
    if (!sent) {
        settle(e, outcome::invalid);
        return true;
    }
    if (!*sent) return false;
    if (e.ever_sent) ++counters_.repeated;
    e.ever_sent = true;
    e.returned = false;
    e.in_flight = true;
    ++in_flight_;
    e.tag = next_tag_++;
    e.sent_at = client_.home().time().now();
    return true;
}

void publisher::on_ready(channel&) {
    forget_opening();
    send_waiting();
}

void publisher::on_lost(channel&, const error&) {
    forget_opening();
}

// Everything unsettled is sent again in the next opening, in the order in which it was handed in.
void publisher::forget_opening() {
    next_tag_ = 1;
    first_waiting_ = 0;
    in_flight_ = 0;
    draining_ = false;
    again_timer_.cancel();
    for (entry& e : pending_) {
        e.tag = 0;
        e.in_flight = false;
    }
    drop_settled();
}

std::size_t publisher::index_of(std::uint64_t tag) const {
    const auto sent_end = pending_.begin() + static_cast<std::ptrdiff_t>(first_waiting_);
    const auto at = std::lower_bound(pending_.begin(), sent_end, tag,
                                     [](const entry& e, std::uint64_t wanted) { return e.tag < wanted; });
    return static_cast<std::size_t>(at - pending_.begin());
}

void publisher::on_confirm(channel&, std::uint64_t tag, bool multiple, bool positive) {
    const steady_time now = client_.home().time().now();
    const auto answered = [&](entry& e) {
        if (!std::exchange(e.in_flight, false)) return;
        --in_flight_;
        if (e.settled) return;
        if (positive) return settle(e, e.returned ? outcome::unroutable : outcome::confirmed);
        ++counters_.refused;
        // An election may be under way. Refused for longer than one takes, the queue means it (x-overflow:
        // reject-publish). The others in flight are answered first, or they would be sent twice for nothing.
        if (!e.refused_at) e.refused_at = now;
        if (now - *e.refused_at >= options_.refusal_patience) return settle(e, outcome::rejected);
        draining_ = true;
    };
    const std::size_t at = index_of(tag);
    if (multiple) {
        for (std::size_t i = 0; i < first_waiting_ && pending_[i].tag <= tag; ++i) answered(pending_[i]);
    } else if (at < first_waiting_ && pending_[at].tag == tag) {
        answered(pending_[at]);
    }
    drop_settled();
    if (!draining_ || in_flight_ > 0 || again_timer_.active()) return;
    if (now - last_refusal_ > refusals_forgotten_after) refusals_ = 0;
    if (refusals_ == 0) return try_refused_again();
    again_timer_.start(client_.home().wheel(), std::min(pause_max, pause_min * (1U << std::min(refusals_ - 1, 8U))));
}

void publisher::try_refused_again() {
    ++refusals_;
    last_refusal_ = client_.home().time().now();
    reopen({errc::channel_closed, 0, "the broker refused a message (basic.nack)"});
}

void publisher::reopen(const error& why) {
    ++counters_.reopened;
    channel_->reopen(why);
}

void publisher::on_return(channel&, const basic_return& returned, const basic_properties& properties,
                          std::string_view body) {
    ++counters_.returned;
    // basic.return carries no tag. Messages that agree in all of this share their fate, so the first will do.
    for (std::size_t i = 0; i < first_waiting_; ++i) {
        entry& e = pending_[i];
        if (e.settled || e.returned || !e.in_flight || e.content.routing_key != returned.routing_key ||
            e.content.exchange != returned.exchange || e.content.properties.message_id != properties.message_id ||
            e.content.body != body)
            continue;
        e.returned = true;
        return;
    }
}

void publisher::settle(entry& e, outcome result) {
    e.settled = true;
    pending_bytes_ -= e.content.body.size();
    if (result == outcome::confirmed) ++counters_.confirmed;
    if (result == outcome::unavailable || result == outcome::unknown) ++counters_.given_up;
    tell_later(std::move(e.done), result);
    e.content = {};
}

void publisher::tell_later(on_outcome done, outcome result) {
    // By the end of the turn: a caller of publish() never finds itself called back from inside it.
    client_.home().post([alive = alive_, done = std::move(done), result]() mutable {
        if (*alive && done) done(result);
    });
}

void publisher::drop_settled() {
    while (!pending_.empty() && pending_.front().settled) {
        if (pending_.front().in_flight) --in_flight_;
        pending_.pop_front();
        if (first_waiting_ > 0) --first_waiting_;
    }
}

// Of what has waited until its deadline.
outcome publisher::fate_of(const entry& e) {
    if (e.refused_at && !e.in_flight) return outcome::rejected;
    return e.ever_sent ? outcome::unknown : outcome::unavailable;
}

void publisher::sweep() {
    const steady_time now = client_.home().time().now();
    bool late = false;
    for (entry& e : pending_) {
        if (e.in_flight && now - e.sent_at > options_.confirm_timeout) late = true;
        if (!e.settled && e.deadline <= now) settle(e, fate_of(e));
    }
    drop_settled();
    if (late && !client_.blocked()) reopen({errc::timed_out, 0, "a publisher confirm did not come in time"});
    send_waiting();  // after connection.unblocked
    if (!pending_.empty()) sweep_timer_.start(client_.home().wheel(), sweep_interval);
}

}  // namespace foz::amqp
