// What is in flight to the broker, what waits for its turn, and what becomes of each message. Pure.
#pragma once

#include "amqp/codec/methods.hpp"
#include "amqp/codec/publication.hpp"
#include "amqp/conn/deadline_wheel.hpp"
#include "base/clock.hpp"
#include "base/strong.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace foz::amqp {

using on_outcome = std::move_only_function<void(outcome)>;

// Memory that several publishers of one thread share. What a key may have waiting is no more than what is free: one
// that floods leaves half of the pool to the others, two leave a third, and whoever has nothing waiting has room until
// all of it is gone (dynamic thresholds: Choudhury and Hahne, 1998).
struct octet_pool {
    std::size_t max = 0;
    std::size_t used = 0;

    bool admits(std::size_t waiting_of_key, std::size_t more) const noexcept {
        return used + more <= max && waiting_of_key + more <= max - used;
    }
};

struct publish_options {
    // Whose message it is (a client's): what waits is served in turn by key. Empty: nobody's in particular; such
    // messages share one turn and are bounded by the limits for all keys alone.
    std::string key;
    // Not sent before the key's messages before it have their outcome, so that one that is repeated can't overtake.
    // Needs a key. The messages of one key on one publisher are all ordered, or none of them is.
    bool ordered = false;
    // A queue that takes it is declared. When the broker returns it nevertheless, the queue is not there yet (RabbitMQ
    // takes connections before it has recovered its streams), and it is sent again for a while, as what is refused is.
    bool has_queue = false;
    steady_time deadline{};
};

// "Octets" are those of bodies and names, plus message_octets for each message.
struct publisher_options {
    // The window: what may be unconfirmed at a time. Between the two numbers it is what the broker confirms within
    // confirm_target (and twice its quickest confirm): so much keeps it busy, more would only make everybody else's
    // confirms wait. A message that is larger than the window goes alone.
    std::size_t in_flight_min = 256;
    std::size_t in_flight_limit = 8'192;
    std::size_t in_flight_octets_limit = 4 * 1024 * 1024;
    std::chrono::milliseconds confirm_target{10};
    // Beyond these a message is refused (outcome::overloaded): everything together, and what waits of one key.
    std::size_t pending_limit = 100'000;
    std::size_t pending_octets_limit = 64 * 1024 * 1024;
    std::size_t key_waiting_limit = 25'000;
    std::size_t key_waiting_octets_limit = 16 * 1024 * 1024;
    // What other publishers have a part in, too; outlives them. Null: none.
    octet_pool* pool = nullptr;
    // A key is full() from its high mark on, until half of it is left. The marks of all keys that wait share a total,
    // so that many who flood together wait no longer than one.
    std::size_t key_high_mark = 1'024;
    std::size_t key_octets_high_mark = 1024 * 1024;
    // Of an ordered key, which a round trip for each message makes slow: what waits is to be sent before its deadline.
    std::size_t ordered_high_mark = 128;
    std::size_t waiting_high_mark = 8'192;
    std::size_t waiting_octets_high_mark = 16 * 1024 * 1024;
    // Something is in flight and nothing at all was confirmed for so long: the channel is opened anew (one that was
    // opened before a quorum queue's election may stay stuck), and after half as long the connection, at the next URL.
    std::chrono::milliseconds confirm_timeout = std::chrono::seconds(3);
    // What the broker refuses (basic.nack) is sent again on a fresh channel, after pauses that grow, for so long: a
    // quorum queue that is young, or has lost its leader, refuses until the election is over (0.5 s for a node that
    // died).
    std::chrono::milliseconds refusal_patience = std::chrono::seconds(2);
    // The same for what no queue takes although one is declared for it (publish_options::has_queue).
    std::chrono::milliseconds return_patience = std::chrono::seconds(10);
};

struct publisher_counters {
    std::uint64_t published = 0;  // messages handed in
    std::uint64_t confirmed = 0;
    std::uint64_t returned = 0;
    std::uint64_t refused = 0;        // basic.nack
    std::uint64_t repeated = 0;       // sent again after a recovery: duplicates are possible, message_id tells them
    std::uint64_t given_up = 0;       // unavailable or unknown
    std::uint64_t overloaded = 0;     // refused by our own limits
    std::uint64_t reopened = 0;       // channels reopened because of a nack or because confirms were late
    std::uint64_t reopened_late = 0;  // of these, because confirms were late
    std::uint64_t moved_on = 0;       // connections given up for the next URL because a fresh channel was silent, too

    publisher_counters& operator+=(const publisher_counters& other) noexcept {
        published += other.published;
        confirmed += other.confirmed;
        returned += other.returned;
        refused += other.refused;
        repeated += other.repeated;
        given_up += other.given_up;
        overloaded += other.overloaded;
        reopened += other.reopened;
        reopened_late += other.reopened_late;
        moved_on += other.moved_on;
        return *this;
    }
};

// Lives wherever its owner does; has no clock, no thread and no I/O, and calls nobody back: whoever drives it tells it
// what happened, and afterwards takes what is to be done.
//
//   submit() ─▶ waiting (by key, in turn) ─▶ in flight ─▶ settled
//                                             │    ▲
//                              lost() or nack ▼    │ in the order of submission, before all that waits
//                                              again
//
// Within a key messages are sent in the order of submission, and after a loss in that order again; what the broker
// refused (basic.nack) is sent again behind what it took meanwhile. A deadline that passes settles the message wherever
// it is; what is in flight by then keeps its place in the window until the broker has answered.
class publish_window {
public:
    static constexpr std::size_t message_octets = 256;  // what a message costs beside its body and its names
    // What it costs in memory beside these: its properties and headers, its place, who waits for its outcome.
    static constexpr std::size_t pool_message_octets = 1'024;

    using ticket = std::uint64_t;  // of one submission; counts up from 1

    struct settled {
        ticket id = 0;
        outcome result = outcome::confirmed;
        on_outcome done;  // as submitted; not called by the window
    };
    enum class action : std::uint8_t {
        none,
        reopen_refused,  // open the channel anew: the broker took a message not yet and has answered all others
        reopen_late,     // open the channel anew: confirms are late
        next_url,        // give the connection up and take the next URL: a fresh channel was silent, too
    };

    explicit publish_window(publisher_options limits = {});
    ~publish_window();
    publish_window(const publish_window&) = delete;
    publish_window& operator=(const publish_window&) = delete;

    // The ticket, or 0 when a limit refuses the message; it is settled as overloaded then.
    ticket submit(publication p, publish_options options, on_outcome done = {});

    // What the broker and the channel do. A channel's tags begin at 1 with opened().
    void opened(steady_time now);
    void lost();
    void blocked(bool is, steady_time now);
    void confirmed(std::uint64_t tag, bool multiple, bool positive, steady_time now);
    // basic.return; comes before its confirm. A body that was too large to be kept has only a size.
    void returned(const basic_return& what, const basic_properties& properties, std::string_view body,
                  std::optional<std::uint64_t> size_only = {});
    // Passes time: about every deadline_wheel::tick, and when next_tick() says so.
    void tick(steady_time now);

    // What is to be published now, or null: the window is full, or closed, or nothing waits. The answer is sent() or
    // cannot_encode(); valid until then.
    const publication* next_to_send();
    void sent(steady_time now);
    void cannot_encode();

    // What has been decided since it was asked last.
    action take_action() { return std::exchange(action_, action::none); }
    std::vector<settled> take_settled() { return std::exchange(settled_, {}); }
    // Keys that were full() and have room again.
    std::vector<std::string> take_room() { return std::exchange(room_, {}); }

    // Whoever hands in messages of this key should stop for now; take_room() tells when to go on.
    bool full(std::string_view key) const;
    std::size_t waiting_messages(std::string_view key) const;
    std::size_t waiting_octets(std::string_view key) const;

    std::size_t pending() const noexcept { return pending_; }      // not settled
    std::size_t waiting() const noexcept { return waiting_; }      // of these, never sent
    std::size_t in_flight() const noexcept { return in_flight_; }  // sent on this opening and not answered
    std::size_t in_flight_octets() const noexcept { return in_flight_octets_; }
    std::size_t window() const noexcept { return window_; }  // messages that may be in flight now
    // Nothing to wait for: tick() would do nothing until something is submitted.
    bool idle() const noexcept { return pending_ == 0 && flight_.empty(); }
    // When tick() is to be called next, if not idle.
    std::chrono::milliseconds next_tick(steady_time now) const;
    const publisher_counters& counters() const noexcept { return counters_; }

private:
    static constexpr std::uint32_t none = UINT32_MAX;
    enum class state : std::uint8_t { free, waiting, in_flight, again };

    struct entry {
        publication content;
        on_outcome done;
        ticket id = 0;
        std::uint64_t tag = 0;  // while it is in flight
        std::size_t octets = 0;
        std::uint32_t key = none;                    // while it waits; for ordered ones until they are settled
        std::uint32_t next = none, previous = none;  // in the key's queue
        std::optional<steady_time> refused_at;       // or returned, for the first time
        state where = state::free;
        bool ordered = false, has_queue = false, ever_sent = false, returned = false;
    };
    struct key_state {
        std::string name;
        std::uint32_t first = none, last = none;  // what waits
        std::size_t waiting = 0, waiting_octets = 0;
        std::size_t unsettled = 0;  // ordered messages that were sent
        bool in_turn = false;       // listed in turns_
        bool ordered = false;
        bool full = false;
    };
    // One tag of the present opening. `slot` is none once the message was settled.
    struct flight {
        std::uint32_t slot = none;
        std::size_t octets = 0;
        steady_time sent_at{};
        bool answered = false;
    };
    // From one message's sending to its answer, over and over: what the broker confirms in a given time.
    struct round {
        std::uint64_t last_tag = 0;
        steady_time began{};
        std::size_t answered = 0;
        bool limited = false;  // something waited for a place
    };

    bool over_limits(const key_state* of, std::string_view key, std::size_t octets) const noexcept;
    std::uint32_t key_of(std::string name);
    const key_state* find(std::string_view key) const;
    std::size_t high_mark(const key_state& of) const noexcept;
    std::size_t octets_high_mark() const noexcept;
    void enqueue(std::uint32_t slot, std::uint32_t key);
    void dequeue(std::uint32_t slot);
    void take_turn(std::uint32_t key);
    void drop_if_unused(std::uint32_t key);
    std::uint32_t next_slot();
    void answered(flight& f, bool positive, steady_time now);
    void fit_window(std::uint64_t tag, steady_time now);
    void begin_round(steady_time now);
    void pop_answered();
    void retry_refused(steady_time now);
    void judge_lateness(steady_time now);
    void settle(std::uint32_t slot, outcome result);
    static outcome fate_of(const entry& e) noexcept;
    void check_invariants() const;

    const publisher_options limits_;
    std::deque<entry> entries_;  // by slot
    std::vector<std::uint32_t> free_entries_;
    deadline_wheel deadlines_;  // by slot
    std::deque<key_state> keys_;
    std::vector<std::uint32_t> free_keys_;
    std::unordered_map<std::string, std::uint32_t, string_hash, std::equal_to<>> key_index_;
    std::deque<std::uint32_t> turns_;  // keys that may send, next one first
    std::deque<std::uint32_t> again_;  // slots that were sent and have to be sent again, by ticket
    std::deque<flight> flight_;        // by tag; the first one's is first_tag_
    std::uint64_t first_tag_ = 1;
    ticket last_ticket_ = 0;
    std::uint32_t selected_ = none;  // by next_to_send()

    std::size_t pending_ = 0, pending_octets_ = 0;
    std::size_t waiting_ = 0, waiting_keys_ = 0;
    std::size_t in_flight_ = 0, in_flight_octets_ = 0;
    std::size_t window_;
    round round_;
    std::chrono::nanoseconds quickest_ = std::chrono::nanoseconds::max();  // confirm of this opening

    bool open_ = false;
    bool blocked_ = false;
    // A message was refused: nothing is sent until the rest has been answered, and in the pause.
    bool draining_ = false;
    unsigned refusals_ = 0;  // in a row: channels that were reopened because of one
    steady_time last_refusal_{};
    std::optional<steady_time> retry_at_;          // what was refused
    steady_time last_answer_{};                    // or since when there is something to answer
    unsigned late_ = 0;                            // in a row: reopened because of lateness, without an answer since
    std::optional<steady_time> reopened_late_at_;  // and not opened since

    action action_ = action::none;
    std::vector<settled> settled_;
    std::vector<std::string> room_;
    std::vector<std::uint32_t> due_;  // scratch
    publisher_counters counters_;
};

}  // namespace foz::amqp
