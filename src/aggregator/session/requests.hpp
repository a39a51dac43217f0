// What the clients of one shard wait for, and what became of it.
#pragma once

#include "aggregator/feed/decode.hpp"
#include "aggregator/session/client_error.hpp"
#include "amqp/conn/publisher.hpp"
#include "envelope/envelope.hpp"
#include "net/timing_wheel.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace foz::aggregator {

class hub;
class session;

// Whom to tell: one frame of one socket. Sockets are named by their serial, since they may go at any time.
struct waiter {
    std::uint64_t session = 0;
    client_id client;  // whose other sockets are told when this one has gone
    reply_context context;
    envelope::ack_mode ack = envelope::ack_mode::none;  // what it wants to hear; errors always come
};

// One message on its way, until everything that was to be heard of it has been heard.
struct request {
    using on_end = std::move_only_function<void(const entry_answer*, const client_error*)>;

    std::string key;     // requests::key_of(); empty: nothing comes back
    std::string id_key;  // of the message's own id (channel, client, id); empty: it has none
    std::size_t channel = 0;
    envelope::ack_mode ack = envelope::ack_mode::none;
    bool progress = false;
    bool told_confirmed = false;
    std::vector<waiter> waiters;
    std::uint64_t first_session = 0;  // which this counts for; 0: for none
    on_end internal;                  // a question of our own: called instead of telling anyone
    std::size_t unconfirmed = 0;      // of its messages: it may go to several channels
    std::optional<client_error> error;
};

// Lives on a hub. Ids that were used lately are remembered with their outcome, so that what is sent again gets the
// original's outcome instead of being done again; what failed without a final outcome may be tried again.
class requests {
public:
    requests(hub& home, std::size_t outcomes_max);
    ~requests();

    // True when the id is known: its outcome is told now, or when it comes.
    bool resend(const std::string& id_key, const waiter& who);
    // Begins to wait; `patience` counts for what has a key. on_outcome() is called for each of its messages.
    void begin(const std::shared_ptr<request>& what, std::chrono::milliseconds patience);
    void on_outcome(const std::shared_ptr<request>& what, amqp::outcome result);
    // True when someone waited here, or had waited and was told already.
    bool take(std::size_t channel, const entry_answer& answer);
    bool waits_for(std::size_t channel, const entry_answer& answer) const;
    // What comes back to one request.
    static std::string key_of(std::size_t channel, const contract::correlation& to);
    // Of one socket.
    std::size_t waiting(std::uint64_t session) const;
    // Requests of this channel have lost their way back.
    void interrupt(std::size_t channel);

    std::size_t waiting() const noexcept { return open_.size(); }
    // The `answer`, or `error`, that an answer becomes for whoever asked.
    static std::string render(const entry_answer& answer, const reply_context& context);

private:
    struct open_request;

    void end(const std::shared_ptr<request>& what);
    void fail(const std::shared_ptr<request>& what, const client_error& error);
    session* socket_of(const waiter& who) const;
    void for_each_listener(const request& what, const std::function<void(const waiter&)>& work) const;
    void tell(const waiter& who, const std::string& json);
    void tell_progress(request& what, envelope::progress_state state, std::uint64_t attempt);
    void tell_event(const request& what, envelope::progress_state state, std::uint64_t attempt);
    void remember(const request& what, std::string json);
    void on_timeout(const std::shared_ptr<request>& what);

    hub& hub_;
    const std::size_t outcomes_max_;
    std::unordered_map<std::string, std::unique_ptr<open_request>> open_;  // by key
    std::unordered_map<std::string, std::shared_ptr<request>> open_ids_;   // by id_key
    std::unordered_map<std::string, std::string> outcomes_;                // by id_key: the event that was told
    std::deque<std::string> outcome_order_;
    std::size_t outcome_bytes_ = 0;
    std::unordered_set<std::string> ended_;  // keys that were answered lately: a late notice is not told again
    std::deque<std::string> ended_order_;
    std::unordered_map<std::uint64_t, std::size_t> waiting_;  // requests by the session that asked first
};

}  // namespace foz::aggregator
