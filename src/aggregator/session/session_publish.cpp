// Clients → services: the part of a session that publishes.
#include "aggregator/session/session.hpp"
#include "base/planted.hpp"
#include "contract/names.hpp"
#include "contract/receivers.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::uint8_t persistent = 2;  // AMQP 0-9-1 §1.8, delivery-mode
constexpr std::uint64_t no_service_retry_ms = 1'000;
// How long the progress of a message is told that nobody awaits an answer to.
constexpr std::chrono::milliseconds progress_patience = std::chrono::minutes(10);

amqp::field_array names_of(std::span<const std::string_view> names) {
    amqp::field_array all;
    for (const std::string_view name : names) all.emplace_back(name);
    return all;
}

std::string receivers(std::span<const std::string_view> names) {
    return contract::encode_receivers(std::vector<std::string>(names.begin(), names.end()));
}

}  // namespace

std::optional<client_error> session::check_publish(const envelope::envelope& asked, envelope::ack_mode ack,
                                                   bool from_responder,
                                                   const std::vector<std::size_t>& channels) const {
    const auto& allowed = shared_.config.publish_targets;
    const std::string_view target = asked.publish_target.empty() ? contract::inbound_exchange : asked.publish_target;
    if (std::find(allowed.begin(), allowed.end(), target) == allowed.end())
        return client_error{error_code::forbidden, "this exchange is not open to clients", "publish_target"};
    if (asked.type.starts_with(contract::reserved_type_prefix))
        return client_error{error_code::forbidden, "types that begin with \"foz.\" are reserved", "type"};
    if (asked.progress && asked.id.empty())
        return client_error{error_code::bad_envelope, "progress is told by id: one is needed", "id"};
    const bool request = ack == envelope::ack_mode::answer;
    if (request && asked.id.empty() && !from_responder)
        return client_error{error_code::bad_envelope, "a write that awaits an answer needs an id", "id"};
    if ((request || asked.progress) && channels.size() != 1)
        return client_error{error_code::ambiguous_channel, "a request names one channel", "channel"};
    if ((request || asked.progress) && target != contract::inbound_exchange)
        return client_error{error_code::bad_envelope, "nobody answers what goes straight to clients", "publish_target"};
    if (target == contract::outbound_exchange && asked.to.empty())
        return client_error{error_code::bad_envelope, "selects nobody", "distribution"};
    for (const std::size_t channel : channels)
        if (auto error = check_send(asked, request, channel)) return error;
    for (const std::size_t channel : channels) {
        if (!(request || asked.fail_fast) || !shared_.no_service(channel, asked.fail_fast)) continue;
        client_error refused{error_code::no_service, "no service takes messages of this channel now"};
        refused.retry_after_ms = no_service_retry_ms;
        return refused;
    }
    if (shared_.out.short_of_memory())
        return client_error{error_code::overloaded, "the aggregator has no memory to spare"};
    if (!request && !asked.progress) return {};
    if (shared_.channels[channels.front()].reply_queue.empty())
        return client_error{error_code::unavailable, "the broker can't be reached"};
    if (shared_.asked.waiting(client_id(client())) >= limits().requests)
        return client_error{error_code::overloaded, "too many requests of this client wait for an answer"};
    return {};
}

void session::publish(const envelope::envelope& asked, reply_context context) {
    std::vector<std::size_t> channels;
    if (const auto error = resolve_channels(asked, channels)) return send_error(*error, context);
    const bool responder = !context.request_id.empty();
    const envelope::ack_mode ack = asked.ack.value_or(responder          ? envelope::ack_mode::answer
                                                      : asked.id.empty() ? envelope::ack_mode::none
                                                                         : envelope::ack_mode::confirmed);
    const client_id sender(client());
    const waiter who{.session = self_, .client = sender, .context = context, .ack = ack};
    const std::string id_key =
        asked.id.empty() ? std::string() : requests::id_key_of(channels.front(), sender, device(), context.id);
    // What is known has been checked before, and needs no service any more.
    if (!id_key.empty() && shared_.asked.resend(id_key, who)) {
        ++shared_.counters.resends;
        return;
    }
    if (const auto error = check_publish(asked, ack, responder, channels)) return send_error(*error, context);
    if (publishes_too_fast(channels, context)) return;

    const auto what = std::make_shared<request>();
    what->id_key = id_key;
    what->channel = channels.front();
    what->ack = ack;
    what->progress = asked.progress;
    what->waiters.push_back(who);
    what->counted_for = sender;
    const bool comes_back = ack == envelope::ack_mode::answer || asked.progress;
    for (const std::size_t channel : channels) {
        amqp::publication message = make_publication(asked, channel, context);
        if (comes_back) expect_answer(what, asked, context, message);
        // The session may be gone when the outcome comes.
        shared_.publish(channel, sender, std::move(message), shared_.asked.await_outcome(what));
        pause_while_crowded(channel);
    }
    const auto patience = asked.timeout_ms                    ? std::chrono::milliseconds(*asked.timeout_ms)
                          : ack == envelope::ack_mode::answer ? shared_.config.request_timeout
                                                              : progress_patience;
    shared_.asked.begin(what, patience);
}

void session::cancel(const envelope::envelope& asked, const reply_context& context) {
    const client_id sender(client());
    std::vector<std::size_t> channels;
    if (asked.has_channel || bound_channel_) {
        if (const auto error = resolve_channels(asked, channels)) return send_error(*error, context);
        if (channels.size() != 1)
            return send_error({error_code::ambiguous_channel, "a request is on one channel", "channel"}, context);
    } else {
        for (std::size_t i = 0; i < shared_.config.channels.size() && channels.empty(); ++i)
            if (shared_.asked.knows(requests::id_key_of(i, sender, device(), context.id))) channels.push_back(i);
        if (channels.empty())
            return send_error({error_code::bad_envelope,
                               "this aggregator knows no message with this id: name its channel", "channel"},
                              context);
    }
    const std::size_t channel = channels.front();
    const std::string id_key = requests::id_key_of(channel, sender, device(), context.id);
    // Of what isn't known here, services are told all the same: that counts as a message, and needs the right to one.
    if (!shared_.asked.knows(id_key)) {
        if (rights().channels[channel].publish.none() && rights().channels[channel].request.none())
            return send_error(
                {error_code::forbidden,
                 "this client may not publish on channel " + shared_.config.channels[channel].name, "channel"},
                context);
        if (publishes_too_fast(channels, context)) return;
    }
    const contract::correlation comes_back{.client = sender,
                                           .kind = contract::correlation::request_kind::message,
                                           .request = context.id,
                                           .device = std::string(device())};
    const waiter who{.session = self_, .client = sender, .context = context};
    if (!shared_.asked.cancel(id_key, requests::key_of(channel, comes_back), who)) return;
    ++shared_.counters.cancelled;
    shared_.out.tell_cancelled(channel, client(), message_id_of(context.id));
}

// A client that publishes faster than the broker takes it is read more slowly, it alone.
void session::pause_while_crowded(std::size_t channel) {
    if (reading_paused_ || closing_ || !shared_.out.crowded(channel, client_id(client()))) return;
    reading_paused_ = true;
    ++shared_.counters.reading_paused;
    shared_.out.pause_reading(self_, true);
}

void session::on_room() {
    if (!reading_paused_ || closing_ || planted(bug::room_not_noticed)) return;
    const client_id sender(client());
    for (std::size_t i = 0; i < shared_.channels.size(); ++i)
        if (shared_.out.crowded(i, sender)) return;
    reading_paused_ = false;
    if (!slowed_) shared_.out.pause_reading(self_, false);
}

amqp::publication session::make_publication(const envelope::envelope& asked, std::size_t channel,
                                            const reply_context& context) const {
    const auto now = unix_ms(shared_.time.wall_now());
    amqp::publication p;
    p.exchange = asked.publish_target.empty() ? contract::inbound_exchange : asked.publish_target;
    p.routing_key = shared_.config.channels[channel].name;
    if (!asked.topic.empty()) p.routing_key.append(".").append(asked.topic);
    p.body = asked.message;

    amqp::basic_properties& properties = p.properties;
    properties.content_type = "application/json";
    properties.delivery_mode = persistent;
    properties.timestamp = static_cast<std::uint64_t>(now.count() / 1000);
    properties.message_id =
        message_id_of(!context.id.empty() ? context.id : std::string(id()) + "." + std::to_string(context.frame));
    if (!asked.type.empty()) properties.type = asked.type;
    if (asked.expires_ms) properties.expiration = std::to_string(*asked.expires_ms);

    amqp::table headers;
    headers.set(contract::header_client, client());
    headers.set(contract::header_session, id());
    if (!rights().meta.empty()) headers.set(contract::header_meta, rights().meta);
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

amqp::publication session::make_internal(std::size_t channel, std::string_view type, std::string body) const {
    amqp::publication p;
    p.exchange = contract::inbound_exchange;
    p.routing_key = shared_.config.channels[channel].name;
    p.body = std::move(body);
    p.properties.content_type = "application/json";
    p.properties.delivery_mode = persistent;
    p.properties.timestamp = static_cast<std::uint64_t>(unix_ms(shared_.time.wall_now()).count() / 1000);
    if (!type.empty()) p.properties.type = type;
    amqp::table headers;
    headers.set(contract::header_client, client());
    headers.set(contract::header_session, id());
    if (!rights().meta.empty()) headers.set(contract::header_meta, rights().meta);
    p.properties.headers = std::move(headers);
    return p;
}

void session::expect_answer(const std::shared_ptr<request>& what, const envelope::envelope& asked,
                            const reply_context& context, amqp::publication& message) const {
    const bool responder = !context.request_id.empty();
    contract::correlation of{.client = client_id(client()), .device = std::string(device())};
    if (responder) {
        of.request = context.request_id;
        of.socket = contract::socket_mark(id());
        of.id = context.id;
    } else {
        of.kind = contract::correlation::request_kind::message;
        of.request = context.id;
    }
    what->key = requests::key_of(what->channel, of);

    amqp::basic_properties& properties = message.properties;
    properties.reply_to = shared_.channels[what->channel].reply_queue;
    properties.correlation_id = contract::to_string(of);
    if (asked.progress) properties.headers->set(contract::header_progress, true);
    if (what->ack != envelope::ack_mode::answer) return;
    // What has timed out is not run later, unless its client says that it may take longer than its patience: parts and
    // extensions renew that, but not the life of a message that has gone back to its queue.
    const auto patience =
        asked.timeout_ms ? std::chrono::milliseconds(*asked.timeout_ms) : shared_.config.request_timeout;
    const auto life = asked.expires_ms.value_or(static_cast<std::uint64_t>(patience.count()));
    properties.expiration = std::to_string(life);
    const auto deadline = unix_ms(shared_.time.wall_now()) + patience;
    properties.headers->set(contract::header_deadline, static_cast<std::int64_t>(deadline.count()));
}

}  // namespace foz::aggregator
