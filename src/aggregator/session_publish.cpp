// Clients → services: the part of a session that publishes.
#include "aggregator/session.hpp"
#include "contract/names.hpp"
#include "contract/receivers.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::uint8_t persistent = 2;  // AMQP 0-9-1 §1.8, delivery-mode

amqp::field_array names_of(std::span<const std::string_view> names) {
    amqp::field_array all;
    for (const std::string_view name : names) all.emplace_back(name);
    return all;
}

std::string receivers(std::span<const std::string_view> names) {
    return contract::encode_receivers(std::vector<std::string>(names.begin(), names.end()));
}

std::optional<client_error> error_of(amqp::outcome result) {
    switch (result) {
        case amqp::outcome::confirmed:
            return std::nullopt;
        case amqp::outcome::unroutable:
            return client_error{"unroutable", "no queue takes messages of this channel", {}};
        case amqp::outcome::rejected:
            return client_error{"overloaded", "the channel's queue is full", {}, true};
        case amqp::outcome::overloaded:
            return client_error{"overloaded", "too many messages wait for the broker", {}, true};
        case amqp::outcome::unavailable:
            return client_error{"unavailable", "the broker can't be reached", {}, true};
        case amqp::outcome::unknown:
            return client_error{
                "unknown", "the broker did not confirm in time; the message may have arrived", {}, true};
        case amqp::outcome::invalid:
            return client_error{"bad_envelope", "the message does not fit AMQP", {}};
    }
    return client_error{"unavailable", "the broker can't be reached", {}, true};
}

}  // namespace

// The confirms of one frame, which may have gone to several channels.
struct session::pending_receipt {
    reply_context context;
    envelope::ack_mode ack;
    std::string request_key;  // of the request that waits for an answer; empty: none does
    std::size_t left = 0;
    std::optional<client_error> error;
};

std::optional<client_error> session::check_publish(const envelope::envelope& asked, envelope::ack_mode ack,
                                                   bool from_responder,
                                                   const std::vector<std::size_t>& channels) const {
    const auto& allowed = hub_.config().publish_targets;
    const std::string_view target = asked.publish_target.empty() ? contract::inbound_exchange : asked.publish_target;
    if (std::find(allowed.begin(), allowed.end(), target) == allowed.end())
        return client_error{"forbidden", "this exchange is not open to clients", "publish_target"};
    if (asked.type.starts_with(contract::reserved_type_prefix))
        return client_error{"forbidden", "types that begin with \"foz.\" are reserved", "type"};
    if (ack != envelope::ack_mode::answer) return {};
    if (asked.id.empty() && !from_responder)
        return client_error{"bad_envelope", "a write that awaits an answer needs an id", "id"};
    if (channels.size() != 1) return client_error{"ambiguous_channel", "a request names one channel", "channel"};
    if (hub_.reply_queue(channels.front()).empty())
        return client_error{"unavailable", "the broker can't be reached", {}, true};
    if (requests_.size() >= hub_.config().requests_per_session_max)
        return client_error{"overloaded", "too many requests of this socket wait for an answer", {}, true};
    return {};
}

void session::publish(const envelope::envelope& asked, reply_context context) {
    std::vector<std::size_t> channels;
    if (const auto error = resolve_channels(asked, channels)) return send_error(*error, context);
    const envelope::ack_mode ack = asked.ack.value_or(!context.request_id.empty() ? envelope::ack_mode::answer
                                                      : asked.id.empty()          ? envelope::ack_mode::none
                                                                                  : envelope::ack_mode::confirmed);
    if (const auto error = check_publish(asked, ack, !context.request_id.empty(), channels))
        return send_error(*error, context);

    const auto receipt = std::make_shared<pending_receipt>();
    receipt->ack = ack;
    receipt->left = channels.size();
    for (const std::size_t channel : channels) {
        amqp::publication message = make_publication(asked, channel, context);
        if (ack == envelope::ack_mode::answer) {
            expect_answer(asked, channel, context, message);
            receipt->request_key = (context.request_id.empty() ? "m." + context.id : "r." + context.request_id);
        }
        // The hub is asked for the session when the confirm comes: the socket may be gone by then.
        hub_.publish(channel, std::move(message), [&home = hub_, serial = serial_, receipt](amqp::outcome result) {
            if (session* const who = home.find(serial)) who->on_outcome(result, receipt);
        });
    }
    receipt->context = std::move(context);
}

amqp::publication session::make_publication(const envelope::envelope& asked, std::size_t channel,
                                            const reply_context& context) const {
    const auto now = unix_ms(hub_.home().time().wall_now());
    amqp::publication p;
    p.exchange = asked.publish_target.empty() ? contract::inbound_exchange : asked.publish_target;
    p.routing_key = hub_.config().channels[channel].name;
    if (!asked.topic.empty()) p.routing_key.append(".").append(asked.topic);
    p.body = asked.message;

    amqp::basic_properties& properties = p.properties;
    properties.content_type = "application/json";
    properties.delivery_mode = persistent;
    properties.timestamp = static_cast<std::uint64_t>(now.count() / 1000);
    const std::string own_id = !context.id.empty() ? context.id
                               : !context.request_id.empty()
                                   ? context.request_id
                                   : subscriber::session.str() + "." + std::to_string(context.frame);
    properties.message_id = client.str() + "/" + own_id;
    if (!asked.type.empty()) properties.type = asked.type;
    if (asked.expires_ms) properties.expiration = std::to_string(*asked.expires_ms);

    amqp::table headers;
    headers.set(contract::header_client, client.view());
    headers.set(contract::header_session, subscriber::session.view());
    if (!asked.topic.empty()) headers.set(contract::header_topic, asked.topic);
    if (p.exchange == contract::outbound_exchange) {
        // Straight to clients: the distribution selects the receivers.
        if (asked.to.broadcast) headers.set(contract::header_broadcast, true);
        if (!asked.to.multicast.empty()) headers.set(contract::header_multicast, receivers(asked.to.multicast));
        if (!asked.to.direct.empty()) headers.set(contract::header_direct, receivers(asked.to.direct));
    } else if (!asked.to.empty()) {
        amqp::table wish;
        wish.set("broadcast", asked.to.broadcast);
        wish.set("multicast", names_of(asked.to.multicast));
        wish.set("direct", names_of(asked.to.direct));
        headers.set(contract::header_distribution, std::move(wish));
    }
    properties.headers = std::move(headers);
    return p;
}

void session::expect_answer(const envelope::envelope& asked, std::size_t channel, const reply_context& context,
                            amqp::publication& message) {
    const bool responder = !context.request_id.empty();
    const std::string& request = responder ? context.request_id : context.id;
    const auto patience =
        asked.timeout_ms ? std::chrono::milliseconds(*asked.timeout_ms) : hub_.config().request_timeout;

    amqp::basic_properties& properties = message.properties;
    properties.reply_to = hub_.reply_queue(channel);
    properties.correlation_id = contract::to_string({.client = client,
                                                     .kind = responder ? contract::correlation::request_kind::responder
                                                                       : contract::correlation::request_kind::message,
                                                     .request = request});
    // What has timed out is not run later.
    const auto life =
        std::min<std::uint64_t>(asked.expires_ms.value_or(UINT64_MAX), static_cast<std::uint64_t>(patience.count()));
    properties.expiration = std::to_string(life);
    const auto deadline = unix_ms(hub_.home().time().wall_now()) + patience;
    properties.headers->set(contract::header_deadline, static_cast<std::int64_t>(deadline.count()));

    const std::string key = (responder ? "r." : "m.") + request;
    // The same id again: the one answer that comes goes to the frame that asked last.
    requests_.erase(key);
    const auto [at, fresh] = requests_.try_emplace(key, *this, key, context, channel);
    at->second.timer.start(hub_.home().wheel(), patience);
}

void session::on_outcome(amqp::outcome result, const std::shared_ptr<pending_receipt>& receipt) {
    if (auto error = error_of(result); error && !receipt->error) receipt->error = std::move(error);
    if (--receipt->left > 0) return;
    if (receipt->error) {
        // The answer may have come all the same when the outcome is unknown; then the request is not waiting any more.
        if (!receipt->request_key.empty() && requests_.erase(receipt->request_key) == 0) return;
        return send_error(*receipt->error, receipt->context);
    }
    if (receipt->ack != envelope::ack_mode::confirmed) return;
    const bool nameless = receipt->context.id.empty() && receipt->context.request_id.empty();
    std::string json;
    envelope::append(json,
                     envelope::receipt_event{.id = receipt->context.id,
                                             .frame = nameless ? std::optional(receipt->context.frame) : std::nullopt,
                                             .warnings = receipt->context.warnings});
    respond(receipt->context, json);
}

}  // namespace foz::aggregator
