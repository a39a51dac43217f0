#include "ops/metrics/admin.hpp"

#include "ops/metrics/metrics.hpp"

#include <chrono>
#include <stdexcept>
#include <utility>

namespace foz::ops {
namespace {

constexpr std::chrono::milliseconds collect_interval{1'000};
constexpr std::chrono::seconds dead_after{10};

ws::http_response text(unsigned status, std::string body) {
    return {.status = status, .body = std::move(body) + "\n", .headers = {{"Cache-Control", "no-store"}}};
}

}  // namespace

admin::admin(net::shard& home, const endpoint& where, aggregator::aggregator& of, std::string version)
    : home_(home), of_(of), version_(std::move(version)), last_at_(home.time().now()) {
    ws::server_options options{.listen = {.address = where.address, .port = where.port, .reuse_port = false}};
    options.connections_max = 100;
    auto opened = ws::server::open(home, *this, options);
    if (!opened) throw std::runtime_error("admin: " + opened.error());
    server_ = std::move(*opened);
}

void admin::collect() {
    // A shard that hangs delays the next collection; the timer starts when this one has ended.
    of_.collect([this](aggregator::snapshot now) {
        last_ = std::move(now);
        last_at_ = home_.time().now();
        timer_.start(home_.wheel(), collect_interval);
    });
}

ws::decision admin::on_request(const ws::http_request& request, const net::tcp::endpoint&, bool) {
    if (request.method != "GET" && request.method != "HEAD") {
        ws::http_response refused = text(405, "only GET and HEAD are answered here");
        refused.headers.emplace_back("Allow", "GET, HEAD");
        return refused;
    }
    if (request.path == "/metrics") {
        if (!last_) return text(503, "nothing was collected yet");
        return ws::http_response{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                                 .body = expose(*last_, version_)};
    }
    if (request.path == "/healthz") return health();
    if (request.path == "/readyz") return readiness();
    return text(404, "/metrics, /healthz and /readyz are here");
}

ws::http_response admin::health() const {
    if (home_.time().now() - last_at_ > dead_after) return text(503, "an event loop does not answer");
    return text(200, "alive");
}

ws::http_response admin::readiness() const {
    if (stopping_) return text(503, "not ready: stopping");
    if (!last_) return text(503, "not ready: starting");
    return last_->not_ready.empty() ? text(200, "ready") : text(503, "not ready: " + last_->not_ready);
}

}  // namespace foz::ops
