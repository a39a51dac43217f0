#include "service/request.hpp"

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/utf8.hpp"
#include "contract/names.hpp"
#include "contract/receivers.hpp"
#include "service/request_state.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>

namespace foz::service {
namespace {

constexpr std::uint8_t persistent = 2;  // AMQP 0-9-1 §1.8, delivery-mode

}  // namespace

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
    return state_->properties.reply_to.has_value();
}

amqp::publication request::state::begin(std::string_view json) {
    if (!is_json(json)) throw std::invalid_argument("what a service says is JSON text");
    amqp::publication p;
    p.body = json;
    p.properties.content_type = "application/json";
    p.properties.delivery_mode = persistent;
    p.properties.timestamp = static_cast<std::uint64_t>(unix_ms(std::chrono::system_clock::now()).count() / 1000);
    // Derived: the same again when the handler runs again.
    if (properties.message_id) p.properties.message_id = *properties.message_id + "/" + std::to_string(said.size());
    const auto* const trace = properties.headers ? properties.headers->find(contract::header_traceparent) : nullptr;
    if (trace) p.properties.headers.emplace().set(contract::header_traceparent, *trace);
    return p;
}

void request::reply(std::string_view json) {
    if (state_->replied) throw std::logic_error("a request has one reply");
    amqp::publication p = state_->begin(json);
    state_->replied = true;
    if (!awaits_reply()) return;
    p.routing_key = *state_->properties.reply_to;  // through the default exchange, as any AMQP RPC
    p.properties.correlation_id = state_->properties.correlation_id;
    // The caller's queue may be gone with its aggregator: then nobody waits for the answer any more.
    p.mandatory = false;
    state_->said.push_back(std::move(p));
}

void request::reply_error(std::string_view code, std::string_view text) {
    state_->said.clear();
    state_->replied = false;
    state_->refused = true;
    reply("{\"code\":" + json_string(code) + ",\"message\":" + json_string(is_utf8(text) ? text : "?") + "}");
    if (state_->said.empty()) return;
    auto& headers = state_->said.back().properties.headers;
    if (!headers) headers.emplace();
    headers->set(contract::header_error, code);
}

void request::say(std::string_view header, const std::vector<std::string>& receivers, std::string_view json,
                  const say_options& options) {
    amqp::publication p = state_->begin(json);
    p.exchange = contract::outbound_exchange;
    p.routing_key = state_->channel;
    if (!options.topic.empty()) p.routing_key += "." + options.topic;
    if (!options.type.empty()) p.properties.type = options.type;
    if (!p.properties.headers) p.properties.headers.emplace();
    if (header == contract::header_broadcast) {
        p.properties.headers->set(header, true);
    } else {
        p.properties.headers->set(header, contract::encode_receivers(receivers));
    }
    // A volatile channel has no queue while no aggregator runs: then nobody listens.
    p.mandatory = false;
    state_->said.push_back(std::move(p));
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

}  // namespace foz::service
