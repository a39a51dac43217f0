// The admin port: plain HTTP for operators and their tools.
#pragma once

#include "aggregator/snapshot.hpp"
#include "net/timing_wheel.hpp"
#include "ops/config/configuration.hpp"
#include "ws/conn/server.hpp"

#include <memory>
#include <optional>
#include <string>

namespace foz::ops {

// GET /metrics (Prometheus), /healthz (200: the process and all its event loops live), /readyz (200: clients are let
// in; 503 and why they are not). Lives on shard 0. Answers are made from a snapshot that is at most a second old: an
// answer can't wait for other shards.
class admin final : private ws::application {
public:
    // Listens at once. Throws std::runtime_error with one line when the port is taken. All outlive the admin, which is
    // made before the runtime runs and destroyed after.
    admin(net::shard& home, const endpoint& where, aggregator::aggregator& of, std::string version);

    void start() { collect(); }
    // From now on it is not ready.
    void set_stopping() { stopping_ = true; }
    std::uint16_t port() const noexcept { return server_->port(); }

private:
    ws::decision on_request(const ws::http_request& request, const net::tcp::endpoint& from, bool upgradable) override;
    ws::http_response health() const;
    ws::http_response readiness() const;
    void collect();

    net::shard& home_;
    aggregator::aggregator& of_;
    const std::string version_;
    std::unique_ptr<ws::server> server_;
    std::optional<aggregator::snapshot> last_;
    steady_time last_at_;
    bool stopping_ = false;
    net::wheel_timer timer_{this, [](admin& self) { self.collect(); }};
};

}  // namespace foz::ops
