// Services → clients: the consumers of a process, one for each channel, whatever the number of its shards.
#pragma once

#include "aggregator/feed/credit_window.hpp"
#include "aggregator/feed/decode.hpp"
#include "aggregator/feed/feed_sink.hpp"
#include "aggregator/settings.hpp"
#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"
#include "contract/id_window.hpp"
#include "contract/stream_cursor.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace foz::aggregator {

struct reader_counters {
    std::uint64_t read = 0;        // deliveries
    std::uint64_t duplicates = 0;  // of these, what had been said already
    std::uint64_t parked = 0;      // times that a durable channel's reader stopped until the shards had caught up
    std::uint64_t too_large = 0;   // bodies that were skipped
    std::uint64_t overflowed = 0;  // times that a volatile channel's queue was seen to drop what did not fit
};

// What both kinds of reader share: topology, prefetch, decoding, acknowledgements in batches.
class reader : protected amqp::channel_handler {
public:
    reader(amqp::client& owner, const settings& all, std::size_t channel, feed_sink& sink);
    virtual ~reader();
    reader(const reader&) = delete;
    reader& operator=(const reader&) = delete;

    // Every shard has dispatched everything up to this ticket. May be called inside on_entry().
    virtual void settled(delivery_ticket upto) = 0;
    const reader_counters& counters() const noexcept { return counters_; }

protected:
    const contract::channel_settings& channel() const { return settings_.channels[channel_]; }
    boost::asio::awaitable<amqp::result<void>> prepare(amqp::channel& on, std::uint16_t prefetch);
    // Acknowledges everything up to here, soon; so many deliveries since the last time.
    void done_with(amqp::delivery_id id, std::size_t deliveries);
    // What a delivery is; nothing when it reaches nobody and has no place. Tells what is dropped.
    entry_ref make_entry(const amqp::delivery& message, std::optional<std::uint64_t> offset, bool history);
    // The same for one whose body was too large.
    entry_ref make_skipped(const amqp::delivery& message, const std::optional<envelope::position>& where, bool history);
    // Gives this opening up, of our own accord: nobody is told that the channel is lost.
    void reopen(const std::string& why);
    void on_lost(amqp::channel& self, const amqp::error& why) override;

    const settings& settings_;
    const std::size_t channel_;
    feed_sink& sink_;
    amqp::client& client_;
    reader_counters counters_;
    std::shared_ptr<amqp::channel> link_;

private:
    decode_source source(std::optional<std::uint64_t> offset) const;
    void acknowledge();

    amqp::delivery_id last_;
    std::size_t unacknowledged_ = 0;
    std::size_t acknowledge_every_ = 1;
    bool reopening_ = false;
    net::wheel_timer acknowledge_timer_{this, [](reader& self) { self.acknowledge(); }};
};

// Reads a durable channel's stream: from so far back that ring and dedupe window are full when it reaches the end, and
// after any interruption from where it was. Entries are acknowledged when the shards have dispatched them. When more
// than reader_octets_max is with the shards, it stops, throws away what the broker still sends, and goes on from the
// stream when half of it has been dispatched.
class stream_reader final : public reader {
public:
    stream_reader(amqp::client& owner, amqp::publisher& markers, const settings& all, std::size_t channel,
                  feed_sink& sink);

    void settled(delivery_ticket upto) override;

private:
    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_ready(amqp::channel& self) override;
    void on_lost(amqp::channel& self, const amqp::error& why) override;
    void on_delivery(amqp::channel& self, const amqp::delivery& message) override;
    void on_too_large(amqp::channel& self, const amqp::delivery& message, const amqp::skipped_body& body) override;

    std::uint16_t prefetch() const;
    void read(const amqp::delivery& message, const contract::delivery_view& view);
    // Does what the cursor says; `message` is null when it was time that passed.
    void act(const amqp::delivery* message, std::uint64_t offset);
    void hand_on(const amqp::delivery& message, std::uint64_t offset, const contract::cursor_event& what);
    void publish_marker(const std::string& id);
    void on_tick();
    void set_timer();

    amqp::publisher& markers_;
    contract::stream_cursor cursor_;
    std::vector<contract::cursor_event> events_;
    credit_window<amqp::delivery_id> credit_;
    bool parked_ = false;
    std::size_t average_octets_ = 0;  // of an entry, over the last ones; 0: none was read yet
    net::wheel_timer tick_timer_{this, [](stream_reader& self) { self.on_tick(); }};
};

// Consumes a volatile channel's messages from an exclusive queue with a new name for each opening: declaring the name
// of a queue whose connection has just died is a 405. Acknowledges at once, so that the shards decide what they drop.
// What the broker drops from a queue that is full all the same becomes a dead letter in a second queue, which holds
// one: it shows that something is missing, and is not counted by the message.
class volatile_reader final : public reader {
public:
    volatile_reader(amqp::client& owner, const settings& all, std::size_t channel, feed_sink& sink);

    void settled(delivery_ticket) override {}

private:
    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_ready(amqp::channel& self) override;
    void on_delivery(amqp::channel& self, const amqp::delivery& message) override;
    void on_too_large(amqp::channel& self, const amqp::delivery& message, const amqp::skipped_body& body) override;

    contract::id_window recent_;
    bool is_evidence(const amqp::delivery& message) const;
    void take_evidence(const amqp::delivery& message);

    std::uint64_t handed_on_ = 0;
    std::string queue_;
    std::string dropped_queue_;
};

}  // namespace foz::aggregator
