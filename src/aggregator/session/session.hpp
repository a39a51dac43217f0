// One client's socket: what Primus, primus-responder and the envelope say on it. No I/O.
#pragma once

#include "aggregator/channel/audience.hpp"
#include "aggregator/channel/page.hpp"
#include "aggregator/channel/resume_cursor.hpp"
#include "aggregator/session/authority.hpp"
#include "aggregator/session/client_error.hpp"
#include "aggregator/session/client_rights.hpp"
#include "aggregator/session/pending_consume.hpp"
#include "aggregator/session/session_context.hpp"
#include "aggregator/session/unheard_answers.hpp"
#include "base/seldom.hpp"
#include "contract/message_id.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace foz::aggregator {

struct session_options {
    client_id client;
    session_id id;
    std::optional<std::size_t> bound_channel;     // ?channel=chat
    std::vector<std::size_t> consume_at_open;     // ?consume=chat,tickets
    std::shared_ptr<const client_rights> rights;  // of who has shown who it is; null: the settings'
    std::string device;                           // with rights: tells the client's devices apart
    bool hello = false;                           // wants a welcome
    // Of the client, when they are not the configuration's (of a token: those of its rights): what its newest socket
    // brought counts for all.
    std::shared_ptr<const client_limits> limits;
};

// Owned by the hub of its shard, from the handshake to the socket's end.
class session {
public:
    session(session_context& shared, member self, session_options options);
    session(const session&) = delete;
    session& operator=(const session&) = delete;

    member self() const noexcept { return self_; }
    std::string_view client() const { return shared_.names.client_of(self_); }
    std::string_view id() const { return shared_.names.session_of(self_); }
    const client_rights& rights() const noexcept { return authority_ ? *authority_->rights : shared_.unnamed; }
    // Of a client that has shown who it is: which of its devices this is; else empty.
    std::string_view device() const noexcept { return authority_ ? std::string_view(authority_->device) : ""; }
    steady_time opened_at() const noexcept { return opened_at_; }

    // From the socket.
    void on_open();
    void ping();
    void on_text(std::string_view text);
    void on_closed();
    // The peer broke the protocol: the last words before the close frame.
    void on_violation();
    void on_drained();
    void on_still_blocked();

    // From the hub.
    // `pieces`: of one frame, one behind the other; or one with the frames of so many entries, of which this is the
    // first.
    void deliver(std::span<const frame_ref> pieces, const entry& item, std::size_t entries = 1);
    void on_page(const reading_id& which, page next_page);
    // Goes on with what it was resuming, for so many entries. True: there is more to do.
    bool go_on(std::size_t channel, std::size_t& budget);
    void tell_position(std::size_t channel, const frame_ref& frame);
    void tell_gap(std::size_t channel, const frame_ref& frame, envelope::gap_cause cause);
    // An answer to what this aggregator was not asked.
    void pass_answer(const entry& item);
    void on_join(const join_question& join, const entry_answer* answer, const client_error* error);
    // Services were told that it is closed, and it is not.
    void tell_presence_again();
    // Tells the client to come back elsewhere after that time. Nothing else changes until leave_when_done().
    void tell_drain(std::chrono::milliseconds after);
    // From now on it closes as soon as nothing is owed to it: answers, receipts, its own answers to questions. False
    // when it stays for now.
    bool leave_when_done();
    // Closes for good: it has been revoked.
    void revoke();
    // Closes, whatever is owed.
    void go_away();
    // The same, and the client is told not to come back.
    void send_off();
    void owe(bool more) noexcept { more ? ++owed_ : --owed_; }
    bool owes() const noexcept { return owed_ > 0; }
    bool may_leave() const noexcept { return may_leave_; }
    void on_room();
    void on_rate_room();
    // Calls to(channel, resume_cursor::state) for each channel that is being resumed.
    template <class F>
    void each_resume(F&& to) const {
        if (const auto* const all = resuming_.find())
            for (const auto& [channel, state] : *all) to(channel, state.cursor.now());
    }
    // It is sent nothing any more.
    bool closing() const noexcept { return closing_; }
    // `json` is one event; it becomes a responder frame when a request asked for it.
    void respond(const reply_context& context, std::string_view json);
    // What it was told and has shown no sign of life since; null: nothing.
    const unheard_answers* unheard() const noexcept { return unheard_.find(); }
    unheard_answers take_unheard();
    // What another socket of this client was told, and has not heard.
    void tell_again(const told_answer& what);

private:
    // A channel on which older entries are being delivered.
    struct resuming {
        resuming(session& s, std::size_t c, std::uint64_t t, const envelope::resume_from& from, std::size_t entries_max)
            : owner(s), channel(c), ticket(t), cursor(from, entries_max) {}
        session& owner;
        const std::size_t channel;
        const std::uint64_t ticket;
        resume_cursor cursor;
        interest wanted;      // what the session hears on the channel
        bool queued = false;  // is among those that go on soon
        // Runs while as much waits for the socket as may; what the aggregator owes is waited for.
        net::wheel_timer patience{this, [](resuming& self) { self.owner.on_patience(self); }};
    };

    struct oddities {
        // By channel and group: what was said to it before, in seconds since 1970, is not for this session.
        std::map<std::pair<std::size_t, std::string>, std::uint64_t> joined_at;
        std::set<std::pair<std::size_t, std::uint64_t>> passed;  // answers, by channel and offset
        std::vector<std::size_t> lossy;  // volatile channels that lost messages since the socket is slow
    };

    void on_data(std::string_view data, reply_context context);
    void on_response(std::string_view id, std::string_view data);
    std::string message_id_of(std::string_view own_id) const {
        return contract::message_id(client(), authority_ ? std::optional(device()) : std::nullopt, own_id);
    }
    void on_ping_interval();
    void close_slow();
    void be_asked(std::size_t channel, const entry_question& what);
    void keep_unheard(told_answer what);
    void send_response(std::string_view request_id, std::string_view json);
    void send_error(const client_error& error, const reply_context& context);
    void send_control(std::string_view json) { shared_.out.send_text(self_, json); }
    std::int64_t now_ms() const { return unix_ms(shared_.time.wall_now()).count(); }
    bool hears(std::size_t channel) const { return shared_.channels[channel].heard.contains(self_); }
    bool durable(std::size_t channel) const {
        return shared_.config.channels[channel].delivery == contract::delivery_kind::durable;
    }

    // session_auth.cpp
    enum class joining : std::uint8_t { allowed, ask, refused };
    void start_token_timer();
    void on_token_time();
    void on_end_of_token();
    void shut_out(const client_error& why, std::uint16_t close_code);
    void refresh(const envelope::envelope& asked, const reply_context& context);
    void tell_rights(const reply_context& context);
    std::optional<client_error> check_consume(std::size_t channel, const interest& wanted) const;
    std::optional<client_error> check_send(const envelope::envelope& asked, bool request, std::size_t channel) const;
    joining may_join(std::size_t channel, const std::string& group) const;
    interest allowed_part(std::size_t channel, interest wanted) const;
    interest narrowed(std::size_t channel, const interest& wanted);
    bool was_granted(const client_rights& before, std::size_t channel, const std::string& group) const;
    void withdraw_pending(const client_rights& before);
    bool hear_what_is_allowed(const client_rights& before);

    // session_consume.cpp
    void consume(const envelope::envelope& asked, const reply_context& context);
    void ask_to_join(const pending_consume& what, std::size_t channel, const std::string& group);
    void complete_pending();
    void complete(const pending_consume& what);
    void note_joins(const pending_consume& what);
    void note_join(std::size_t channel, const std::string& group, std::optional<std::uint64_t> since_s);
    void forget_joins(std::size_t channel, const interest& left);
    std::optional<client_error> read_consume(const envelope::envelope& asked, pending_consume& out) const;
    std::optional<client_error> read_from(const envelope::envelope& asked, pending_consume& out) const;
    std::optional<client_error> read_joins(pending_consume& out) const;
    std::optional<client_error> resolve_channels(const envelope::envelope& asked, std::vector<std::size_t>& out) const;
    std::optional<client_error> read_kinds(const envelope::envelope& asked, interest& out) const;
    std::optional<client_error> read_interest(const envelope::envelope& asked, interest& out) const;
    bool is_me(std::string_view receiver) const;
    void hear(std::size_t channel, const interest& wanted);
    void begin_to_hear(std::size_t channel, const interest& allowed);

    // session_leave.cpp
    void leave(const envelope::envelope& asked, const reply_context& context);
    void leave_channel(std::size_t channel, const interest& left);
    // `from`: where the channels that this consume resumes will begin.
    void send_consuming(const reply_context& context, const std::map<std::size_t, envelope::resume_from>& from = {});
    // Where a client that comes back has missed nothing of what this socket is about to get.
    std::optional<envelope::position> place_of(std::size_t channel,
                                               const std::map<std::size_t, envelope::resume_from>& from) const;
    // foz.opened and foz.closed, for channels whose services want to know.
    void tell_presence(std::size_t channel, bool here);

    // session_publish.cpp
    void publish(const envelope::envelope& asked, reply_context context);
    void cancel(const envelope::envelope& asked, const reply_context& context);
    void pause_while_crowded(std::size_t channel);
    std::optional<client_error> check_publish(const envelope::envelope& asked, envelope::ack_mode ack,
                                              bool from_responder, const std::vector<std::size_t>& channels) const;
    std::optional<client_error> check_request(const envelope::envelope& asked, envelope::ack_mode ack,
                                              const std::vector<std::size_t>& channels) const;
    amqp::publication make_publication(const envelope::envelope& asked, std::size_t channel,
                                       const reply_context& context) const;
    // A message of ours to the channel's service, in this client's name.
    amqp::publication make_internal(std::size_t channel, std::string_view type, std::string body) const;
    void expect_answer(const std::shared_ptr<request>& what, const envelope::envelope& asked,
                       const reply_context& context, amqp::publication& message) const;

    // session_limits.cpp
    rate_limits::client_key rate_key() const { return shared_.rates.key_of(client()); }
    const client_limits& limits() const { return shared_.rates.of(rate_key()); }
    // False: the socket was closed.
    void take_limits(const std::shared_ptr<const client_limits>& own);
    bool count_frame(std::size_t octets);
    bool publishes_too_fast(const std::vector<std::size_t>& channels, const reply_context& context);
    bool slow_down(const rate_limits::excess& by);
    bool close_flooder(const rate_limits::excess& by);

    // session_resume.cpp
    // Null when the channel is not being resumed.
    resuming* resuming_on(std::size_t channel) noexcept;
    const resuming* resuming_on(std::size_t channel) const noexcept;
    void resume(std::size_t channel, const envelope::resume_from& from);
    bool take_step(resuming& state, resume_cursor::step step);
    void go_on_soon(resuming& state);
    void read_interest(resuming& state) const;
    void ask_for_page(resuming& state, envelope::resume_from from);
    void replay(std::size_t channel, const entry_ref& item);
    bool may_replay(std::size_t channel, const entry& item, const entry_route& route) const;
    void send(std::span<const frame_ref> pieces);
    void become_live(std::size_t channel);
    // Live from now on, wherever it was.
    void end_resume(std::size_t channel);
    void on_patience(resuming& state);
    reading_id reading_of(const resuming& state) const;
    void send_gap(std::size_t channel, envelope::gap_cause cause, const std::optional<envelope::position>& where);

    // Ten thousand of these do nothing most of the time: what few of them need is there when they do.
    session_context& shared_;
    const member self_;
    const steady_time opened_at_;
    std::uint64_t frames_ = 0;
    std::uint64_t tickets_ = 0;  // of resumes, consumes and presence
    std::optional<std::uint32_t> bound_channel_;
    bool heard_since_ping_ = true;
    bool closing_ = false;
    bool reading_paused_ = false;  // its messages wait: nothing is read from it
    bool may_leave_ : 1 = false;   // its time to go has come
    bool was_asked_ : 1 = false;   // by a service
    bool slowed_ : 1 = false;      // its client sends too fast: nothing is read
    bool has_own_limits_ : 1 = false;
    std::uint32_t owed_ = 0;                            // answers and outcomes
    std::unique_ptr<session_options> at_open_;          // until on_open()
    std::unique_ptr<authority> authority_;              // null: nobody in particular
    seldom<std::map<std::size_t, resuming>> resuming_;  // by channel
    seldom<oddities> odd_;
    seldom<std::vector<std::unique_ptr<pending_consume>>> pending_;
    seldom<unheard_answers> unheard_;
    net::wheel_timer ping_timer_{this, [](session& self) { self.on_ping_interval(); }};
};

}  // namespace foz::aggregator
