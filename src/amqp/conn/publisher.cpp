#include "amqp/conn/publisher.hpp"

#include <algorithm>
#include <utility>

#include "amqp/conn/client.hpp"

namespace foz::amqp {

namespace {

constexpr std::chrono::milliseconds sweep_interval{100};

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
    pending_.push_back({.content = std::move(p),
                        .done = std::move(done),
                        .deadline = client_.home().time().now() + deadline});
    if (!sweep_timer_.active()) sweep_timer_.start(client_.home().wheel(), sweep_interval);
    send_waiting();
}

void publisher::send_waiting() {
    while (first_waiting_ < pending_.size() && channel_->ready() && !client_.blocked()) {
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
    e.tag = next_tag_++;
    e.sent_at = client_.home().time().now();
    return true;
}

void publisher::on_ready(channel&) {
    next_tag_ = 1;
    first_waiting_ = 0;
    for (entry& e : pending_) e.tag = 0;
    drop_settled();
    send_waiting();
}

void publisher::on_lost(channel&, const error&) {
    // Everything unsettled is sent again by on_ready(), in the order in which it was handed in.
    next_tag_ = 1;
    first_waiting_ = 0;
    for (entry& e : pending_) e.tag = 0;
}

std::size_t publisher::index_of(std::uint64_t tag) const {
    const auto sent_end = pending_.begin() + static_cast<std::ptrdiff_t>(first_waiting_);
    const auto at = std::lower_bound(pending_.begin(), sent_end, tag,
                                     [](const entry& e, std::uint64_t wanted) { return e.tag < wanted; });
    return static_cast<std::size_t>(at - pending_.begin());
}

void publisher::on_confirm(channel& self, std::uint64_t tag, bool multiple, bool positive) {
    bool again = false;
    const auto confirm = [&](entry& e) {
        if (e.settled || e.tag == 0) return;
        if (positive) return settle(e, e.returned ? outcome::unroutable : outcome::confirmed);
        ++counters_.refused;
        // Refused once, a message gets a second try on a fresh channel: an election may be under way. Refused
        // twice, the queue means it (x-overflow: reject-publish).
        if (std::exchange(e.refused, true)) return settle(e, outcome::rejected);
        again = true;
    };
    if (multiple) {
        for (std::size_t i = 0; i < first_waiting_ && (pending_[i].tag <= tag); ++i) confirm(pending_[i]);
    } else if (const std::size_t at = index_of(tag); at < first_waiting_ && pending_[at].tag == tag) {
        confirm(pending_[at]);
    }
    drop_settled();
    if (again) {
        ++counters_.reopened;
        self.reopen({errc::channel_closed, 0, "the broker refused a message (basic.nack)"});
    }
}

void publisher::on_return(channel&, const basic_return& returned, const basic_properties& properties,
                          std::string_view body) {
    ++counters_.returned;
    // basic.return carries no tag. Messages that agree in all of this share their fate, so the first will do.
    for (std::size_t i = 0; i < first_waiting_; ++i) {
        entry& e = pending_[i];
        if (e.settled || e.returned || e.tag == 0 || e.content.routing_key != returned.routing_key ||
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
        pending_.pop_front();
        if (first_waiting_ > 0) --first_waiting_;
    }
}

void publisher::sweep() {
    const steady_time now = client_.home().time().now();
    bool late = false;
    for (entry& e : pending_) {
        if (e.settled) continue;
        if (e.deadline <= now) {
            settle(e, e.ever_sent ? outcome::unknown : outcome::unavailable);
        } else if (e.tag != 0 && now - e.sent_at > options_.confirm_timeout) {
            late = true;
        }
    }
    drop_settled();
    if (late && !client_.blocked()) {
        ++counters_.reopened;
        channel_->reopen({errc::timed_out, 0, "a publisher confirm did not come in time"});
    }
    send_waiting();  // after connection.unblocked
    if (!pending_.empty()) sweep_timer_.start(client_.home().wheel(), sweep_interval);
}

}  // namespace foz::amqp
