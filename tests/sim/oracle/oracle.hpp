// What must hold, and whether it does. Sees everything that clients, services and the broker see; changes nothing.
#pragma once

#include "aggregator/channel/interest.hpp"
#include "broker/broker_process.hpp"
#include "clients/heard.hpp"
#include "core/environment.hpp"
#include "envelope/position.hpp"
#include "oracle/findings.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace foz::sim {

class client;
struct publish_wish;

// An entry of a stream, as the broker has it.
struct stream_entry {
    unsigned generation = 0;
    std::uint64_t offset = 0;
    std::uint32_t check = 0;
    steady_time at;
    std::string id;
    std::string topic;
    bool broadcast = false;
    std::vector<std::string> groups;
    std::vector<std::string> receivers;
    bool addressed = false;  // otherwise it is an answer, or a marker
    bool too_large = false;
    bool expires = false;
    std::optional<std::size_t> first;  // says again what that entry has said
};

// Whom it is for, as its publisher says it.
void address(stream_entry& made, const std::string& channel, std::string_view routing_key,
             const amqp::basic_properties& properties);

class oracle final : public broker_watcher {
public:
    oracle(environment& around, findings& found);

    findings& found() noexcept { return found_; }
    std::int64_t next_number() { return ++numbers_; }
    // Of the request that primus-responder's frame answers; 0: it is none.
    static std::int64_t number_answered(std::string_view text);
    // The number of the request that a page of the stock client asks by this frame; 0: it is none.
    static std::int64_t number_asked(std::string_view text);
    // The socket on which a request was answered has shown life since: it may die before its page has read that.
    void may_have_heard(std::int64_t number);
    // Of a message that a client has sent; 0: it is none.
    static std::int64_t number_in(std::string_view body);

    // From the broker.
    void on_confirmed(const std::string& message_id) override { confirmed_.insert(message_id); }
    void on_dead(const broker::message_ref& what) override;
    void on_published(const amqp::publication& what, const process& by) override;
    void on_entry(const std::string& stream, unsigned generation, std::uint64_t offset,
                  const broker::message_ref& what) override;

    // From services: a handler has run and its effects are stored.
    void handled(std::int64_t number, std::size_t channel, const std::string& client);
    // What it has published counts as said: a queue has it.
    void told_confirmed(const process& who, const std::string& id);
    // It may not be handled, and nobody is to blame.
    void excuse(std::int64_t number);

    // An aggregator, the broker or a link between them stands still, or this client alone: what is told may arrive a
    // minute later, or never.
    void disturb() { disturbed_ = around_.time.now(); }
    void disturb(const client& who);

    // From clients.
    void session_begins(client& who);
    void session_ends(client& who);
    // `fresh`: it does not say where to go on. `id`: of the frame; empty: it is in the handshake.
    void asks_to_hear(client& who, std::size_t channel, const aggregator::interest& what, bool fresh,
                      const std::string& id);
    // `told`: the aggregator is told, and answers.
    void leaves(client& who, std::size_t channel, bool told);
    bool hears(const client& who, std::size_t channel) const;
    // Any frame at all.
    void hears_something(client& who) { listeners_[who_index(who)].heard_at = around_.time.now(); }
    // `to_page`: the page hears it, too.
    void gets_message(client& who, const heard& frame, bool to_page);
    void gets_consuming(client& who, const heard& frame);
    void gets_position(client& who, const heard& frame);
    void gets_gap(client& who, const heard& frame);
    void submits(client& who, const publish_wish& what, const std::string& id);
    void gets_receipt(client& who, std::int64_t number);
    void gets_answer(client& who, std::int64_t number, const heard& frame);
    void fails(client& who, std::int64_t number, const heard& frame);
    void must_try_again(client& who, std::int64_t number);
    // An aggregator says so, whether or not its client hears it: what is sent again comes later.
    void given_up(std::int64_t number);
    std::int64_t number_of(const client& who, const std::string& id) const;

    // Whether all that was promised has come true, by now; the first thing that has not.
    std::optional<finding> unfinished(const std::vector<client*>& all);

    // For the minimum that a run has to bring about.
    std::uint64_t answers() const noexcept { return answers_; }
    std::uint64_t receipts() const noexcept { return receipts_; }
    std::uint64_t messages() const noexcept { return messages_; }
    std::uint64_t entries() const noexcept;
    std::map<std::string, std::uint64_t> gaps;    // told, by cause
    std::map<std::string, std::uint64_t> errors;  // told, by code

private:
    struct place {
        unsigned generation = 0;
        std::uint64_t offset = 0;
        friend auto operator<=>(const place&, const place&) = default;
    };
    // What it has asked for and has no answer about yet.
    struct ask {
        std::string id;
        aggregator::interest what;
        bool resumes = false;  // it says where to go on
    };
    // A message of a volatile channel that a client has not heard, though it heard one behind it.
    struct left_out {
        std::string id;
        steady_time noticed;
    };
    // What a client hears on a channel.
    struct listening {
        aggregator::interest wanted;  // all that was granted
        std::vector<ask> asks;
        bool active = false;
        bool may_go_back = false;       // it has said where to go on while it was hearing
        std::optional<place> at;        // everything up to here has been heard, or is excused
        std::optional<place> furthest;  // the same, before it went back
        std::optional<place> resumed_from;
        bool live = false;      // as far as it has been told: nothing is being resumed
        bool was_live = false;  // when its last session ended
        bool gap_open = false;  // a gap was told: what comes next may leave something out
        // Volatile channels: the last one that was heard; the last one that was published only once, so that it is
        // known which one that was, and what was granted by then; and what was left out since while no gap was told.
        std::uint64_t sequence = 0;
        std::uint64_t certain = 0;
        aggregator::interest granted_by_then;
        std::optional<left_out> untold;

        void is_at(const place& where) {
            at = where;
            if (!furthest || *furthest < where) furthest = where;
        }
        bool is_there() const { return active || !asks.empty(); }
        bool asks_to_go_back() const { return std::ranges::any_of(asks, &ask::resumes); }
    };
    struct listener {
        std::vector<listening> channels;
        std::deque<std::size_t> leaving;  // channels that it has left, when the aggregator has not answered yet
        bool handshake_awaited = false;   // the answer to what is consumed in the handshake
        std::unordered_map<std::string, std::size_t> page_ids;  // what its page has heard: the entry
        steady_time heard_at{};                                 // anything
        steady_time left_at{};                                  // the same, of the session before
        std::optional<steady_time> disturbed;
    };
    struct inbound {
        unsigned client = 0;
        std::string identity;
        std::size_t channel = 0;
        std::string id;
        bool answer = false;
        bool plugin = false;
        std::uint32_t session = 0;
        std::int64_t order = 0;  // in which messages were said
        bool receipt = false, answered = false, failed = false, excused = false, retried = false;
        bool told = false;     // on a socket that has shown life since
        bool unknown = false;  // its socket has gone, and it is not sent again
        unsigned handled = 0;
        std::optional<steady_time> answer_in_stream;
        std::size_t answer_index = 0;  // among the stream's entries
    };
    struct stream_state {
        std::vector<stream_entry> entries;
        std::vector<std::size_t> generations;  // where each begins
        std::unordered_map<std::string, std::size_t> first_by_id;
        std::uint64_t first_kept = 0;  // retention has removed what is before
        // The same entry stands at the same place in two streams: nobody can tell them apart there.
        bool alike = false;
    };

    // oracle_hearing.cpp
    listening* listening_of(const client& who, const std::string& channel, std::size_t& index);
    std::optional<place> resolve(std::size_t channel, const std::string& position, std::size_t* index = nullptr) const;
    std::size_t index_of(std::size_t channel, const place& at) const;
    bool wants(const client& who, const aggregator::interest& what, const stream_entry& entry) const;
    bool must_hear(const client& who, std::size_t channel, const listening& state, const stream_entry& entry,
                   std::size_t index) const;
    // Everything between the two that it wants has been left out. `inclusive`: `to`, too.
    void check_hole(client& who, std::size_t channel, listening& state, const place& to, bool inclusive);
    void check_gap(client& who, std::size_t channel, const listening& state, const heard& frame);
    void check_position_was_told(client& who, std::size_t channel, const listening& state);
    // oracle_volatile.cpp
    void note_volatile(const amqp::publication& what);
    void hears_volatile(client& who, std::size_t channel, listening& state, const heard& frame);
    void check_untold(const client& who, std::size_t channel, const listening& state);
    void check_repetition(client& who, std::size_t channel, std::size_t index, const heard& frame, bool to_page);
    std::optional<finding> still_to_hear(client& who, std::size_t channel);
    // What comes now was sent before the aggregator knew that it has left.
    bool is_leaving(const client& who, std::size_t channel) const;
    void refuse_consume(client& who, const heard& frame);
    void refresh_bounds(std::size_t channel);
    // Something stood still shortly before: what is told may be late.
    bool disturbed_recently(const client& who) const;

    static unsigned who_index(const client& who);
    bool durable(std::size_t channel) const {
        return around_.with.channels[channel].delivery == contract::delivery_kind::durable;
    }
    void answer_appears(std::string_view body, std::size_t index);
    std::optional<finding> still_to_answer(const client& who);
    // Retention has taken it, or it was in another stream.
    bool is_gone(std::size_t channel, std::size_t index);
    std::optional<finding> still_to_handle() const;

    environment& around_;
    findings& found_;
    std::vector<listener> listeners_;
    std::vector<stream_state> streams_;  // by channel
    // What the broker took for volatile channels, numbered from 1, and the numbers of each message id.
    std::vector<std::pair<std::size_t, stream_entry>> volatile_;  // with the channel
    std::unordered_map<std::string, std::vector<std::uint64_t>> volatile_order_;
    std::unordered_set<std::string> confirmed_;
    std::map<std::int64_t, inbound> inbound_;
    std::unordered_map<std::string, std::int64_t> numbers_by_id_;  // "<identity>/<id>"
    // By client and channel: its place in the order, and its number.
    std::map<std::pair<std::string, std::size_t>, std::pair<std::int64_t, std::int64_t>> last_handled_;
    std::set<std::pair<std::string, std::size_t>> disordered_;  // clients that were told to try again
    std::map<std::string, std::set<unsigned>> sharing_;         // who goes by that name
    std::optional<steady_time> disturbed_;
    std::int64_t numbers_ = 0;
    std::int64_t said_ = 0;
    std::uint64_t answers_ = 0, receipts_ = 0, messages_ = 0;
};

}  // namespace foz::sim
