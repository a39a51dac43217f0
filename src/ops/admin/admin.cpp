#include "ops/admin/admin.hpp"

#include "ops/admin/process.hpp"

#include <chrono>
#include <optional>
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

admin::admin(net::shard& home, const endpoint& where, std::vector<source*> sources, std::string version)
    : home_(home), sources_(std::move(sources)), version_(std::move(version)), last_at_(home.time().now()) {
    ws::server_options options{.listen = {.address = where.address, .port = where.port, .reuse_port = false}};
    options.connections_max = 100;
    auto opened = ws::server::open(home, *this, options);
    if (!opened) throw std::runtime_error("admin: " + opened.error());
    server_ = std::move(*opened);
    (void)uptime();  // counts from here
}

void admin::collect() {
    // A shard that hangs delays the next collection; the timer starts when all are done.
    collecting_ = sources_.size();
    for (source* const one : sources_)
        one->collect([this] {
            if (--collecting_ > 0) return;
            collected_ = true;
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
    if (request.path == "/metrics") return metrics();
    if (request.path == "/healthz") return health();
    if (request.path == "/readyz") return readiness();
    constexpr std::string_view api_prefix = "/api/";
    if (request.path.starts_with(api_prefix)) return api(std::string_view(request.path).substr(api_prefix.size()));
    return text(404, "/metrics, /healthz, /readyz and /api/overview are here");
}

ws::http_response admin::metrics() const {
    if (!collected_) return text(503, "nothing was collected yet");
    exposition to;
    to.family("foz_build_info", "gauge", "The program's version");
    to.sample({{"version", version_}}, 1);
    for (const source* const one : sources_) one->expose(to);
    expose_process(to);
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = to.text()};
}

ws::http_response admin::api(std::string_view name) const {
    if (!collected_) return text(503, "nothing was collected yet");
    std::optional<std::string> json;
    if (name == "overview") json = overview();
    for (const source* const one : sources_)
        if (!json) json = one->page(name);
    if (!json) return text(404, "there is no /api/" + std::string(name));
    return {.content_type = "application/json", .body = *json + "\n", .headers = {{"Cache-Control", "no-store"}}};
}

std::string admin::overview() const {
    json_writer to;
    to.open('{').member("product", "Foz").member("version", version_).member("uptime_s", uptime().count());
    to.member("not_ready", not_ready()).member("memory_bytes", resident_bytes());
    to.member("cpu_seconds", processor_seconds());
    for (const source* const one : sources_) one->overview(to);
    return to.close('}').text();
}

ws::http_response admin::health() const {
    if (home_.time().now() - last_at_ > dead_after) return text(503, "an event loop does not answer");
    return text(200, "alive");
}

std::string admin::not_ready() const {
    if (stopping_) return "stopping";
    if (!collected_) return "starting";
    for (const source* const one : sources_)
        if (std::string why = one->not_ready(); !why.empty()) return why;
    return {};
}

ws::http_response admin::readiness() const {
    const std::string why = not_ready();
    if (!why.empty()) return text(503, "not ready: " + why);
    std::string said = "ready";
    for (const source* const one : sources_)
        for (const std::string& part : one->degraded())
            said += (said == "ready" ? "; degraded: " : "\ndegraded: ") + part;
    return text(200, said);
}

}  // namespace foz::ops
