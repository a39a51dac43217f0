// What lies in IN_DEAD: looked at, published to its service once more, or dropped.
#pragma once

#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"
#include "net/shard.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

namespace foz::ops {

struct dead_letter {
    amqp::delivery_id delivery;
    amqp::basic_properties properties;
    std::string body;
    // Of its first death, as the broker tells (x-death).
    std::string exchange, routing_key;  // where it had been published to
    std::string queue;                  // where it died
    std::string reason;                 // rejected, delivery_limit, expired, maxlen
    std::uint64_t died_at_s = 0;        // since 1970
    std::uint64_t deaths = 0;
    bool seen_too_often = false;  // the broker counts each look as a return, and may drop it at the next

    std::string_view id() const noexcept { return properties.message_id ? *properties.message_id : std::string_view(); }
    std::string_view type() const noexcept { return properties.type ? *properties.type : std::string_view(); }
    std::string_view client() const noexcept;
    std::string_view channel() const noexcept;
    std::string_view topic() const noexcept;
};

// Which ones; empty members leave all.
struct dead_filter {
    std::vector<std::string> ids;
    std::string channel, type, reason, client;
    std::optional<std::chrono::seconds> older_than;

    bool takes(const dead_letter& one, std::uint64_t now_s) const;
};

// One look at the queue: what is read is held until close(), which gives back what was neither retried nor dropped. No
// one else sees it meanwhile. Lives on one shard, used by one coroutine; destroyed after close().
class dead_letters final : private amqp::channel_handler, private amqp::client_events {
public:
    dead_letters(net::shard& home, const amqp::url& where, const net::tls_client_options& tls);

    // Connects and reads, in the order of the queue, at most so many.
    boost::asio::awaitable<amqp::result<void>> read(std::size_t most);
    const std::vector<dead_letter>& all() const noexcept { return all_; }
    // How many there were in the queue.
    std::size_t in_queue() const noexcept { return in_queue_; }

    // Where it came from, with this body. It leaves IN_DEAD when the broker has confirmed that. Not confirmed: it
    // stays.
    boost::asio::awaitable<amqp::outcome> retry(const dead_letter& one, std::string body);
    void drop(const dead_letter& one) { channel_->ack(one.delivery); }

    boost::asio::awaitable<void> close();

private:
    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_ready(amqp::channel&) override { tell({}); }
    void on_lost(amqp::channel&, const amqp::error& why) override { tell(std::unexpected(why)); }
    void on_delivery(amqp::channel&, const amqp::delivery& d) override;
    void on_too_large(amqp::channel& self, const amqp::delivery& d, const amqp::skipped_body&) override;
    void on_disconnected(const amqp::error& why, std::chrono::milliseconds) override { tell(std::unexpected(why)); }
    void tell(amqp::result<void> outcome);
    boost::asio::awaitable<void> wait(std::chrono::seconds within);

    net::shard& home_;
    amqp::client client_;
    amqp::publisher publisher_;
    std::shared_ptr<amqp::channel> channel_;
    boost::asio::steady_timer wake_;
    std::optional<amqp::result<void>> told_;
    std::vector<dead_letter> all_;
    std::size_t in_queue_ = 0;
    std::size_t most_ = 0;
};

}  // namespace foz::ops
