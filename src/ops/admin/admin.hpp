// The admin port: plain HTTP for operators and their tools.
#pragma once

#include "net/timing_wheel.hpp"
#include "ops/admin/source.hpp"
#include "ops/config/configuration.hpp"
#include "ws/conn/server.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace foz::ops {

// GET /metrics (Prometheus), /healthz (200: the process and all its event loops live), /readyz (200: clients are let
// in, with what is degraded all the same; 503 and why they are not), /api/overview and the sources' own pages (JSON,
// members named as RabbitMQ's management API names them). Lives on one shard. Answers are made from what was collected
// at most a second ago.
class admin final : private ws::application {
public:
    // Listens at once. Throws std::runtime_error with one line when the port is taken. All outlive the admin, which is
    // made before the runtime runs and destroyed after.
    admin(net::shard& home, const endpoint& where, std::vector<source*> sources, std::string version);

    void start() { collect(); }
    // From now on it is not ready.
    void set_stopping() { stopping_ = true; }
    std::uint16_t port() const noexcept { return server_->port(); }

private:
    ws::decision on_request(const ws::http_request& request, const net::tcp::endpoint& from, bool upgradable) override;
    ws::http_response health() const;
    ws::http_response readiness() const;
    ws::http_response metrics() const;
    ws::http_response api(std::string_view name) const;
    std::string overview() const;
    std::string not_ready() const;
    void collect();

    net::shard& home_;
    const std::vector<source*> sources_;
    const std::string version_;
    std::unique_ptr<ws::server> server_;
    std::size_t collecting_ = 0;  // sources that are not done yet
    bool collected_ = false;
    steady_time last_at_;
    bool stopping_ = false;
    net::wheel_timer timer_{this, [](admin& self) { self.collect(); }};
};

}  // namespace foz::ops
