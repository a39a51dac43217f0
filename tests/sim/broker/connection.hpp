// A connection to the broker, both ends of it, as AMQP means it and without its octets.
#pragma once

#include "amqp/codec/publication.hpp"
#include "broker/core/node.hpp"
#include "core/pipe.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace foz::sim {

class broker_process;

struct delivered {
    std::uint64_t tag = 0;
    bool redelivered = false;
    std::uint32_t returns = 0;            // of a quorum queue: x-delivery-count
    std::optional<std::uint64_t> offset;  // of a stream: x-stream-offset
    broker::message_ref what;
};

// Whoever has opened it. `channel`: the number that open_channel() or consume() has returned.
class connection_events {
public:
    virtual void on_connected() {}
    virtual void on_disconnected() {}
    virtual void on_blocked(bool) {}
    virtual void on_channel_open(std::uint32_t) {}
    virtual void on_channel_closed(std::uint32_t) {}
    virtual void on_delivery(std::uint32_t, const delivered&) {}
    virtual void on_confirm(std::uint32_t, std::uint64_t /*tag*/, bool /*multiple*/, bool /*positive*/) {}
    virtual void on_return(std::uint32_t, const amqp::basic_return&, const amqp::basic_properties&, std::string_view) {}
    virtual void on_consumers(const std::string& /*queue*/, std::size_t) {}

protected:
    ~connection_events() = default;
};

struct consume_wish {
    std::string queue;
    std::uint16_t prefetch = 100;
    amqp::table arguments;
    // An exclusive queue for so many messages is declared first. 0: it is there.
    std::int32_t length_max = 0;
    // It is bound to OUTBOUND with this key, and what does not fit goes to that queue. Empty: neither.
    std::string bind_key = {};
    std::string dropped_to = {};
};

class connection final : public std::enable_shared_from_this<connection> {
public:
    connection(scheduler& time, rng& random, process& owner, broker_process& to, connection_events& events,
               pipe_options options);
    ~connection();

    // From the owner. Everything that comes of it comes later.
    void open();
    // Both sides know it soon.
    void close();
    bool is_open() const noexcept { return client_open_; }
    std::uint32_t open_channel();
    std::uint32_t consume(consume_wish wish);
    void close_channel(std::uint32_t channel);
    void publish(std::uint32_t channel, const amqp::publication& what);
    void ack(std::uint32_t channel, std::uint64_t tag, bool multiple);
    void nack(std::uint32_t channel, std::uint64_t tag, bool requeue);
    void count_consumers(const std::string& queue);
    // The whole topology, as everyone does at the start.
    void declare();

    // The network. Each side notices after so long.
    void cut(duration owner_notices, duration broker_notices);
    void stall(duration span);

    // From the broker.
    void broker_died();
    void tell_blocked(bool is);
    // There is room again, or the broker delivers again.
    void server_wake();
    void flush_confirms(broker::commit_number committed);
    bool publishes() const noexcept { return publishes_; }
    process& owner() noexcept { return owner_; }

private:
    struct unacked {
        std::uint64_t tag;
        std::shared_ptr<broker::queue> from;
        broker::entry what;
    };
    struct unconfirmed {
        std::uint64_t tag;
        broker::commit_number commit;
        bool positive;
        std::string message_id;
    };
    struct channel_end;

    void up(std::size_t octets, std::move_only_function<void(connection&)> work);
    void down(std::size_t octets, std::move_only_function<void(connection_events&)> tell);
    void server_accept();
    void server_close();
    void server_close_channel(channel_end& one, bool told);
    void server_consume(std::uint32_t channel, const consume_wish& wish);
    void server_publish(std::uint32_t channel, const amqp::publication& what);
    void server_settle(std::uint32_t channel, std::uint64_t tag, bool multiple, bool ack, bool requeue);
    void server_deliver(channel_end& to, const std::shared_ptr<broker::queue>& from, broker::entry taken);
    void owner_lost();
    channel_end* find(std::uint32_t channel);

    scheduler& time_;
    process& owner_;
    broker_process& broker_;
    connection_events& events_;
    std::shared_ptr<pipe> up_;
    std::shared_ptr<pipe> down_;
    const std::uint32_t owner_incarnation_;
    bool client_open_ = false;
    bool server_open_ = false;
    bool ended_ = false;
    bool publishes_ = false;
    std::uint32_t channels_ = 0;
    broker::owner_id id_ = 0;
    std::map<std::uint32_t, std::unique_ptr<channel_end>> ends_;
};

}  // namespace foz::sim
