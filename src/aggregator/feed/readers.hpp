// Services → clients: the consumers of a process, one for each channel, whatever the number of its shards.
#pragma once

#include "aggregator/settings.hpp"
#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"
#include "envelope/events.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

namespace foz::aggregator {

// Where the readers' messages go. Called on the readers' shard.
class reader_sink {
public:
    // Once for each message id within the deduplication window, in the stream's order.
    virtual void on_outbound(std::size_t channel, const amqp::delivery& message,
                             std::optional<std::uint64_t> offset) = 0;
    // The channel can be heard from now on. A volatile channel's answers are to be sent to reply_queue.
    virtual void on_attached(std::size_t channel, const std::string& reply_queue) = 0;
    // What services send meanwhile waits in the stream of a durable channel and is lost for a volatile one.
    virtual void on_detached(std::size_t channel, const amqp::error& why) = 0;
    // Entries between what was read last and what comes next are gone.
    virtual void on_gap(std::size_t channel, envelope::gap_cause cause) = 0;

protected:
    ~reader_sink() = default;
};

// Ids seen lately: a publisher that repeats itself after a failure is heard once.
class recent_ids {
public:
    explicit recent_ids(std::size_t capacity) : capacity_(capacity) {}
    // False when it was there already.
    bool insert(const std::string& id);

private:
    const std::size_t capacity_;
    std::unordered_set<std::string> seen_;
    std::deque<const std::string*> order_;
};

// What both kinds of reader share: topology, prefetch, acknowledgements in batches.
class reader : protected amqp::channel_handler {
public:
    reader(amqp::client& owner, const settings& all, std::size_t channel, reader_sink& sink);
    virtual ~reader();
    reader(const reader&) = delete;
    reader& operator=(const reader&) = delete;

protected:
    const contract::channel_settings& channel() const { return settings_.channels[channel_]; }
    boost::asio::awaitable<amqp::result<void>> prepare(amqp::channel& on, std::uint16_t prefetch);
    // Acknowledges everything up to here, soon.
    void done_with(amqp::delivery_id id);
    void deliver(const amqp::delivery& message, std::optional<std::uint64_t> offset);
    void on_lost(amqp::channel& self, const amqp::error& why) override;

    const settings& settings_;
    const std::size_t channel_;
    reader_sink& sink_;
    amqp::client& client_;
    std::shared_ptr<amqp::channel> link_;

private:
    void acknowledge();

    recent_ids recent_;
    amqp::delivery_id last_;
    unsigned unacknowledged_ = 0;
    net::wheel_timer acknowledge_timer_{this, [](reader& self) { self.acknowledge(); }};
};

// Reads a durable channel's stream from "now" on, and after any interruption from where it was. Where "now" is tells a
// marker that it publishes to the stream itself: from then on every client can be given a position.
class stream_reader final : public reader {
public:
    stream_reader(amqp::client& owner, amqp::publisher& markers, const settings& all, std::size_t channel,
                  reader_sink& sink);

private:
    struct place {
        std::uint64_t offset;
        std::uint32_t check;
    };

    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_ready(amqp::channel& self) override;
    void on_delivery(amqp::channel& self, const amqp::delivery& message) override;
    amqp::basic_consume consume_from_here() const;
    void on_silence();
    void publish_marker();

    amqp::publisher& markers_;
    std::string marker_;  // the message id of the marker that is awaited; empty: none is
    std::optional<place> last_read_;
    bool resuming_ = false;  // the next delivery has to be last_read_ again
    net::wheel_timer silence_timer_{this, [](stream_reader& self) { self.on_silence(); }};
};

// Consumes a volatile channel's messages from an exclusive queue with a new name for each opening: declaring the name
// of a queue whose connection has just died is a 405.
class volatile_reader final : public reader {
public:
    volatile_reader(amqp::client& owner, const settings& all, std::size_t channel, reader_sink& sink);

private:
    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_ready(amqp::channel& self) override;
    void on_delivery(amqp::channel& self, const amqp::delivery& message) override;

    std::string queue_;
};

}  // namespace foz::aggregator
