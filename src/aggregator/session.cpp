#include "aggregator/session.hpp"

#include "contract/names.hpp"
#include "primus/packet.hpp"
#include "ws/codec/close_code.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {

session::session(hub& home, session_options options)
    : subscriber(options.client, options.id), hub_(home), options_(std::move(options)) {}

session::~session() {
    if (serial_ != 0) hub_.remove(*this);
}

void session::on_open(ws::connection& socket) {
    socket_ = &socket;
    serial_ = hub_.add(*this);
    ping_timer_.start(hub_.home().wheel(), hub_.config().ping_interval);
    if (options_.hello) {
        std::string json;
        envelope::append(json, envelope::welcome_event{.client = client.view(),
                                                       .session = subscriber::session.view(),
                                                       .frame_bytes_max = hub_.config().message_bytes_max,
                                                       .channels_max = envelope::channels_max,
                                                       .receivers_max = envelope::receivers_max,
                                                       .consume_targets_max = envelope::consume_targets_max});
        send_control(json);
    }
    if (options_.consume_at_open.empty()) return;
    for (const std::size_t channel : options_.consume_at_open) consume_all(channel);
    send_consuming({});
}

void session::on_closed(ws::close_code, std::string_view, bool) {
    ping_timer_.cancel();
    requests_.clear();
    hub_.remove(*this);
    serial_ = 0;
}

// Primus pings from the server; a client that was silent for a whole interval is gone. It may come back: no
// primus::server::close.
void session::on_ping_interval() {
    if (!std::exchange(heard_since_ping_, false)) {
        ++hub_.counters().silent_closed;
        closing_ = true;
        return socket_->abort();
    }
    std::string json;
    primus::append_ping(json, static_cast<std::uint64_t>(unix_ms(hub_.home().time().wall_now()).count()));
    send_control(json);
    ping_timer_.start(hub_.home().wheel(), hub_.config().ping_interval);
}

void session::on_text(std::string_view text) {
    heard_since_ping_ = true;
    const auto packet = hub_.packets().parse(text);
    if (!packet) {
        ++hub_.counters().frames_in;
        const primus::packet_error& error = packet.error();
        return send_error({primus::to_string(error.code), std::string(error.text), std::string(error.field)},
                          {.frame = ++frames_});
    }
    std::string json;
    switch (packet->kind) {
        case primus::packet_kind::pong:
        case primus::packet_kind::null:
        case primus::packet_kind::unknown_control:
            return;
        case primus::packet_kind::ping:
            primus::append_pong(json, packet->ms);
            return send_control(json);
        case primus::packet_kind::id:
            primus::append_id(json, subscriber::session.view());
            return send_control(json);
        case primus::packet_kind::request:
            return on_data(packet->data, {.request_id = std::string(packet->id), .frame = ++frames_});
        case primus::packet_kind::response:
            // Accepted only from a session that was asked, and services can't ask yet.
            ++hub_.counters().frames_in;
            return send_error({"bad_request", "nothing was asked with this responseId", "responseId"},
                              {.frame = ++frames_});
        case primus::packet_kind::data:
            return on_data(packet->data, {.frame = ++frames_});
    }
}

void session::on_data(std::string_view data, reply_context context) {
    ++hub_.counters().frames_in;
    const auto parsed = hub_.envelopes().parse(data);
    if (!parsed) {
        const envelope::error& error = parsed.error();
        return send_error({error.code, error.text, error.field}, context);
    }
    const envelope::envelope& asked = **parsed;
    context.id = asked.id;
    context.warnings.assign(asked.warnings.begin(), asked.warnings.end());
    switch (asked.action) {
        case envelope::packet_action::consume:
            return consume(asked, context);
        case envelope::packet_action::leave:
            return leave(asked, context);
        case envelope::packet_action::publish:
            return publish(asked, std::move(context));
        case envelope::packet_action::refresh:
            return send_error({"unsupported", "this aggregator knows no tokens", "packet_action"}, context);
    }
}

std::optional<client_error> session::resolve_channels(const envelope::envelope& asked,
                                                      std::vector<std::size_t>& out) const {
    for (const envelope::channel_flag& flag : asked.channels) {
        if (!flag.on) continue;
        const auto index = hub_.channel_index(flag.name);
        if (!index) return client_error{"unknown_channel", "there is no channel " + std::string(flag.name), "channel"};
        if (options_.bound_channel && *options_.bound_channel != *index)
            return client_error{
                "channel_mismatch",
                "this socket is bound to channel " + hub_.config().channels[*options_.bound_channel].name, "channel"};
        out.push_back(*index);
    }
    if (!out.empty()) return {};
    if (!options_.bound_channel) return client_error{"bad_envelope", "no channel is named", "channel"};
    out.push_back(*options_.bound_channel);
    return {};
}

bool session::is_me(std::string_view receiver) const {
    if (receiver == client.view()) return true;
    return receiver.starts_with(contract::session_prefix) &&
           receiver.substr(contract::session_prefix.size()) == subscriber::session.view();
}

std::optional<client_error> session::read_interest(const envelope::envelope& asked, interest& out) const {
    if (asked.to.empty()) {
        out.broadcast = out.direct = true;
        out.groups.insert(client.str());  // everyone is a member of the group of one's own name
    } else {
        out.broadcast = asked.to.broadcast;
        for (const std::string_view group : asked.to.multicast) out.groups.emplace(group);
        for (const std::string_view receiver : asked.to.direct) {
            if (!is_me(receiver))
                return client_error{"forbidden", "only one's own direct messages can be consumed",
                                    "distribution.direct"};
            out.direct = true;
        }
    }
    for (const std::string_view pattern : asked.consume_target) out.topics.emplace(pattern);
    return {};
}

void session::consume(const envelope::envelope& asked, const reply_context& context) {
    std::vector<std::size_t> channels;
    interest wanted;
    if (const auto error = resolve_channels(asked, channels)) return send_error(*error, context);
    if (const auto error = read_interest(asked, wanted)) return send_error(*error, context);
    wanted.all_topics = wanted.topics.empty();
    for (const auto& from : asked.from)
        if (from.from.what != envelope::resume_from::kind::now)
            return send_error({"unsupported", "resuming is not possible here; only \"now\" is", "from"}, context);
    std::size_t size = wanted.size() * channels.size();
    for (std::size_t i = 0; i < hub_.config().channels.size(); ++i)
        if (const interest* const has = hub_.heard_on(i).find(*this)) size += has->size();
    if (size > hub_.config().subscriptions_per_session_max)
        return send_error({"overloaded", "too many groups and topics on one socket", "consume_target"}, context);
    for (const std::size_t channel : channels) hub_.heard_on(channel).add(*this, wanted);
    send_consuming(context);
}

void session::consume_all(std::size_t channel) {
    hub_.heard_on(channel).add(*this,
                               {.broadcast = true, .direct = true, .groups = {client.str()}, .all_topics = true});
}

void session::leave(const envelope::envelope& asked, const reply_context& context) {
    std::vector<std::size_t> channels;
    interest left;
    if (const auto error = resolve_channels(asked, channels)) return send_error(*error, context);
    for (const std::string_view group : asked.to.multicast) left.groups.emplace(group);
    for (const std::string_view pattern : asked.consume_target) left.topics.emplace(pattern);
    for (const std::size_t channel : channels) hub_.heard_on(channel).remove(*this, left);
    send_consuming(context);
}

void session::send_consuming(const reply_context& context) {
    const auto& all = hub_.config().channels;
    std::vector<envelope::consuming_channel> heard;
    // The event refers to names that have to stay where they are.
    std::vector<std::vector<std::string_view>> names;
    names.reserve(2 * all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
        const interest* const has = hub_.heard_on(i).find(*this);
        if (!has) continue;
        const auto& topics = names.emplace_back(has->topics.begin(), has->topics.end());
        const auto& groups = names.emplace_back(has->groups.begin(), has->groups.end());
        heard.push_back({.name = all[i].name, .topics = topics, .groups = groups, .where = hub_.position(i)});
    }
    std::string json;
    envelope::append(json,
                     envelope::consuming_event{.id = context.id, .channels = heard, .warnings = context.warnings});
    respond(context, json);
}

void session::deliver(const frame_ref& frame, bool durable) {
    if (closing_) return;
    if (socket_->queued_bytes() > hub_.config().queue_bytes_max) {
        if (!durable) {
            ++hub_.counters().deliveries_dropped;
            return;
        }
        // What it does not get here it gets from the stream when it comes back; the others do not wait for it.
        ++hub_.counters().slow_closed;
        closing_ = true;
        return socket_->close(ws::close_code::try_again_later, "too slow");
    }
    ++hub_.counters().deliveries;
    socket_->send(frame);
}

bool session::take_answer(const outbound_answer& answer) {
    const bool responder = answer.to.kind == contract::correlation::request_kind::responder;
    const auto at = requests_.find((responder ? "r." : "m.") + answer.to.request);
    if (at == requests_.end()) return false;
    const auto waiting = requests_.extract(at);
    send_answer(answer, waiting.mapped().context);
    return true;
}

void session::pass_answer(const outbound_answer& answer) {
    const bool responder = answer.to.kind == contract::correlation::request_kind::responder;
    reply_context context;
    (responder ? context.request_id : context.id) = answer.to.request;
    send_answer(answer, context);
}

void session::interrupt(std::size_t channel) {
    for (auto at = requests_.begin(); at != requests_.end();) {
        const auto here = at++;
        if (here->second.channel != channel) continue;
        const auto waiting = requests_.extract(here);
        send_error({"interrupted",
                    "the way back to the service was cut; it may or may not have handled the request",
                    {},
                    true},
                   waiting.mapped().context);
    }
}

void session::on_request_timeout(const std::string& key) {
    const auto waiting = requests_.extract(key);
    send_error({"timeout", "the service did not answer in time", {}, true}, waiting.mapped().context);
}

void session::drain() {
    if (std::exchange(closing_, true)) return;
    // Without primus::server::close: the client comes back, to another aggregator or to our successor.
    socket_->close(ws::close_code::service_restart, "going away");
}

void session::send_answer(const outbound_answer& answer, const reply_context& context) {
    ++hub_.counters().answers;
    std::string json;
    if (answer.error_code.empty()) {
        envelope::append(
            json, envelope::answer_event{.id = context.id, .message = answer.body, .warnings = context.warnings});
    } else if (answer.from_us) {
        const bool retryable = answer.error_code == "timeout";
        return send_error({answer.error_code, "the request could not be handled", {}, retryable}, context);
    } else {
        envelope::append(json, envelope::error_event{.code = "service",
                                                     .message = "the service answered with an error",
                                                     .id = context.id,
                                                     .service_code = answer.error_code,
                                                     .service = answer.body});
    }
    respond(context, json);
}

void session::send_error(const client_error& error, const reply_context& context) {
    ++hub_.counters().frames_refused;
    const bool nameless = context.id.empty() && context.request_id.empty() && context.frame != 0;
    std::string json;
    envelope::append(json, envelope::error_event{.code = error.code,
                                                 .message = error.message,
                                                 .retryable = error.retryable,
                                                 .field = error.field,
                                                 .id = context.id,
                                                 .frame = nameless ? std::optional(context.frame) : std::nullopt});
    respond(context, json);
}

void session::respond(const reply_context& context, std::string_view json) {
    if (closing_) return;
    if (context.request_id.empty()) return socket_->send_text(json);
    std::string framed;
    primus::append_response(framed, context.request_id, json);
    socket_->send_text(framed);
}

}  // namespace foz::aggregator
