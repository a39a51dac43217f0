#include "service/request.hpp"

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/random.hpp"
#include "base/utf8.hpp"
#include "contract/names.hpp"
#include "contract/receivers.hpp"
#include "service/request_state.hpp"
#include "service/worker_core.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>

namespace foz::service {

request::request(std::unique_ptr<state> s) : state_(std::move(s)) {}
request::~request() = default;

std::string_view request::channel() const noexcept {
    return state_->channel;
}
std::string_view request::type() const noexcept {
    return state_->properties.type ? std::string_view(*state_->properties.type) : std::string_view();
}
std::string_view request::topic() const noexcept {
    return state_->topic;
}
std::string_view request::client() const noexcept {
    return state_->client;
}
std::string_view request::session() const noexcept {
    return state_->session;
}
std::string_view request::message_id() const noexcept {
    return state_->properties.message_id ? std::string_view(*state_->properties.message_id) : std::string_view();
}
std::string_view request::message() const noexcept {
    return state_->body;
}
bool request::redelivered() const noexcept {
    return state_->redelivered;
}
bool request::awaits_reply() const noexcept {
    return state_->awaits_reply();
}
bool request::cancelled() const noexcept {
    return *state_->cancelled;
}
unsigned request::attempt() const noexcept {
    return state_->attempt;
}
std::optional<std::chrono::system_clock::time_point> request::deadline() const {
    return state_->deadline;
}

amqp::publication request::state::about_this(std::string_view json) const {
    if (!is_json(json)) throw std::invalid_argument("what a service says is JSON text");
    amqp::publication p = make_publication();
    p.body = json;
    p.properties.timestamp = static_cast<std::uint64_t>(unix_ms(std::chrono::system_clock::now()).count() / 1000);
    const auto* const trace = properties.headers ? properties.headers->find(contract::header_traceparent) : nullptr;
    if (trace) p.properties.headers.emplace().set(contract::header_traceparent, *trace);
    return p;
}

amqp::publication request::state::derived(std::string_view json, std::string_view suffix) const {
    amqp::publication p = about_this(json);
    if (properties.message_id) p.properties.message_id.emplace(*properties.message_id).append("/").append(suffix);
    return p;
}

amqp::publication request::state::fresh(std::string_view json) const {
    amqp::publication p = about_this(json);
    p.properties.message_id = system_random().token();
    return p;
}

void request::state::address_reply(amqp::publication& p) const {
    p.routing_key = *properties.reply_to;  // through the default exchange, as any AMQP RPC
    p.properties.correlation_id = properties.correlation_id;
}

amqp::publication request::state::lifecycle(amqp::publication p, std::string_view type) const {
    address_reply(p);
    p.properties.type = type;
    return p;
}

std::vector<amqp::publication> request::state::take_said() {
    std::vector<amqp::publication> said = std::move(out.said);
    if (!out.reply) return said;
    const auto reply = said.begin() + static_cast<std::ptrdiff_t>(*out.reply);
    if (awaits_reply()) {
        address_reply(*reply);
    } else {
        said.erase(reply);
    }
    return said;
}

// Kept also when nobody awaits it: who sends the message again may.
void request::reply(std::string_view json) {
    outbox& out = state_->out;
    if (out.reply) throw std::logic_error("a request has one reply");
    out.said.push_back(state_->derived(json, std::to_string(out.said.size())));
    out.reply = out.said.size() - 1;
}

void request::part(std::string_view json) {
    if (state_->out.reply) throw std::logic_error("a part comes before the reply");
    if (!awaits_reply() || cancelled()) return;
    const std::uint64_t attempt = state_->parts_repeat ? 1 : state_->attempt;
    const std::uint64_t seq = state_->parts++;
    amqp::publication p = state_->lifecycle(state_->derived(json, std::to_string(attempt) + "/" + std::to_string(seq)),
                                            contract::type_part);
    if (!p.properties.headers) p.properties.headers.emplace();
    p.properties.headers->set(contract::header_attempt, static_cast<std::int64_t>(attempt));
    p.properties.headers->set(contract::header_seq, static_cast<std::int64_t>(seq));
    state_->core->publish_now(std::move(p), state_->parts_lost);
}

void request::part_again() noexcept {
    state_->parts_repeat = true;
}

namespace {

// What can't be passed on as it is must not cost the caller its answer: a code that is not UTF-8 can't stand in a
// frame, and one that fills a content header, which can't span frames, can't be published at all.
std::string_view speakable(std::string_view code) {
    constexpr std::size_t octets_max = 255;
    if (!is_utf8(code)) return "?";
    if (code.size() <= octets_max) return code;
    std::size_t end = octets_max;
    while (end > 0 && (static_cast<unsigned char>(code[end]) & 0xc0) == 0x80) --end;  // not inside a character
    return code.substr(0, end);
}

}  // namespace

void request::reply_error(std::string_view code, std::string_view text) {
    state_->out = {};
    state_->refused = true;
    code = speakable(code);
    reply("{\"code\":" + json_string(code) + ",\"message\":" + json_string(is_utf8(text) ? text : "?") + "}");
    auto& headers = state_->out.said.back().properties.headers;
    if (!headers) headers.emplace();
    headers->set(contract::header_error, code);
}

namespace {

void address(amqp::publication& p, const std::string& channel, const say_options& options) {
    p.exchange = contract::outbound_exchange;
    p.routing_key = channel;
    if (!options.topic.empty()) p.routing_key += "." + options.topic;
    if (!options.type.empty()) p.properties.type = options.type;
    if (!p.properties.headers) p.properties.headers.emplace();
}

}  // namespace

void request::say(std::string_view header, const std::vector<std::string>& receivers, std::string_view json,
                  const say_options& options) {
    amqp::publication p = state_->derived(json, std::to_string(state_->out.said.size()));
    address(p, state_->channel, options);
    if (header == contract::header_broadcast) {
        p.properties.headers->set(header, true);
    } else {
        p.properties.headers->set(header, contract::encode_receivers(receivers));
    }
    state_->out.said.push_back(std::move(p));
}

void request::broadcast(std::string_view json, const say_options& options) {
    say(contract::header_broadcast, {}, json, options);
}

namespace {

// Receivers in portions that fit a content header, which can't span frames.
std::vector<std::vector<std::string>> portions(const std::vector<std::string>& all) {
    std::vector<std::vector<std::string>> parts;
    for (std::size_t i = 0; i < all.size(); i += contract::receivers_limit) {
        const std::size_t end = std::min(all.size(), i + contract::receivers_limit);
        parts.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(i),
                           all.begin() + static_cast<std::ptrdiff_t>(end));
    }
    return parts;
}

}  // namespace

void request::multicast(const std::vector<std::string>& groups, std::string_view json, const say_options& options) {
    for (const auto& part : portions(groups)) say(contract::header_multicast, part, json, options);
}

void request::direct(const std::vector<std::string>& receivers, std::string_view json, const say_options& options) {
    for (const auto& part : portions(receivers)) say(contract::header_direct, part, json, options);
}

void request::extend(std::chrono::milliseconds more) {
    const auto until = std::chrono::system_clock::now() + more;
    state_->deadline = until;
    if (!awaits_reply()) return;
    amqp::publication p = state_->lifecycle(state_->fresh("null"), contract::type_extend);
    if (!p.properties.headers) p.properties.headers.emplace();
    p.properties.headers->set(contract::header_deadline, unix_ms(until).count());
    state_->core->publish_now(std::move(p));
}

std::optional<std::string> request::ask(const std::string& receiver, std::string_view json,
                                        std::chrono::milliseconds within, const say_options& options) {
    amqp::publication p = state_->fresh(json);
    address(p, state_->channel, options);
    p.properties.headers->set(contract::header_direct, contract::encode_receivers({&receiver, 1}));
    return state_->core->ask(std::move(p), within);
}

}  // namespace foz::service
