#include "aggregator/shard/front.hpp"

#include "aggregator/shard/connect_question.hpp"
#include "aggregator/shard/credentials.hpp"
#include "aggregator/shard/identity.hpp"
#include "aggregator/shard/refused_socket.hpp"
#include "primus/spec.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::string_view primus_path = "/primus";
constexpr std::string_view protocol = "foz.v1";
// Who comes when nobody is taken, or has too many sockets already.
constexpr std::chrono::seconds retry_after{1};
constexpr std::chrono::milliseconds retry_after_overload{5'000};

ws::http_response text(unsigned status, std::string body) {
    return {.status = status, .body = std::move(body) + "\n"};
}

// The connection ends with it: the next attempt comes on another one, and counts as it does
// (limits.address_handshakes).
ws::http_response refused_handshake(unsigned status, const std::string& why, std::chrono::seconds retry_in) {
    ws::http_response later = text(status, why);
    later.headers = {{"Retry-After", std::to_string(retry_in.count())}};
    later.last = true;
    return later;
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

// Without its name, which may be anything.
client_error unknown_channel(const char* field) {
    return {error_code::unknown_channel, "there is no such channel", field};
}

// A browser adds a certificate, and what a proxy knows its user by, to what any page asks.
client_error foreign_page() {
    return {error_code::forbidden,
            "a page of this origin can't come with a certificate or a proxy's login unless "
            "listen.origins names its origin",
            "Origin"};
}

client_error overloaded(std::string why) {
    client_error error{error_code::overloaded, std::move(why)};
    error.retry_after_ms = static_cast<std::uint64_t>(retry_after_overload.count());
    return error;
}

bool offers(const ws::http_request& request, std::string_view wanted) {
    const std::string lines = request.all("Sec-WebSocket-Protocol");
    const auto all = protocols_in(lines);
    return std::ranges::find(all, wanted) != all.end();
}

}  // namespace

// What is known of a client that the connect service was asked about; on whatever shard it is let in.
class front::connect_note final : public ws::request_note {
public:
    explicit connect_note(connect_service::outcome s, std::shared_ptr<net::slot_pool> a)
        : said(std::move(s)), address(std::move(a)) {}

    const connect_service::outcome said;
    const std::shared_ptr<net::slot_pool> address;  // the place behind a proxy, counted when it came
};

struct front::identity {
    client_id client;
    std::shared_ptr<const client_rights> rights = nullptr;  // of a client that has a name of its own
    std::string device = {};
    std::vector<std::pair<std::string, std::string>> headers = {};  // a cookie for a browser that had none
};

bool front::own_page(const question& asked) const {
    return ws::same_origin(asked.request.header("Origin"), asked.as.secure, asked.as.host);
}

// Order of belief: a token, the name in a TLS certificate, what a trusted proxy says, and, when it was asked, what the
// connect service says. Nothing: it has shown nothing.
std::expected<std::optional<known_client>, client_error> front::named_client(const question& asked) const {
    const settings& config = gateway_.config();
    const auto token = token_in(
        asked.request, {.own_page = own_page(asked), .taken = !config.issuers.empty(), .cookie = config.token_cookie});
    if (!token) return std::unexpected(token.error());
    if (*token) {
        auto known = state_.tokens->check(**token);
        if (!known) return std::unexpected(std::move(known.error()));
        return std::optional(*std::move(known));
    }
    // A proxy's certificate says who the proxy is.
    if (asked.request.certified && !asked.behind_proxy) {
        if (!origin_named(asked)) return std::unexpected(foreign_page());
        auto certified = client_certified(*asked.request.certified, config);
        if (!certified) return std::unexpected(std::move(certified.error()));
        return std::optional(*std::move(certified));
    }
    auto said = asked.behind_proxy ? client_in(asked.request, config) : std::nullopt;
    if (said && *said && !origin_named(asked)) return std::unexpected(foreign_page());
    if ((said && *said) || !said || !asked.note) return said;
    if (!asked.note->said) return std::unexpected(asked.note->said.error());
    return std::optional(*asked.note->said);
}

// The secret in a cookie, for a page of the same origin.
// RFC 6265 §4.1.2: for no script, for no other site's requests, and never sent in the clear once it was secret.
std::string front::remember(const question& asked, identity& to, std::string secret) const {
    std::string cookie = std::string(resume_cookie) + "=" + secret + "; Path=/primus; HttpOnly; SameSite=Strict";
    if (asked.as.secure) cookie += "; Secure";
    to.headers.emplace_back("Set-Cookie", std::move(cookie));
    return secret;
}

// By what a client keeps to come back with: the parameter, or the cookie (only from a page of the same origin: any
// other page could make the browser send it). A client without a name is who keeps that; of one with a name it says
// which device this is.
std::expected<front::identity, client_error> front::identify(const question& asked,
                                                             std::optional<known_client> named) const {
    if (!named && !gateway_.config().anonymous)
        return std::unexpected(client_error{error_code::login_required, "a token is needed here", "token"});
    const auto secret = asked.request.parameter("resume");
    const bool own = own_page(asked);
    std::string_view kept = secret.value_or(own ? asked.request.cookie(resume_cookie) : std::string_view());
    if (!is_resume_secret(kept)) kept = {};
    net::shard& here = gateway_.home();
    identity made;
    if (named) made.rights = std::move(named->rights);
    if (named && !named->client.empty()) {
        made.client = std::move(named->client);
        if (!kept.empty()) {
            made.device = device_mark(kept);
        } else if (own) {
            made.device = device_mark(remember(asked, made, here.random().token()));
        }
        return made;
    }
    if (!kept.empty()) {
        made.client = anonymous_client(kept);
        return made;
    }
    // One that may stay where it is.
    std::string fresh = here.random().token();
    while (shard_of(anonymous_client(fresh), state_.shards) != here.index()) fresh = here.random().token();
    made.client = anonymous_client(fresh);
    if (own) remember(asked, made, std::move(fresh));
    return made;
}

// May a page of this origin connect? Programs that are no browser send none. A list that names origins protects the
// clients' cookies and their users' networks, not the aggregator.
bool front::origin_allowed(const question& asked) const {
    const std::string_view origin = asked.request.header("Origin");
    if (origin.empty() || own_page(asked)) return true;
    return std::ranges::any_of(gateway_.config().origins,
                               [&](const std::string& allowed) { return allowed == "*" || allowed == origin; });
}

// The same for who comes with what a browser adds by itself: "*" names no origin.
bool front::origin_named(const question& asked) const {
    const std::string_view origin = asked.request.header("Origin");
    if (origin.empty() || own_page(asked)) return true;
    return std::ranges::any_of(gateway_.config().origins,
                               [&](const std::string& named) { return named != "*" && named == origin; });
}

// CORS, for pages of other hosts that load the library or ask for the specification.
ws::http_response front::for_other_origins(const question& asked, ws::http_response response) const {
    const std::string_view origin = asked.request.header("Origin");
    response.headers.emplace_back("Vary", "Origin");
    if (!origin.empty() && origin_allowed(asked)) response.headers.emplace_back("Access-Control-Allow-Origin", origin);
    return response;
}

ws::decision front::on_request(const ws::http_request& request, const net::tcp::endpoint& from, bool upgradable) {
    const std::string_view path = request.path;
    // What balances load may call it as it likes, and learns nothing from it.
    if (path == "/healthz" && (request.method == "GET" || request.method == "HEAD")) return health();
    question asked{.request = request,
                   .from = from,
                   .as = {.secure = gateway_.config().tls.has_value(), .host = request.host},
                   .client = from.address(),
                   .note = dynamic_cast<const connect_note*>(request.note.get())};
    if (state_.proxies.contains(from.address())) {
        const bool rfc = gateway_.config().forwarding == forwarding_header::rfc_7239;
        const ws::forwarding said = rfc ? ws::forwarding::rfc_7239 : ws::forwarding::x_forwarded;
        asked.as = ws::as_forwarded(request, said, std::move(asked.as));
        asked.behind_proxy = true;
        asked.client = ws::client_address(request, said, from.address(), state_.proxies);
    }
    if (!state_.hosts.answers(asked.as.host))
        return text(421, "this name is not served here: listen.hosts has those that are");
    if (path == primus_path || path == "/primus/") return on_socket(asked, {}, upgradable);
    if (request.method != "GET" && request.method != "HEAD") {
        ws::http_response refused = text(405, "only GET and HEAD are answered here");
        refused.headers = {{"Allow", "GET, HEAD"}};
        return refused;
    }
    if (path == "/primus/primus.js") return library(asked, state_.primus_js);
    if (path == "/primus/foz.js") return library(asked, state_.foz_js);
    if (path == "/primus/spec")
        return for_other_origins(asked,
                                 {.content_type = "application/json",
                                  .body = primus::spec_json({.ping_interval = gateway_.config().ping_interval})});
    if (path.starts_with("/primus/")) return on_socket(asked, path.substr(8), upgradable);
    return state_.files ? state_.files->answer(request) : text(404, "not found");
}

ws::http_response front::health() const {
    if (state_.stopping) return text(503, "not ready: stopping");
    const readiness now = state_.now;
    return text(now == readiness::ready ? 200 : 503, said_of(now));
}

ws::verdict front::library(const question& asked, const std::optional<ws::fixed_content>& source) const {
    if (!source) return text(404, "the client library was not built; see the README");
    return for_other_origins(asked, source->answer(asked.request));
}

ws::decision front::on_socket(const question& asked, std::string_view channel, bool upgradable) {
    if (!upgradable) return ws::upgrade{};  // becomes the status that the handshake deserves
    if (!origin_allowed(asked)) return text(403, "forbidden: pages of this origin may not connect");
    ws::decision decided = let_in(asked, channel);
    // RFC 6455 §4.2.2: one of those that were offered, or none; a token that is offered as one is never told back.
    auto* const said = std::get_if<ws::verdict>(&decided);
    auto* const taken = said ? std::get_if<ws::upgrade>(said) : nullptr;
    if (taken && offers(asked.request, protocol)) taken->headers.emplace_back("Sec-WebSocket-Protocol", protocol);
    return decided;
}

ws::decision front::let_in(const question& asked, std::string_view channel) {
    // A client would believe to hear what it can't; another aggregator may be better off.
    if (state_.now != readiness::ready || state_.closed)
        return refuse_for_now(asked.request,
                              {error_code::unavailable, state_.closed ? "not ready: stopping" : said_of(state_.now)});
    if (state_.short_of_memory)
        return refuse_for_now(asked.request, overloaded("the aggregator has no memory to spare"));
    // Before a token costs anything.
    if (comes_too_fast(asked)) return refuse_address();
    auto options = read_query(asked.request, channel);
    if (!options) return refuse(asked, options.error());
    auto named = named_client(asked);
    if (!named) return refuse(asked, named.error());
    if (!*named && state_.door) return ask(asked);
    auto who = identify(asked, *std::move(named));
    if (!who) return refuse(asked, who.error());
    // All sockets of a client live together: what it has asked, been asked and sent before is known wherever it comes
    // in.
    const unsigned shard = shard_of(who->client, state_.shards);
    if (shard != gateway_.home().index()) return ws::elsewhere{shard, asked.request.note};
    if (gateway_.sessions().has_enough_sockets(who->client, who->rights ? who->rights->limits.get() : nullptr)) {
        ++gateway_.sessions().counters().too_many_sockets;
        return refuse(asked, overloaded("this client has too many sockets"));
    }
    options->id = session_id(gateway_.home().random().token());
    options->client = std::move(who->client);
    options->rights = std::move(who->rights);
    options->device = std::move(who->device);
    if (const auto why = not_allowed(*options)) return refuse(asked, *why);
    auto place = place_behind_proxy(asked);
    if (!place) return std::move(place.error());
    return ws::upgrade{gateway_.make_socket(*std::move(options)), std::move(who->headers), *std::move(place)};
}

// The service decides; until then the request waits, and nothing is remembered of it here.
ws::decision front::ask(const question& asked) {
    connect_service& door = *state_.door;
    if (gateway_.sessions().no_service(door.channel())) return refuse(asked, door.no_service());
    auto text = connect_question(
        asked.request,
        {.address = asked.client.to_string(), .host = asked.as.host, .trusted_page = origin_named(asked)},
        gateway_.config().connect);
    if (!text) return refuse(asked, text.error());
    // Who asks has come, whatever becomes of it.
    auto address = place_behind_proxy(asked);
    if (!address) return std::move(address.error());
    const auto place = std::make_shared<net::slot>(door.take_place(asked.client, gateway_.home().time().now()));
    if (!*place) return refuse_for_now(asked.request, door.too_many_open());
    return ws::later{[this, &door, text = *std::move(text), address = *std::move(address), place,
                      from = asked.from](const ws::answer_slot& to) mutable {
        door.ask(gateway_.home(), std::move(text), std::move(*place),
                 [this, to, address = std::move(address), from](connect_service::outcome said) {
                     on_answer(to, std::make_shared<connect_note>(std::move(said), address), from);
                 });
    }};
}

// Looks at the request as if it came now: meanwhile much may have changed. It is not asked about again.
void front::on_answer(const ws::answer_slot& to, std::shared_ptr<const ws::request_note> note,
                      const net::tcp::endpoint& from) {
    const ws::http_request* const waiting = to.request();
    if (!waiting) return;
    ws::http_request known = *waiting;
    known.note = std::move(note);
    to(std::get<ws::verdict>(on_request(known, from, true)));
}

// A client's own connection has been counted when it came. A proxy brings those of many.
std::expected<std::shared_ptr<net::slot_pool>, ws::http_response> front::place_behind_proxy(const question& asked) {
    if (asked.note) return asked.note->address;
    if (!state_.addresses || !asked.behind_proxy || state_.proxies.contains(asked.client)) return nullptr;
    auto place = state_.addresses->arrive(asked.client, gateway_.home().time().now());
    if (place) return *std::move(place);
    return std::unexpected(refuse_address());
}

bool front::comes_too_fast(const question& asked) const {
    if (asked.note || !state_.addresses || !asked.behind_proxy || state_.proxies.contains(asked.client)) return false;
    return state_.addresses->comes_too_fast(asked.client, gateway_.home().time().now());
}

ws::http_response front::refuse_address() {
    ++gateway_.sessions().counters().refused_for_now;
    return refused_handshake(429, "too many connections from this address: please try again", retry_after);
}

// A revoked client, or a channel that it may not have: said at once, as what else is wrong with a connection's URL.
std::optional<client_error> front::not_allowed(const session_options& options) const {
    const hub& sessions = gateway_.sessions();
    const client_rights& rights = options.rights ? *options.rights : sessions.unnamed();
    if (sessions.is_revoked(options.client.view(), options.id.view(), rights))
        return client_error{error_code::revoked, "this client or its token was revoked", "token"};
    const auto name = [&](std::size_t channel) { return gateway_.config().channels[channel].name; };
    if (options.bound_channel && rights.channels[*options.bound_channel].allow_nothing())
        return client_error{error_code::forbidden,
                            "this client may do nothing on channel " + name(*options.bound_channel), "channel"};
    for (const std::size_t channel : options.consume_at_open)
        if (rights.channels[channel].consume.none())
            return client_error{error_code::forbidden, "this client may not consume channel " + name(channel),
                                "consume"};
    return std::nullopt;
}

std::expected<session_options, client_error> front::read_query(const ws::http_request& request,
                                                               std::string_view channel) const {
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
    if (const auto secret = request.parameter("resume"); secret && !is_resume_secret(*secret))
        return std::unexpected(
            client_error{error_code::bad_query, "22 to 64 characters of A-Z a-z 0-9 - _ are expected", "resume"});
    options.consume_at_open = std::move(*consume);
    options.hello = request.parameter("hello") == "1";
    return options;
}

ws::verdict front::refuse(const question& asked, const client_error& why) {
    // Who is refused has come all the same.
    if (auto place = place_behind_proxy(asked); !place) return std::move(place.error());
    return why.retry_after_ms ? refuse_for_now(asked.request, why) : refuse_for_good(why);
}

// A browser hides the status of a handshake that fails from its page, and the page would try again for ever.
ws::verdict front::refuse_for_good(const client_error& why) {
    ++gateway_.sessions().counters().refused_for_good;
    const auto code = why.code == error_code::expired   ? spec::close_expired
                      : why.code == error_code::revoked ? spec::close_revoked
                                                        : spec::close_refused;
    return ws::upgrade{make_refused_socket(why, ws::close_code(code), come_back::never), {}};
}

// A 503 makes the stock client come back more and more seldom, and keep what it has written meanwhile; an open socket
// that closes makes it come back every half second and lose that. Only clients that say so read it in their socket.
ws::verdict front::refuse_for_now(const ws::http_request& request, client_error why) {
    ++gateway_.sessions().counters().refused_for_now;
    constexpr std::uint64_t second = 1'000;
    const std::uint64_t pause = why.retry_after_ms.value_or(static_cast<std::uint64_t>(retry_after.count()) * second);
    if (request.parameter("hello") == "1") {
        why.retry_after_ms = pause;
        return ws::upgrade{make_refused_socket(why, ws::close_code(spec::close_try_later), come_back::later), {}};
    }
    return refused_handshake(503, why.message, std::chrono::seconds((pause + second - 1) / second));
}

}  // namespace foz::aggregator
