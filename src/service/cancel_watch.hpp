// Hears which requests nobody waits for any more.
#pragma once

#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace foz::service {

// An exclusive queue on the exchange CONTROL. What is said while there is no connection is not heard. Lives on the I/O
// thread.
class cancel_watch final : private amqp::channel_handler {
public:
    struct events {
        std::function<boost::asio::awaitable<amqp::result<void>>(amqp::channel&)> prepare;
        std::function<void(std::string_view message_id)> cancelled;
        std::function<void(const std::string&)> notice;
    };

    // The client outlives this.
    cancel_watch(amqp::client& consume, events tell);
    void start(std::vector<std::string> channels);

private:
    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_lost(amqp::channel& self, const amqp::error& why) override;
    void on_delivery(amqp::channel& self, const amqp::delivery& d) override;

    amqp::client& client_;
    const events tell_;
    std::vector<std::string> channels_;
    std::shared_ptr<amqp::channel> link_;
};

}  // namespace foz::service
