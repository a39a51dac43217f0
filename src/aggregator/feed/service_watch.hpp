// Is anybody there? Counts the consumers of each channel's work queue.
#pragma once

#include "aggregator/settings.hpp"
#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace foz::aggregator {

// Asks the broker now and then by passive declaration (AMQP 0-9-1 §1.7.2.1.2): once a second, four times while a
// channel has no service, so that one that comes is believed soon. On the consuming connection, since a connection that
// the broker has blocked would not answer. Lives on shard 0.
class service_watch final : private amqp::channel_handler {
public:
    using found = std::function<void(std::size_t channel, bool there)>;

    // `tell` is called when the answer for a channel changes. What can't be known counts as there.
    service_watch(amqp::client& consume, const settings& all, found tell);
    ~service_watch();

private:
    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel&) override;
    void on_ready(amqp::channel& self) override;
    void on_lost(amqp::channel& self, const amqp::error& why) override;
    void begin_look();
    boost::asio::awaitable<void> look(std::shared_ptr<amqp::channel> on, std::uint32_t opening);
    void tell(std::size_t channel, bool there);

    amqp::client& client_;
    const settings& settings_;
    const found tell_;
    std::vector<bool> there_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    net::wheel_timer timer_;
    std::shared_ptr<amqp::channel> link_;
};

}  // namespace foz::aggregator
