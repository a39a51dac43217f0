#include "aggregator/shard/front.hpp"

#include "aggregator/shard/identity.hpp"
#include "aggregator/shard/refused_socket.hpp"
#include "primus/spec.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::string_view primus_path = "/primus";
constexpr std::string_view resume_cookie = "foz_resume";
// Who comes when nobody is taken.
constexpr std::chrono::seconds retry_after{1};

ws::http_response text(unsigned status, std::string body) {
    return {.status = status, .body = std::move(body) + "\n"};
}

// Why, in detail, is for operators: the admin port's /readyz.
std::string said_of(readiness now) {
    switch (now) {
        case readiness::starting:
            return "not ready: no broker yet";
        case readiness::ready:
            return "ready";
        case readiness::cut_off:
            return "not ready: the broker can't be reached";
        case readiness::deaf:
            return "not ready: the broker lets no channel be heard";
    }
    std::unreachable();
}

std::string_view content_type(const std::filesystem::path& path) {
    static constexpr std::pair<std::string_view, std::string_view> types[] = {{".html", "text/html; charset=utf-8"},
                                                                              {".js", "text/javascript; charset=utf-8"},
                                                                              {".css", "text/css; charset=utf-8"},
                                                                              {".svg", "image/svg+xml"},
                                                                              {".png", "image/png"},
                                                                              {".json", "application/json"},
                                                                              {".ico", "image/x-icon"},
                                                                              {".woff2", "font/woff2"}};
    for (const auto& [extension, type] : types)
        if (path.extension() == extension) return type;
    return "application/octet-stream";
}

// Channels named in a comma-separated list; nothing when one of them is unknown.
std::optional<std::vector<std::size_t>> channels_in(std::string_view list, const gateway& home) {
    std::vector<std::size_t> all;
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(','), list.size());
        const std::string_view name = list.substr(0, end);
        const auto index = home.sessions().channel_index(name);
        if (!index) return std::nullopt;
        all.push_back(*index);
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return all;
}

struct identity {
    client_id client;
    std::vector<std::pair<std::string, std::string>> headers;  // a cookie for a browser that had none
};

// Without its name, which may be anything.
client_error unknown_channel(const char* field) {
    return {error_code::unknown_channel, "there is no such channel", field};
}

// Order of belief: the resume secret of the query, then of the cookie (only from a page of the same origin: any other
// page could make the browser send it), then a new one.
std::expected<identity, client_error> identify(const ws::http_request& request, net::shard& here, unsigned shards) {
    if (const auto secret = request.parameter("resume")) {
        if (!is_resume_secret(*secret))
            return std::unexpected(
                client_error{error_code::bad_query, "22 to 64 characters of A-Z a-z 0-9 - _ are expected", "resume"});
        return identity{anonymous_client(*secret), {}};
    }
    const bool own_page = same_origin(request.header("Origin"), request.header("Host"));
    const std::string_view remembered = request.cookie(resume_cookie);
    if (own_page && is_resume_secret(remembered)) return identity{anonymous_client(remembered), {}};
    // One that may stay where it is.
    std::string fresh = here.random().token();
    while (shard_of(anonymous_client(fresh), shards) != here.index()) fresh = here.random().token();
    identity made{anonymous_client(fresh), {}};
    if (own_page)
        made.headers.emplace_back(
            "Set-Cookie", std::string(resume_cookie) + "=" + fresh + "; Path=/primus; HttpOnly; SameSite=Strict");
    return made;
}

// May a page of this origin connect? Programs that are no browser send none. A list that names origins protects the
// clients' cookies and their users' networks, not the aggregator.
bool origin_allowed(const ws::http_request& request, const settings& all) {
    const std::string_view origin = request.header("Origin");
    if (origin.empty() || same_origin(origin, request.header("Host"))) return true;
    return std::any_of(all.origins.begin(), all.origins.end(),
                       [&](const std::string& allowed) { return allowed == "*" || allowed == origin; });
}

// CORS, for pages of other hosts that load the library or ask for the specification.
ws::http_response for_other_origins(const ws::http_request& request, const settings& all, ws::http_response response) {
    const std::string_view origin = request.header("Origin");
    if (origin.empty() || !origin_allowed(request, all)) return response;
    response.headers.emplace_back("Access-Control-Allow-Origin", origin);
    response.headers.emplace_back("Vary", "Origin");
    return response;
}

}  // namespace

ws::decision front::on_request(const ws::http_request& request, const net::tcp::endpoint&, bool upgradable) {
    const std::string_view path = request.path;
    if (path == primus_path || path == "/primus/") return on_socket(request, {}, upgradable);
    if (request.method != "GET" && request.method != "HEAD") {
        ws::http_response refused = text(405, "only GET and HEAD are answered here");
        refused.headers = {{"Allow", "GET, HEAD"}};
        return refused;
    }
    if (path == "/primus/primus.js") return library(request, state_.primus_js);
    if (path == "/primus/foz.js") return library(request, state_.foz_js);
    if (path == "/primus/spec")
        return for_other_origins(request, gateway_.config(),
                                 {.content_type = "application/json",
                                  .body = primus::spec_json({.ping_interval = gateway_.config().ping_interval})});
    if (path == "/healthz") return health();
    if (path.starts_with("/primus/")) return on_socket(request, path.substr(8), upgradable);
    return file(path);
}

ws::http_response front::health() const {
    if (state_.stopping) return text(503, "not ready: stopping");
    const readiness now = state_.now;
    return text(now == readiness::ready ? 200 : 503, said_of(now));
}

ws::decision front::library(const ws::http_request& request, const std::string& source) const {
    if (source.empty()) return text(404, "the client library was not built; see the README");
    return for_other_origins(request, gateway_.config(),
                             {.content_type = "text/javascript; charset=utf-8", .body = source});
}

ws::decision front::on_socket(const ws::http_request& request, std::string_view channel, bool upgradable) {
    if (!upgradable) return ws::upgrade{};  // becomes the status that the handshake deserves
    if (!origin_allowed(request, gateway_.config()))
        return text(403, "forbidden: pages of this origin may not connect");
    // A client would believe to hear what it can't; another aggregator may be better off.
    if (state_.now != readiness::ready || state_.closed) return refuse_for_now(request);
    auto options = read_query(request, channel);
    if (!options) return refuse_for_good(options.error());
    auto who = identify(request, gateway_.home(), state_.shards);
    if (!who) return refuse_for_good(who.error());
    // All sockets of a client live together: what it has asked, been asked and sent before is known wherever it comes
    // in.
    const unsigned shard = shard_of(who->client, state_.shards);
    if (shard != gateway_.home().index()) return ws::elsewhere{shard};
    options->id = session_id(gateway_.home().random().token());
    options->client = std::move(who->client);
    return ws::upgrade{gateway_.make_socket(*std::move(options)), std::move(who->headers)};
}

std::expected<session_options, client_error> front::read_query(const ws::http_request& request,
                                                               std::string_view channel) const {
    if (request.parameter("token"))
        return std::unexpected(client_error{error_code::unsupported, "this aggregator knows no tokens", "token"});
    session_options options;
    if (channel.empty()) channel = request.parameter("channel").value_or(std::string_view());
    if (!channel.empty()) {
        options.bound_channel = gateway_.sessions().channel_index(channel);
        if (!options.bound_channel) return std::unexpected(unknown_channel("channel"));
    }
    auto consume = channels_in(request.parameter("consume").value_or(std::string_view()), gateway_);
    if (!consume) return std::unexpected(unknown_channel("consume"));
    const auto foreign = [&](std::size_t one) { return options.bound_channel && one != *options.bound_channel; };
    if (std::ranges::any_of(*consume, foreign))
        return std::unexpected(client_error{error_code::channel_mismatch,
                                            "the socket is bound to another channel than consume names", "consume"});
    options.consume_at_open = std::move(*consume);
    options.hello = request.parameter("hello") == "1";
    return options;
}

// A browser hides the status of a handshake that fails from its page, and the page would try again for ever.
ws::decision front::refuse_for_good(const client_error& why) {
    ++gateway_.sessions().counters().refused_for_good;
    return ws::upgrade{make_refused_socket(why, ws::close_code(spec::close_refused), come_back::never), {}};
}

// A 503 makes the stock client come back more and more seldom, and keep what it has written meanwhile; an open socket
// that closes makes it come back every half second and lose that. Only clients that say so read it in their socket.
ws::decision front::refuse_for_now(const ws::http_request& request) {
    ++gateway_.sessions().counters().refused_for_now;
    const std::string why = state_.closed ? "not ready: stopping" : said_of(state_.now);
    if (request.parameter("hello") == "1") {
        client_error told{error_code::unavailable, why};
        told.retry_after_ms = static_cast<std::uint64_t>(retry_after.count()) * 1'000;
        return ws::upgrade{make_refused_socket(told, ws::close_code(spec::close_try_later), come_back::later), {}};
    }
    ws::http_response later = text(503, why);
    later.headers = {{"Retry-After", std::to_string(retry_after.count())}};
    return later;
}

ws::http_response front::file(std::string_view path) const {
    const std::string& folder = gateway_.config().web_folder;
    if (folder.empty() || path.find("..") != std::string_view::npos || path.find('\0') != std::string_view::npos)
        return text(404, "not found");
    std::filesystem::path where = folder + std::string(path);
    std::error_code ignored;
    if (std::filesystem::is_directory(where, ignored)) where /= "index.html";
    std::ifstream in(where, std::ios::binary);
    if (!in || !std::filesystem::is_regular_file(where, ignored)) return text(404, "not found");
    return {.content_type = std::string(content_type(where)),
            .body = std::string(std::istreambuf_iterator<char>(in), {}),
            .headers = {{"Cache-Control", "no-cache"}, {"X-Content-Type-Options", "nosniff"}}};
}

}  // namespace foz::aggregator
