// What the clients of one shard wait for, and what became of it.
#pragma once

#include "aggregator/channel/entry.hpp"
#include "aggregator/channel/member.hpp"
#include "aggregator/session/client_error.hpp"
#include "aggregator/session/hub_output.hpp"
#include "aggregator/session/session_settings.hpp"
#include "envelope/envelope.hpp"
#include "envelope/events.hpp"
#include "net/timing_wheel.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace foz::aggregator {

// Whom to tell: one frame of one socket, which may be gone by then.
struct waiter {
    member session;
    client_id client;  // whose other sockets are told when this one has gone
    reply_context context;
    envelope::ack_mode ack = envelope::ack_mode::none;  // what it wants to hear; errors always come
};

// A question of our own to a channel's service: may this session join this group?
struct join_question {
    member session;
    std::uint64_t consume = 0;  // of the session: which of its consumes waits
    std::size_t channel = 0;
    std::string group;
};

// One message on its way, until everything that was to be heard of it has been heard.
struct request {
    std::string key;     // requests::key_of(); empty: nothing comes back
    std::string id_key;  // of the message's own id (channel, client, device, id); empty: it has none
    std::size_t channel = 0;
    envelope::ack_mode ack = envelope::ack_mode::none;
    bool progress = false;
    bool told_confirmed = false;
    bool taken = false;    // somebody has said something of it: the broker had it, whatever became of its confirm
    bool awaited = false;  // its answer will come, or its time-out
    bool owed = false;     // this, or the outcome of a publish; its sessions have been told so
    bool cancelled = false;
    std::vector<waiter> waiters;
    client_id counted_for;              // against whose limit; empty: nobody's
    std::optional<join_question> join;  // a question of our own: it has no waiters
    std::size_t unconfirmed = 0;        // of its messages: it may go to several channels
    std::chrono::milliseconds patience{0};
    std::optional<client_error> error;
};

// Who is told. Nothing here calls the requests back.
class request_listener {
public:
    virtual bool is_open(member who) const = 0;
    // One event, for the frame that `context` names.
    virtual void respond(member who, const reply_context& context, std::string_view json) = 0;
    // To every socket of the client: what was to be told to one that has gone.
    virtual void respond_to_all(const client_id& client, const reply_context& context, std::string_view json) = 0;
    // The answer, or why there is none.
    virtual void on_join(const join_question& join, const entry_answer* answer, const client_error* error) = 0;
    virtual void on_refused(error_code why) = 0;  // a request has failed: for the counters
    // One answer or outcome more, or one less, is owed to this session. Each that was added is taken away once.
    virtual void on_owed(member who, bool more) = 0;

protected:
    ~request_listener() = default;
};

// Ids that were used lately are remembered with their outcome, so that what is sent again gets the original's outcome
// instead of being done again; what failed without a final outcome may be tried again. Lives on one shard. No I/O.
class requests {
public:
    // All outlive this.
    requests(request_listener& listener, const clock& time, net::timing_wheel& wheel, const session_settings& config);
    ~requests();
    requests(const requests&) = delete;
    requests& operator=(const requests&) = delete;

    // True when the id is known: its outcome is told now, or when it comes.
    bool resend(const std::string& id_key, const waiter& who);
    // Nobody waits for it any more: whoever waited is told `cancelled`, and nothing after that. When it has its outcome
    // already, `who` is told that, and it is false. What is not known here may have been asked elsewhere: then what
    // comes back to `key` is not passed on.
    bool cancel(const std::string& id_key, const std::string& key, const waiter& who);
    // Waits, or has had its outcome lately.
    bool knows(const std::string& id_key) const { return outcomes_.contains(id_key) || open_ids_.contains(id_key); }
    // Begins to wait; `patience` counts for what has a key.
    void begin(const std::shared_ptr<request>& what, std::chrono::milliseconds patience);
    // One for each of its messages: on_outcome() is called with it.
    publish_ticket await_outcome(const std::shared_ptr<request>& what);
    void on_outcome(publish_ticket ticket, amqp::outcome result);
    // True when someone waited here, or had waited and was told already. `item` is of an answer.
    bool take(const entry& item);
    bool waits_for(std::size_t channel, const entry_answer& answer) const;
    // What comes back to one request.
    static std::string key_of(std::size_t channel, const contract::correlation& to);
    // What names a message of a client's on a channel.
    static std::string id_key_of(std::size_t channel, const client_id& client, std::string_view device,
                                 std::string_view id);
    // Of all sockets of one client, those that have gone included.
    std::size_t waiting(const client_id& client) const;
    // Everything that waits on this channel now has lost its way back: fail_interrupted() tells it, and what begins
    // from here on is not meant. False when nothing waits.
    bool interrupt(std::size_t channel);
    // So many of them fail, the oldest first. True: there are more.
    bool fail_interrupted(std::size_t budget);

    std::size_t waiting() const noexcept { return open_.size(); }
    // Of these, for an answer and not for progress alone.
    std::size_t awaited() const noexcept { return awaited_; }
    // The `answer`, or `error`, that an answer becomes for whoever asked.
    static std::string render(const entry_answer& answer, const reply_context& context);
    // The `part` that one of many answers becomes; empty without an id, which it needs.
    static std::string render_part(std::string_view channel, const entry& item, std::string_view id);

private:
    struct open_request;
    // What waits on one channel, in the order in which it began.
    struct line {
        open_request* first = nullptr;
        open_request* last = nullptr;
        std::uint64_t cut_to = 0;  // what began up to here has lost its way back
    };

    // Tells its sessions whether something is owed to them, if that has changed.
    void weigh(request& what);
    void join_line(open_request& one);
    void leave_line(open_request& one);
    void confirmed(const std::shared_ptr<request>& what);
    void end(const std::shared_ptr<request>& what);
    void fail(const std::shared_ptr<request>& what, const client_error& error);
    void answered(const std::shared_ptr<request>& what, const entry_answer& answer);
    void for_each_listener(const request& what, const std::function<void(const waiter&)>& work) const;
    void tell(const waiter& who, const std::string& json);
    void tell_progress(request& what, envelope::progress_state state, std::uint64_t attempt);
    void tell_event(const request& what, const std::string& json);
    void remember(const std::string& id_key, std::string json);
    void remember_ended(const std::string& key);
    void on_timeout(const std::shared_ptr<request>& what);

    request_listener& listener_;
    const clock& time_;
    net::timing_wheel& wheel_;
    const session_settings& config_;
    std::vector<line> lines_;  // by channel; the open ones leave it when they are destroyed
    std::uint64_t begun_ = 0;
    std::size_t awaited_ = 0;
    std::unordered_map<std::string, std::unique_ptr<open_request>> open_;  // by key
    std::unordered_map<std::string, std::shared_ptr<request>> open_ids_;   // by id_key
    std::unordered_map<publish_ticket, std::shared_ptr<request>> unconfirmed_;
    publish_ticket last_ticket_ = 0;
    std::unordered_map<std::string, std::string> outcomes_;  // by id_key: the event that was told
    std::deque<std::string> outcome_order_;
    std::size_t outcome_bytes_ = 0;
    std::unordered_set<std::string> ended_;  // keys that were answered lately: a late notice is not told again
    std::deque<std::string> ended_order_;
    std::unordered_map<client_id, std::size_t> waiting_;
};

}  // namespace foz::aggregator
