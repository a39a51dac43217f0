// The admin port: HTTP or HTTPS for operators and their tools.
#pragma once

#include "net/timing_wheel.hpp"
#include "net/tls_holder.hpp"
#include "ops/admin/action.hpp"
#include "ops/admin/audit_log.hpp"
#include "ops/admin/login.hpp"
#include "ops/admin/settings.hpp"
#include "ops/admin/source.hpp"
#include "ws/conn/origin.hpp"
#include "ws/conn/server.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::ops {

// All of them outlive the admin.
struct admin_parts {
    std::vector<source*> sources;
    std::vector<action*> actions;
    std::string version;
    std::vector<std::string> hosts;  // the names that it answers to (ws::host_list)
};

// GET /metrics (Prometheus), /healthz (200: the process and all its event loops live), /readyz (200: clients are let
// in, with what is degraded all the same; 503 and why they are not), /api/overview and the sources' own pages (JSON,
// members named as RabbitMQ's management API names them); POST /api/… for each action. Lives on one shard. Answers are
// made from what was collected at most a second ago.
//
// Who may what: everybody is told by /healthz and /readyz whether, and no more; users of the role view read all but
// secrets; users of the role act read all and act. Without any user everybody may view, and nobody may act.
class admin final : private ws::application {
public:
    // Of a request's content.
    static constexpr std::size_t content_octets_max = 64 * 1024;

    // Listens at once. Throws std::runtime_error with one line when the port is taken, or a certificate, a token or the
    // audit log can't be used. Made before the runtime runs and destroyed after.
    admin(net::shard& home, const admin_settings& settings, admin_parts parts);

    void start() { collect(); }
    // From now on it is not ready.
    void set_stopping() { stopping_ = true; }
    // Null when it speaks without TLS.
    std::shared_ptr<net::tls_holder> tls() const { return tls_; }
    // After the audit log's file was renamed. The error is one line; empty: done.
    std::string reopen_audit_log() { return audit_.reopen(); }
    std::uint16_t port() const noexcept { return server_->port(); }

private:
    ws::decision on_request(const ws::http_request& request, const net::tcp::endpoint& from, bool upgradable) override;
    std::size_t content_bytes_max() const override { return content_octets_max; }
    ws::decision serve(const ws::http_request& request, const login_result& who, const std::string& address);
    ws::http_response read(const ws::http_request& request, const login_result& who,
                           std::optional<admin_role> may) const;
    ws::decision act(const ws::http_request& request, action& what, const login_result& who,
                     std::optional<admin_role> may, const std::string& address);
    std::optional<ws::http_response> refuse_login(const login_result& who, const std::string& address);
    void note_refused(const login_result& who, const std::string& address);
    ws::http_response unauthorized(const login_result& who) const;
    action* find_action(std::string_view path) const;

    ws::http_response health(bool details) const;
    ws::http_response readiness(bool details) const;
    ws::http_response metrics() const;
    ws::http_response api(std::string_view name, secrets shown) const;
    std::string overview() const;
    std::string not_ready() const;
    void collect();

    net::shard& home_;
    const admin_settings settings_;
    const admin_parts parts_;
    const ws::host_list hosts_;
    login login_;
    audit_log audit_;
    std::shared_ptr<net::tls_holder> tls_;  // null: plain
    std::unique_ptr<ws::server> server_;
    std::size_t collecting_ = 0;  // sources that are not done yet
    bool collected_ = false;
    steady_time last_at_;
    bool stopping_ = false;
    struct counters {
        std::uint64_t wrong = 0;
        std::uint64_t limited = 0;
        std::uint64_t busy = 0;
    };
    counters refused_;  // logins
    // Their lines in the audit log are bounded.
    steady_time refused_since_{};
    std::size_t refused_told_ = 0;
    std::size_t refused_untold_ = 0;
    net::wheel_timer timer_{this, [](admin& self) { self.collect(); }};
};

}  // namespace foz::ops
