// What the broker's side tells the rest of the aggregator. No I/O.
#pragma once

#include "aggregator/channel/entry.hpp"
#include "aggregator/channel/page.hpp"
#include "aggregator/feed/drop_reason.hpp"
#include "amqp/conn/error.hpp"
#include "envelope/events.hpp"
#include "envelope/position.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace foz::aggregator {

// Names what a reader has handed on: reader::settled() says that every shard has dispatched everything up to it.
// Tickets of a channel count up, also over interruptions.
struct delivery_ticket {
    std::size_t channel = 0;
    std::uint64_t number = 0;
};

// Called on the readers' shard. Calls about one channel are in the order of its stream. Inside, nothing may be
// destroyed, and of the feed nothing be called but reader::settled() in on_entry().
class feed_sink {
public:
    // An entry of the channel. In a durable channel each has its place, also when it reaches nobody (routes, answer and
    // question are empty: what was dropped, said twice, or is ours). `history`: said before this aggregator began to
    // read; it belongs among the recent entries and is delivered to nobody. What is not settled is bounded for durable
    // channels: their readers stop and go on from the stream. Readers of volatile channels never wait.
    virtual void on_entry(std::size_t channel, const entry_ref& what, bool history, delivery_ticket ticket) = 0;

    // The channel can be heard: at first when everything up to now has been read, then after each interruption.
    // Answers of the channel are to be sent to reply_queue.
    virtual void on_attached(std::size_t channel, const std::string& reply_queue) = 0;
    // What services send meanwhile waits in the stream of a durable channel and is lost for a volatile one.
    virtual void on_detached(std::size_t channel, const amqp::error& why) = 0;

    // retention, recreated: what was read before does not lead to what comes next; the recent entries are void.
    // too_large: the one entry at `where` was not read; everything else stands.
    virtual void on_gap(std::size_t channel, envelope::gap_cause cause,
                        const std::optional<envelope::position>& where) = 0;
    // The history that was given does not lead to what comes next: the recent entries are void, and nobody has missed
    // anything. Only before the channel was attached for the first time.
    virtual void on_history_void(std::size_t channel) = 0;

    // A message that reaches nobody; its entry, if it has a place, comes all the same.
    virtual void on_dropped(std::size_t channel, drop_reason why, std::string_view message_id) = 0;

    // For the session that reads: to be answered by catch_up::taken(), also when the session has gone.
    virtual void on_page(const reading_id& to, page what) = 0;

protected:
    ~feed_sink() = default;
};

}  // namespace foz::aggregator
