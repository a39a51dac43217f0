#include "ops/admin/admin.hpp"

#include "ops/admin/process.hpp"
#include "ops/admin/request_gate.hpp"
#include "ops/config/configuration.hpp"
#include "ops/log.hpp"

#include <chrono>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>

namespace foz::ops {
namespace {

constexpr std::chrono::milliseconds collect_interval{1'000};
constexpr std::chrono::seconds dead_after{10};
constexpr std::string_view api_prefix = "/api/";
// Lines of the audit log about refused logins; those beyond are counted.
constexpr std::chrono::seconds refused_window{10};
constexpr std::size_t refused_told_max = 50;
constexpr std::size_t user_octets_told = 64;

ws::http_response text(unsigned status, std::string body) {
    return {.status = status, .body = std::move(body) + "\n"};
}

ws::http_response not_allowed(const std::string& methods) {
    ws::http_response refused = text(405, "only " + methods + " is answered here");
    refused.headers.emplace_back("Allow", methods);
    return refused;
}

bool is_reading(const ws::http_request& request) {
    return request.method == "GET" || request.method == "HEAD";
}

bool is_probe(const ws::http_request& request) {
    return is_reading(request) && (request.path == "/healthz" || request.path == "/readyz");
}

}  // namespace

admin::admin(net::shard& home, const admin_settings& settings, admin_parts parts)
    : home_(home),
      settings_(settings),
      parts_(std::move(parts)),
      hosts_(parts_.hosts),
      login_(home, settings.users),
      audit_(settings.audit_log),
      last_at_(home.time().now()) {
    const endpoint where = *parse_endpoint(settings.listen);
    ws::server_options options{.listen = {.address = where.address, .port = where.port, .reuse_port = false}};
    options.connections_max = 500;
    if (!settings.tls_certificate.empty()) {
        auto made = net::tls_holder::open(net::tls_server_options{settings.tls_certificate, settings.tls_key},
                                          home.time().now());
        if (!made) throw std::runtime_error("admin: " + made.error());
        tls_ = std::move(*made);
    }
    auto opened = ws::server::open(home, *this, options, tls_);
    if (!opened) throw std::runtime_error("admin: " + opened.error());
    server_ = std::move(*opened);
    (void)uptime();  // counts from here
}

void admin::collect() {
    // A shard that hangs delays the next collection; the timer starts when all are done.
    collecting_ = parts_.sources.size();
    for (source* const one : parts_.sources)
        one->collect([this] {
            if (--collecting_ > 0) return;
            collected_ = true;
            last_at_ = home_.time().now();
            timer_.start(home_.wheel(), collect_interval);
        });
}

ws::decision admin::on_request(const ws::http_request& request, const net::tcp::endpoint& from, bool) {
    if (!hosts_.answers(request.host))
        return guarded(text(421, "this name is not served here: listen.hosts has those that are"));
    if (!is_probe(request) && is_foreign(request, tls_ != nullptr))
        return guarded(text(403, "pages of other origins may not ask here"));
    if (is_reading(request) && !request.content.empty())
        return guarded(text(400, "a " + request.method + " has no content"));
    const std::string address = from.address().to_string();
    const std::string authorization = request.all("Authorization");
    if (const auto who = login_.judge(authorization, from.address())) return serve(request, *who, address);
    return ws::later{[this, authorization, request, address, from = from.address()](const ws::answer_slot& to) {
        login_.hash_and_judge(authorization, from, [this, request, address, to](const login_result& who) {
            ws::decision made = serve(request, who, address);
            if (auto* const what = std::get_if<ws::verdict>(&made)) return to(std::move(*what));
            std::get<ws::later>(made).begin(to);
        });
    }};
}

ws::decision admin::serve(const ws::http_request& request, const login_result& who, const std::string& address) {
    if (auto refused = refuse_login(who, address)) return guarded(std::move(*refused));
    std::optional<admin_role> may;
    if (who.what == login_result::outcome::known) may = who.role;
    if (!login_.needed()) may = admin_role::view;
    if (is_reading(request)) return guarded(read(request, who, may));
    if (!may) return guarded(unauthorized(who));
    action* const what = find_action(request.path);
    if (!what) return guarded(not_allowed("GET, HEAD"));
    if (request.method != "POST") return guarded(not_allowed("POST"));
    if (!is_deliberate(request))
        return guarded(text(403, "what acts needs Content-Type: application/json, or X-Requested-With"));
    return act(request, *what, who, may, address);
}

ws::http_response admin::read(const ws::http_request& request, const login_result& who,
                              std::optional<admin_role> may) const {
    if (request.path == "/healthz") return health(may.has_value());
    if (request.path == "/readyz") return readiness(may.has_value());
    if (request.path == "/metrics" && (may || settings_.open_metrics)) return metrics();
    if (!may) return unauthorized(who);
    if (find_action(request.path)) return not_allowed("POST");
    if (request.path.starts_with(api_prefix))
        return api(std::string_view(request.path).substr(api_prefix.size()),
                   may == admin_role::act ? secrets::shown : secrets::hidden);
    return text(404, "/metrics, /healthz, /readyz and /api/overview are here");
}

action* admin::find_action(std::string_view path) const {
    if (!path.starts_with(api_prefix)) return nullptr;
    path.remove_prefix(api_prefix.size());
    for (action* const one : parts_.actions)
        if (one->path() == path) return one;
    return nullptr;
}

ws::decision admin::act(const ws::http_request& request, action& what, const login_result& who,
                        std::optional<admin_role> may, const std::string& address) {
    const auto tell = [this, user = who.user, address, &what](const std::string& target, const std::string& outcome) {
        audit_.write({.user = user, .address = address, .action = what.path(), .target = target, .outcome = outcome},
                     home_.time().wall_now());
    };
    if (may != admin_role::act) {
        tell("", "refused: the user may not act");
        return guarded(text(403, login_.needed() ? "only users of the role act may do that"
                                                 : "nobody may act until there is a user of the role act "
                                                   "([admin_users.NAME])"));
    }
    const auto arguments = action_arguments::parse(request.content);
    if (!arguments) {
        tell("", "failed: " + arguments.error());
        return guarded(text(400, arguments.error()));
    }
    return ws::later{[&what, arguments = *arguments, tell](const ws::answer_slot& to) {
        what.run(arguments, [tell, to](const action_outcome& done) {
            const bool good = done.status < 400;
            tell(done.target, good ? "done" : "failed: " + done.answer);
            ws::http_response response = text(done.status, done.answer);
            if (good) response.content_type = "application/json";
            to(guarded(std::move(response)));
        });
    }};
}

std::optional<ws::http_response> admin::refuse_login(const login_result& who, const std::string& address) {
    using outcome = login_result::outcome;
    if (who.what == outcome::anonymous || who.what == outcome::known) return std::nullopt;
    // Credentials where nobody has any: whoever sends them is let in like everybody.
    if (!login_.needed()) return std::nullopt;
    note_refused(who, address);
    if (who.what == outcome::wrong) return unauthorized(who);
    const bool limited = who.what == outcome::limited;
    // RFC 6585 §4
    ws::http_response refused = limited ? text(429, "too many failed logins from this address: try again later")
                                        : text(503, "too many logins wait to be checked: try again");
    refused.headers.emplace_back("Retry-After", std::to_string(who.retry_after.count()));
    return refused;
}

// Nobody fills a disk by failing.
void admin::note_refused(const login_result& who, const std::string& address) {
    const auto write = [&](std::string_view user, std::string_view from, const std::string& outcome) {
        audit_.write({.user = user, .address = from, .action = "login", .target = {}, .outcome = outcome},
                     home_.time().wall_now());
    };
    ++(who.what == login_result::outcome::wrong     ? refused_.wrong
       : who.what == login_result::outcome::limited ? refused_.limited
                                                    : refused_.busy);
    const steady_time now = home_.time().now();
    if (now - refused_since_ >= refused_window) {
        if (refused_untold_ > 0) write("", "", "refused: " + std::to_string(refused_untold_) + " more");
        refused_since_ = now;
        refused_told_ = refused_untold_ = 0;
    }
    if (who.what != login_result::outcome::wrong || refused_told_ == refused_told_max) return void(++refused_untold_);
    ++refused_told_;
    write(who.user, address, who.by_token ? "refused: no such token" : "refused: wrong user or password");
    if (!settings_.audit_log.empty())
        notice("admin: refused a login, of \"" + who.user.substr(0, user_octets_told) + "\" from " + address);
}

// RFC 9110 §11.6.1, RFC 7617 §2.1, RFC 6750 §3.
ws::http_response admin::unauthorized(const login_result& who) const {
    ws::http_response refused = text(401, "a login is needed here: HTTP Basic, or a bearer token");
    if (login_.takes_passwords())
        refused.headers.emplace_back("WWW-Authenticate", R"(Basic realm="foz", charset="UTF-8")");
    refused.headers.emplace_back(
        "WWW-Authenticate", who.by_token ? R"(Bearer realm="foz", error="invalid_token")" : R"(Bearer realm="foz")");
    return refused;
}

ws::http_response admin::metrics() const {
    if (!collected_) return text(503, "nothing was collected yet");
    exposition to;
    to.family("foz_build_info", "gauge", "The program's version");
    to.sample({{"version", parts_.version}}, 1);
    for (const source* const one : parts_.sources) one->expose(to);
    to.family("foz_admin_logins_refused_total", "counter", "Logins at the admin port that were refused");
    to.sample({{"why", "wrong"}}, refused_.wrong);
    to.sample({{"why", "limited"}}, refused_.limited);
    to.sample({{"why", "busy"}}, refused_.busy);
    to.family("foz_admin_passwords_hashed_total", "counter", "Passwords that were checked by hashing them");
    to.sample({}, login_.hashed());
    expose_process(to);
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = to.text()};
}

ws::http_response admin::api(std::string_view name, secrets shown) const {
    if (!collected_) return text(503, "nothing was collected yet");
    std::optional<std::string> json;
    if (name == "overview") json = overview();
    for (const source* const one : parts_.sources)
        if (!json) json = one->page(name, shown);
    if (!json) return text(404, "there is no /api/" + std::string(name));
    return {.content_type = "application/json", .body = *json + "\n"};
}

std::string admin::overview() const {
    json_writer to;
    to.open('{').member("product", "Foz").member("version", parts_.version).member("uptime_s", uptime().count());
    to.member("not_ready", not_ready()).member("memory_bytes", resident_bytes());
    to.member("cpu_seconds", processor_seconds());
    for (const source* const one : parts_.sources) one->overview(to);
    return to.close('}').text();
}

ws::http_response admin::health(bool details) const {
    if (home_.time().now() - last_at_ > dead_after)
        return text(503, details ? "an event loop does not answer" : "not alive");
    return text(200, "alive");
}

std::string admin::not_ready() const {
    if (stopping_) return "stopping";
    if (!collected_) return "starting";
    for (const source* const one : parts_.sources)
        if (std::string why = one->not_ready(); !why.empty()) return why;
    return {};
}

ws::http_response admin::readiness(bool details) const {
    const std::string why = not_ready();
    if (!why.empty()) return text(503, details ? "not ready: " + why : "not ready");
    std::string said = "ready";
    if (!details) return text(200, said);
    for (const source* const one : parts_.sources)
        for (const std::string& part : one->degraded())
            said += (said == "ready" ? "; degraded: " : "\ndegraded: ") + part;
    return text(200, said);
}

}  // namespace foz::ops
