#include "amqp/conn/publisher.hpp"

#include "amqp/conn/client.hpp"

#include <utility>

namespace foz::amqp {

publisher::publisher(client& owner, publisher_options options)
    : client_(owner),
      window_(options),
      confirm_timeout_(options.confirm_timeout),
      channel_(owner.open_channel(*this)) {}

publisher::~publisher() {
    *alive_ = false;
    channel_->close();
}

steady_time publisher::now() const {
    return client_.home().time().now();
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

void publisher::publish(publication p, publish_options options, on_outcome done) {
    window_.submit(std::move(p), std::move(options), std::move(done));
    act();
}

void publisher::publish(publication p, std::chrono::milliseconds deadline, on_outcome done) {
    publish(std::move(p), {.deadline = now() + deadline}, std::move(done));
}

void publisher::on_ready(channel&) {
    window_.opened(now());
    act();
}

void publisher::on_lost(channel&, const error&) {
    window_.lost();
    act();
}

void publisher::on_confirm(channel&, std::uint64_t tag, bool multiple, bool positive) {
    window_.confirmed(tag, multiple, positive, now());
    act();
}

void publisher::on_return(channel&, const basic_return& returned, const basic_properties& properties,
                          std::string_view body) {
    window_.returned(returned, properties, body);
}

void publisher::on_too_large_return(channel&, const basic_return& returned, const basic_properties& properties,
                                    const skipped_body& body) {
    window_.returned(returned, properties, {}, body.size);
}

void publisher::tick() {
    window_.blocked(client_.blocked(), now());
    window_.tick(now());
    act();
}

// Does what the window has decided. Reopening the channel comes back here through on_lost().
void publisher::act() {
    if (acting_) return;
    acting_ = true;
    switch (window_.take_action()) {
        case publish_window::action::none:
            break;
        case publish_window::action::reopen_refused:
            channel_->reopen(
                {errc::channel_closed, 0, "the broker does not take a message yet (basic.nack or basic.return)"});
            break;
        case publish_window::action::reopen_late:
            channel_->reopen({errc::timed_out, 0, "publisher confirms did not come in time"});
            break;
        case publish_window::action::next_url: {
            // A queue that has lost its majority is silent on every connection: that costs its own channel only.
            const error why{errc::timed_out, 0, "publisher confirms did not come in time on a fresh channel, either"};
            if (!client_.next_url(why, now() - confirm_timeout_)) channel_->reopen(why);
            break;
        }
    }
    acting_ = false;
    send();
    tell_later();
    if (!window_.idle() && !tick_timer_.active()) tick_timer_.start(client_.home().wheel(), window_.next_tick(now()));
}

void publisher::send() {
    if (!channel_->ready()) return;
    const steady_time at = now();
    window_.blocked(client_.blocked(), at);
    while (const publication* const next = window_.next_to_send()) {
        basic_publish target;
        target.exchange = next->exchange;
        target.routing_key = next->routing_key;
        target.mandatory = next->mandatory;
        const auto sent = channel_->publish(target, next->properties, next->body);
        if (!sent) {
            window_.cannot_encode();
        } else if (*sent) {
            window_.sent(at);
        } else {
            return;
        }
    }
}

// By the end of the turn: a caller of publish() never finds itself called back from inside it.
void publisher::tell_later() {
    for (auto& one : window_.take_settled()) to_tell_.push_back(std::move(one));
    for (auto& key : window_.take_room()) rooms_to_tell_.push_back(std::move(key));
    if (telling_ || (to_tell_.empty() && rooms_to_tell_.empty())) return;
    telling_ = true;
    client_.home().post([this, alive = alive_] {
        if (*alive) tell();
    });
}

void publisher::tell() {
    telling_ = false;
    const auto alive = alive_;
    for (auto& one : std::exchange(to_tell_, {})) {
        if (one.done) one.done(one.result);
        if (!*alive) return;
    }
    for (const auto& key : std::exchange(rooms_to_tell_, {})) {
        if (room_) room_(key);
        if (!*alive) return;
    }
}

}  // namespace foz::amqp
