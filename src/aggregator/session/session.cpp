#include "aggregator/session/session.hpp"

#include "contract/names.hpp"
#include "primus/packet.hpp"
#include "ws/codec/close_code.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::size_t passed_max = 1000;

}  // namespace

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
    interest everything{.broadcast = true, .direct = true, .all_topics = true};
    everything.groups.insert(client.str());
    for (const std::size_t channel : options_.consume_at_open) hear(channel, everything);
    send_consuming({});
}

void session::on_closed(ws::close_code, std::string_view, bool) {
    ping_timer_.cancel();
    drain_timer_.cancel();
    closing_ = true;
    for (std::size_t i = 0; i < hub_.config().channels.size(); ++i)
        if (hub_.heard_on(i).find(*this)) tell_presence(i, false);
    while (!resuming_.empty()) end_resume(resuming_.begin()->first);
    hub_.remove(*this);
    serial_ = 0;
}

// Primus pings from the server; a client that was silent for a whole interval is gone. It may come back: no
// primus::server::close.
void session::on_ping_interval() {
    if (!std::exchange(heard_since_ping_, false) && socket_->silent_for(hub_.config().ping_interval)) {
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
        const auto code = error.code == primus::packet_errc::bad_json ? error_code::bad_json : error_code::bad_request;
        return send_error({code, std::string(error.text), std::string(error.field)}, {.frame = ++frames_});
    }
    std::string json;
    switch (packet->kind) {
        case primus::packet_kind::pong:
        case primus::packet_kind::null:
        case primus::packet_kind::unknown_control:
            return;
        case primus::packet_kind::ping:
            primus::append_pong(json, packet->ms);
            return respond({}, json);
        case primus::packet_kind::id:
            primus::append_id(json, subscriber::session.view());
            return respond({}, json);
        case primus::packet_kind::request:
            return on_data(packet->data, {.request_id = std::string(packet->id), .frame = ++frames_});
        case primus::packet_kind::response:
            ++hub_.counters().frames_in;
            ++frames_;
            return on_response(packet->id, packet->data);
        case primus::packet_kind::data:
            return on_data(packet->data, {.frame = ++frames_});
    }
}

void session::on_data(std::string_view data, reply_context context) {
    ++hub_.counters().frames_in;
    const auto parsed = hub_.envelopes().parse(data);
    if (!parsed) {
        const envelope::error& error = parsed.error();
        const auto code = spec::parse_error_code(error.code).value_or(error_code::bad_envelope);
        context.id = error.id;
        return send_error({code, error.text, error.field}, context);
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
            return send_error({error_code::unsupported, "this aggregator knows no tokens", "packet_action"}, context);
    }
}

// The answer to a service's question: it goes where the service wants it, as any RPC answer.
void session::on_response(std::string_view id, std::string_view data) {
    questions::open_question* const question = hub_.asked_of_clients().find(std::string(id), serial_);
    if (!question)
        return send_error({error_code::bad_request, "nothing was asked with this responseId", "responseId"},
                          {.frame = frames_});
    // Nobody waits any more, or another socket of this client was faster.
    if (question->what.expires < hub_.home().time().wall_now() || std::exchange(question->answered, true)) return;
    amqp::publication answer = make_internal(question->channel, {}, std::string(data));
    answer.exchange.clear();
    answer.routing_key = question->what.reply_to;
    answer.properties.correlation_id = question->what.correlation_id;
    answer.properties.message_id = client.str() + "/" + question->what.id;
    hub_.publish(question->channel, std::move(answer), {});
}

void session::deliver(const frame_ref& frame, const entry& message) {
    if (closing_ || (!resuming_.empty() && resuming_.contains(message.channel))) return;
    if (is_slow()) {
        // What it does not get here it gets from the stream when it comes back; the others do not wait for it.
        if (message.durable) return close_slow();
        ++hub_.counters().deliveries_dropped;
        if (std::find(lossy_.begin(), lossy_.end(), message.channel) == lossy_.end()) lossy_.push_back(message.channel);
        return;
    }
    ++hub_.counters().deliveries;
    if (message.question)
        hub_.asked_of_clients().ask(message.channel, *message.question, serial_, hub_.home().time().wall_now());
    socket_->send(frame);
}

bool session::is_slow() {
    return socket_->slow({.queued_bytes_max = hub_.config().queue_bytes_max});
}

// Nothing may follow that would have it judged.
void session::on_still_blocked() {
    if (!closing_ && is_slow()) close_slow();
}

void session::close_slow() {
    ++hub_.counters().slow_closed;
    closing_ = true;
    socket_->close(ws::close_code(spec::close_too_slow), "too slow");
}

// Who breaks the protocol would break it again: spec/codes.json says of these closes that nobody comes back.
void session::on_violation(ws::close_code) {
    std::string json;
    primus::append_server_close(json);
    send_control(json);
}

void session::on_drained() {
    for (const std::size_t channel : std::exchange(lossy_, {})) tell_gap(channel, envelope::gap_cause::slow, {});
    std::vector<std::size_t> channels;
    for (const auto& [channel, state] : resuming_) channels.push_back(channel);
    for (const std::size_t channel : channels) pump(channel);
}

void session::pass_answer(const entry& entry) {
    using kind = contract::correlation::request_kind;
    using what = entry_answer::kind;
    const entry_answer& answer = *entry.answer;
    const bool says_something =
        answer.what == what::answer || answer.what == what::service_error || answer.what == what::error;
    if (!says_something || answer.to.kind == kind::internal) return;
    // Once: it may be among what this socket is about to resume.
    if (entry.where && !passed_.emplace(entry.channel, entry.where->offset).second) return;
    if (passed_.size() > passed_max) passed_.erase(passed_.begin());
    reply_context context{.id = answer.to.id};
    (answer.to.kind == kind::responder ? context.request_id : context.id) = answer.to.request;
    respond(context, requests::render(answer, context));
}

void session::drain(std::chrono::milliseconds after) {
    if (closing_) return;
    std::string json;
    envelope::append(json, envelope::drain_event{.retry_after_ms = static_cast<std::uint64_t>(after.count())});
    send_control(json);
    closing_ = true;
    // Without primus::server::close: the client comes back, to another aggregator or to our successor.
    drain_timer_.start(hub_.home().wheel(), after);
}

void session::send(const frame_ref& frame) {
    if (!closing_) socket_->send(frame);
}

void session::send_error(const client_error& error, const reply_context& context) {
    ++hub_.counters().frames_refused;
    respond(context, to_json(error, context));
}

void session::respond(const reply_context& context, std::string_view json) {
    if (closing_) return;
    // Who asks and does not read the answers is slow, too.
    if (is_slow()) return close_slow();
    if (context.request_id.empty()) return socket_->send_text(json);
    std::string framed;
    primus::append_response(framed, context.request_id, json);
    socket_->send_text(framed);
}

}  // namespace foz::aggregator
