// Publishing with certainty: each message is confirmed, or its sender learns what became of it.
#pragma once

#include "amqp/codec/methods.hpp"
#include "amqp/codec/publication.hpp"
#include "amqp/conn/channel.hpp"
#include "base/clock.hpp"
#include "net/timing_wheel.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace foz::amqp {

struct publisher_options {
    std::size_t pending_bytes_limit = 64 * 1024 * 1024;  // of bodies, sent or waiting
    std::size_t pending_limit = 100'000;                 // messages, sent or waiting
    // A confirm later than this reopens the channel and the message is sent again: a channel that was opened before
    // a quorum queue's election may stay stuck.
    std::chrono::milliseconds confirm_timeout = std::chrono::seconds(3);
    // What the broker refuses (basic.nack) is sent again on a fresh channel, after pauses that grow, for so long: a
    // quorum queue that is young, or has lost its leader, refuses until the election is over (0.5 s for a node that
    // died).
    std::chrono::milliseconds refusal_patience = std::chrono::seconds(2);
};

struct publisher_counters {
    std::uint64_t published = 0;  // messages handed in
    std::uint64_t confirmed = 0;
    std::uint64_t returned = 0;
    std::uint64_t refused = 0;   // basic.nack
    std::uint64_t repeated = 0;  // sent again after a recovery: duplicates are possible, message_id tells them
    std::uint64_t given_up = 0;  // unavailable or unknown
    std::uint64_t reopened = 0;  // channels reopened because of a nack or a late confirm
};

// Owns a channel in confirm mode. Messages are sent in the order in which they were handed in, and after a recovery
// in that order again; what the broker refused (basic.nack) is sent again behind what it took meanwhile. Lives on the
// client's shard; the client is stopped before the publisher is destroyed.
class publisher final : private channel_handler {
public:
    using on_outcome = std::move_only_function<void(outcome)>;

    explicit publisher(client& owner, publisher_options options = {});
    ~publisher();

    // The deadline counts from now. `done` is called exactly once, never from inside publish(), except at the
    // publisher's destruction, when it is dropped. While the connection is down messages wait.
    void publish(publication p, std::chrono::milliseconds deadline, on_outcome done);

    // What is to be declared before anything is published, at every opening.
    using recipe = std::function<asio::awaitable<result<void>>(channel&)>;
    void set_recipe(recipe r) { recipe_ = std::move(r); }

    std::size_t pending() const noexcept { return pending_.size(); }
    bool ready() const noexcept { return channel_->ready(); }
    const publisher_counters& counters() const noexcept { return counters_; }

private:
    struct entry {
        publication content;
        on_outcome done;
        steady_time deadline;
        steady_time sent_at{};
        std::uint64_t tag = 0;   // of this opening; 0: not sent in it
        bool in_flight = false;  // sent in this opening, not answered yet
        bool ever_sent = false;
        bool returned = false;
        bool settled = false;                   // waits only to be removed from the front
        std::optional<steady_time> refused_at;  // for the first time
    };

    asio::awaitable<result<void>> set_up(channel& self) override;
    void on_ready(channel&) override;
    void on_lost(channel&, const error&) override;
    void on_return(channel&, const basic_return&, const basic_properties&, std::string_view body) override;
    void on_confirm(channel&, std::uint64_t tag, bool multiple, bool positive) override;

    static outcome fate_of(const entry& e);
    void send_waiting();
    bool send(entry& e);
    void settle(entry& e, outcome result);
    void tell_later(on_outcome done, outcome result);
    void drop_settled();
    void forget_opening();
    void reopen(const error& why);
    void try_refused_again();
    void sweep();
    std::size_t index_of(std::uint64_t tag) const;

    client& client_;
    const publisher_options options_;
    recipe recipe_;
    std::deque<entry> pending_;
    std::size_t pending_bytes_ = 0;
    std::size_t first_waiting_ = 0;  // index of the first entry that was not sent in this opening
    std::size_t in_flight_ = 0;
    // A message was refused: nothing is sent until the rest has been answered, and in the pause.
    bool draining_ = false;
    unsigned refusals_ = 0;  // in a row: channels that were reopened because of one
    steady_time last_refusal_{};
    std::uint64_t next_tag_ = 1;
    publisher_counters counters_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    net::wheel_timer sweep_timer_{this, [](publisher& self) { self.sweep(); }};
    net::wheel_timer again_timer_{this, [](publisher& self) { self.try_refused_again(); }};
    std::shared_ptr<channel> channel_;  // last: its opening may begin in the constructor
};

}  // namespace foz::amqp
