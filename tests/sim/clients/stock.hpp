// A page with the stock client: Primus and primus-responder, nothing else.
#pragma once

#include "clients/client.hpp"

#include <map>
#include <string>
#include <vector>

namespace foz::sim {

// What was in flight when its socket died is never sent again; primus-responder's callbacks survive a reconnect.
class stock_client final : public client {
public:
    // `in_query`: it consumes at the handshake instead of in its `open` handler.
    stock_client(environment& around, oracle& judge, std::vector<aggregator_process*> to, unsigned index,
                 std::string identity, bool in_query)
        : client(around, judge, std::move(to), index, std::move(identity)), in_query_(in_query) {}

    bool plugin() const noexcept override { return false; }
    void consume(std::size_t channel, const aggregator::interest& what) override;
    void leave(std::size_t channel) override;
    void publish(const publish_wish& what) override;
    std::size_t waiting() const override { return callbacks_.size(); }

private:
    handshake greeting() override;
    void on_opened() override;
    void on_lost() override {}
    void on_heard(const heard& frame) override;
    duration first_pause() override { return std::chrono::milliseconds(200); }
    void say_consume(std::size_t channel);
    void say_leave(std::size_t channel);

    const bool in_query_;
    std::vector<std::size_t> greeted_;  // channels in the handshake
    std::uint64_t consumes_ = 0;
    std::map<std::size_t, aggregator::interest> wanted_;
    std::map<std::string, std::int64_t> callbacks_;  // by requestId
};

}  // namespace foz::sim
