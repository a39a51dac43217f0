// Reads the stream of a durable channel for the worker's own use.
#pragma once

#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"
#include "contract/channel_settings.hpp"
#include "contract/stream_cursor.hpp"
#include "net/timing_wheel.hpp"
#include "service/thread_pool.hpp"
#include "service/worker.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace foz::service {

// What a follower's owner provides and is told, on the I/O thread unless it says otherwise.
class follower_owner {
public:
    // What has to be there before the stream can be read.
    virtual boost::asio::awaitable<amqp::result<void>> prepare(amqp::channel& on) = 0;
    // Once: everything that was there at start has been heard.
    virtual void on_caught_up() = 0;
    virtual void on_stream_lost(const amqp::error& why) = 0;
    virtual void notice(const std::string& text) = 0;  // from any thread

protected:
    ~follower_owner() = default;
};

// Lives on the I/O thread; its client's connection is for streams alone, because a wrong verb on a stream closes the
// connection. What was read and not heard yet is bounded by the prefetch: an entry is acknowledged when it was heard.
class stream_follower final : private amqp::channel_handler {
public:
    struct parts {
        amqp::client& streams;
        amqp::publisher& publisher;
        thread_pool& hearing;  // one thread, on which all followers hear
        follower_owner& owner;
    };

    stream_follower(parts around, const contract::channel_settings& channel,
                    std::chrono::system_clock::time_point since, follower hear);
    ~stream_follower();

private:
    struct entry {
        std::string topic, type, message_id, body;
    };
    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_ready(amqp::channel& self) override;
    void on_lost(amqp::channel& self, const amqp::error& why) override;
    void on_delivery(amqp::channel& self, const amqp::delivery& d) override;
    void on_too_large(amqp::channel& self, const amqp::delivery& d, const amqp::skipped_body& body) override;

    // Does what the cursor says; `d` is null when it was time that passed.
    void act(const amqp::delivery* d);
    void hand_in(amqp::delivery_id id, std::optional<entry> e);
    void publish_marker(const std::string& id);
    void on_tick();
    void set_timer();
    std::optional<entry> for_follower(const amqp::delivery& d) const;
    void hear(const entry& e) const;  // on the hearing thread
    void heard(amqp::delivery_id id);
    void acknowledge();

    const parts around_;
    net::shard& home_;
    const contract::channel_settings& channel_;
    const follower hear_;
    contract::stream_cursor cursor_;
    std::vector<contract::cursor_event> events_;
    net::wheel_timer tick_timer_{this, [](stream_follower& self) { self.on_tick(); }};

    amqp::delivery_id last_heard_;
    unsigned unacknowledged_ = 0;
    std::size_t unheard_ = 0;  // with the hearing thread
    net::wheel_timer acknowledge_timer_{this, [](stream_follower& self) { self.acknowledge(); }};
    std::shared_ptr<amqp::channel> link_;  // last: its opening may begin in the constructor
};

}  // namespace foz::service
