// Tells callers that their request has died.
#pragma once

#include "aggregator/settings.hpp"
#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "contract/stream_publishers.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace foz::aggregator {

struct dead_notices_counters {
    std::uint64_t told = 0;       // dead letters whose caller was told
    std::uint64_t nobody = 0;     // that name no caller, or whose caller's queue is gone
    std::uint64_t too_large = 0;  // of all: bodies that were skipped
};

// All aggregators consume DEAD_NOTICE together. Each dead letter with a reply_to becomes an error for its caller, sent
// the way that the answer would have gone, so that it arrives also when the aggregator that asked is gone. A notice is
// acknowledged when its error has been confirmed. Lives on shard 0.
class dead_notices final : private amqp::channel_handler {
public:
    // The consuming and the publishing connection; both outlive this and are stopped before it is destroyed.
    dead_notices(amqp::client& consume, amqp::client& publish, const settings& all);
    ~dead_notices();

    const dead_notices_counters& counters() const noexcept { return counters_; }

private:
    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_delivery(amqp::channel& self, const amqp::delivery& notice) override;
    // What it says to the caller is in its properties.
    void on_too_large(amqp::channel& self, const amqp::delivery& notice, const amqp::skipped_body&) override {
        ++counters_.too_large;
        on_delivery(self, notice);
    }

    const settings& settings_;
    dead_notices_counters counters_;
    contract::stream_publishers out_;
    std::shared_ptr<amqp::channel> link_;
};

}  // namespace foz::aggregator
