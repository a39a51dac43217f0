// The sessions of one shard: what comes in goes to the right ones. No I/O.
#pragma once

#include "aggregator/channel/entry_run.hpp"
#include "aggregator/session/disconnect_order.hpp"
#include "aggregator/session/session.hpp"
#include "aggregator/session/session_context.hpp"
#include "aggregator/session/unheard_answers.hpp"
#include "base/slot_table.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace foz::aggregator {

// Everything a hub is given is an event with its consequences as calls of hub_output; time is what the clock says, and
// timers run from the wheel. Lives on one shard; nothing is locked.
class hub final : private request_listener {
public:
    struct surroundings {
        const clock& time;
        net::timing_wheel& wheel;
        random_source& random;
        hub_output& out;
        unsigned shard = 0;
        // Of the tables of names that clients choose. No order depends on it.
        std::uint64_t hash_seed = 0;
    };

    // All outlive the hub.
    hub(const session_settings& config, surroundings around);
    ~hub();
    hub(const hub&) = delete;
    hub& operator=(const hub&) = delete;

    void start();
    void stop();

    // Sockets. A member is known from opened() to closed(); events of one that has gone are ignored.
    member opened(session_options options);
    // The client has as many sockets as it may; to be asked before opened(). `own`: its limits, or null for the
    // configuration's.
    bool has_enough_sockets(const client_id& client, const client_limits* own) const;
    // What a session says at its beginning; after opened(), when its socket can be written to.
    void begin(member who);
    void on_text(member who, std::string_view text);
    void on_violation(member who);
    void on_drained(member who);
    // It would block, and has taken nothing for a while.
    void on_still_blocked(member who);
    // `clean`: the peer has read everything up to the close frame.
    void closed(member who, bool clean = false);

    // The broker's side.
    void on_outcome(publish_ticket ticket, amqp::outcome result);
    // Fewer of the client's messages wait.
    void on_room(const client_id& client);
    // To those whom it reaches, at once …
    void dispatch(const entry_ref& item);
    // … or joined with those that come before hand_out(), which is to follow in this turn.
    void collect(const entry_ref& item);
    void hand_out();
    // Entries from before this aggregator began: nobody is waiting for them, clients that come back are.
    void remember(const entry_ref& item);
    void on_page(const reading_id& which, page next_page);
    void set_reply_queue(std::size_t channel, const std::string& queue);
    void set_service(std::size_t channel, bool there);
    // The channel's stream has lost entries or was made anew, or an entry was too large: sessions that hear it are
    // told.
    void gap(std::size_t channel, envelope::gap_cause cause, const std::optional<envelope::position>& where = {});
    // What was remembered does not lead to what comes next.
    void forget_history(std::size_t channel);
    // A volatile channel's answers can't come any more: what waits for one fails, a portion at a time.
    void interrupt(std::size_t channel);

    // Closes the sockets that an operator means, whatever is owed to them. How many that were.
    std::size_t disconnect(const disconnect_order& what);

    // Tells every session to go elsewhere, and closes them one after the other, each when nothing is owed to it any
    // more: until then everything goes on.
    void drain();
    // Those that are still there close now. What they wait for on volatile channels fails.
    void end_drain();
    bool drains() const noexcept { return drains_; }
    std::size_t answers_awaited() const noexcept { return shared_.asked.awaited(); }
    // What another aggregator has told a client that was leaving it.
    void told_elsewhere(const client_id& client, const told_answer& what);
    // Whom it meets is not let in any more, and sent away if here. False: there is no room for more of them.
    bool revoke(const revocation& what);
    bool is_revoked(std::string_view client, std::string_view session, const client_rights& rights) const {
        return shared_.revoked.meets(client, session, rights);
    }
    // Nothing has consumed the channel's queue for as long as the channel's settings allow.
    bool no_service(std::size_t channel) const { return shared_.no_service(channel, false); }
    // What the settings grant to whoever has no token.
    const client_rights& unnamed() const noexcept { return shared_.unnamed; }
    // Services were told that all sessions are closed, since the aggregator said nothing for too long.
    void tell_presence_again();
    // Work over many sessions, a portion of it. True: there is more.
    bool work();

    // Calls to(channel, resume_cursor::state) for everything that is being resumed.
    template <class F>
    void each_resume(F&& to) const {
        for (std::uint32_t i = 0; i < slots_.extent(); ++i)
            if (const session* const one = slots_[i].get()) one->each_resume(to);
    }
    std::size_t sessions() const noexcept { return slots_.size(); }
    std::uint64_t questions_forgotten() const noexcept { return shared_.asked_of_clients.forgotten(); }
    std::size_t requests_waiting() const noexcept { return shared_.asked.waiting(); }
    const hub_counters& counters() const noexcept { return shared_.counters; }
    hub_counters& counters() noexcept { return shared_.counters; }
    const session_settings& config() const noexcept { return shared_.config; }
    std::optional<std::size_t> channel_index(std::string_view name) const { return shared_.channel_index(name); }

private:
    // A client whose sockets are to be looked at then.
    struct life_round {
        client_id client;
        steady_time due;
    };
    // Over all sessions: they are told to go, or closed.
    struct drain_round {
        std::uint32_t next_slot = 0;
        std::size_t told = 0;
        std::size_t of = 0;
        std::chrono::milliseconds spread{0};
    };
    // A session that may go then.
    struct departure {
        steady_time due;
        member who;
        friend auto operator<=>(const departure&, const departure&) = default;
    };

    // request_listener
    bool is_open(member who) const override;
    void respond(member who, const reply_context& context, std::string_view json) override;
    void respond_to_all(const client_id& client, const reply_context& context, std::string_view json) override;
    void on_join(const join_question& join, const entry_answer* answer, const client_error* error) override;
    void on_refused(error_code why) override { shared_.count_refused(why); }
    void on_owed(member who, bool more) override;

    session* find(member who) const;
    session* newest_of(std::string_view client) const;
    // Of this one's device.
    session* newest_beside(const session& one) const;
    // Tells what this socket's client may not have heard, if anything.
    void tell_again(session& to, const unheard_answers* unheard);
    // What a socket was told that may be dead: to the newest one, and to those that come.
    // How many answers that were.
    std::size_t pass_unheard(session& from);
    bool pass_on(std::size_t budget);
    void keep_for(const client_id& client, const told_answer& what);
    bool say_presence(std::size_t budget);
    bool go_on_revoking(std::size_t budget);
    void start_life_timer(steady_time due);
    void deliver(const entry& item);
    void deliver_answer(const entry& item);
    void wake_ahead(std::size_t channel);
    bool tell_positions(std::size_t budget);
    bool ask_for_life(std::size_t budget);
    void expect_life(std::deque<life_round>& rounds, const client_id& client, std::chrono::milliseconds within);
    void check_life(const client_id& client);
    bool discard(std::size_t budget);
    void void_history(channel& on);
    // hub_drain.cpp
    bool go_round(std::size_t budget);
    void send_away(session& one, std::chrono::milliseconds after);
    bool let_go(std::size_t budget);
    void on_departure();
    bool go_on_resuming(std::size_t budget);
    void settle_joins();
    void on_position_interval();
    void on_life_timer();
    void on_rate_room(member who);

    // An answer to a question whether a session may join: it is passed on when nobody is in the middle of anything.
    struct settled_join {
        join_question what;
        std::optional<entry_answer> answer;
        std::optional<client_error> error;
    };

    std::uint64_t position_stride_ = 1;  // entries between two looks at whose turn it is to be told its position
    session_context shared_;
    entry_run run_;  // collected, and remembered already
    bool drains_ = false;
    slot_table<std::unique_ptr<session>> slots_;
    std::uint32_t generations_ = 0;  // of the session that came last
    std::deque<settled_join> joins_;
    bool settling_ = false;
    std::unordered_set<client_id> has_come_again_;  // clients whose other sockets are to be asked for a sign of life
    std::deque<life_round> to_ask_;                 // these clients, in turn
    std::deque<member> to_be_asked_;
    std::deque<life_round> to_check_;              // who has been asked
    std::deque<recent_entries::block> discarded_;  // what is remembered no more
    std::optional<drain_round> drain_;
    bool drain_over_ = false;
    std::optional<std::uint32_t> presence_round_;  // the next slot
    std::deque<revocation> to_revoke_;             // sessions are looked through for the first one …
    std::uint32_t revoke_round_ = 0;               // … from this slot on
    std::priority_queue<departure, std::vector<departure>, std::greater<>> departures_;
    std::deque<member> settled_;  // may leave, and nothing is owed to them any more
    net::wheel_timer departure_timer_{this, [](hub& self) { self.on_departure(); }};
    std::deque<member> to_pass_;  // whose unheard answers are to be passed on
    left_behind unheard_;
    steady_time life_due_{};
    net::wheel_timer life_timer_{this, [](hub& self) { self.on_life_timer(); }};
    net::wheel_timer position_timer_{this, [](hub& self) { self.on_position_interval(); }};
};

}  // namespace foz::aggregator
