// Tells callers that their request has died.
#pragma once

#include "aggregator/settings.hpp"
#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"

#include <memory>
#include <string>

namespace foz::aggregator {

// All aggregators consume DEAD_NOTICE together. Each dead letter with a reply_to becomes an error for its caller, sent
// the way that the answer would have gone, so that it arrives also when the aggregator that asked is gone. A notice is
// acknowledged when its error has been confirmed. Lives on shard 0.
class dead_notices final : private amqp::channel_handler {
public:
    // The consuming and the publishing connection; both outlive this and are stopped before it is destroyed.
    dead_notices(amqp::client& consume, amqp::client& publish, const settings& all);
    ~dead_notices();

private:
    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_delivery(amqp::channel& self, const amqp::delivery& notice) override;
    // What it says to the caller is in its properties.
    void on_too_large(amqp::channel& self, const amqp::delivery& notice, const amqp::skipped_body&) override {
        on_delivery(self, notice);
    }

    const settings& settings_;
    amqp::publisher publisher_;
    std::shared_ptr<amqp::channel> link_;
};

}  // namespace foz::aggregator
