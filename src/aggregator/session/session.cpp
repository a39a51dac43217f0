#include "aggregator/session/session.hpp"

#include "base/planted.hpp"
#include "contract/names.hpp"
#include "primus/packet.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::size_t passed_max = 1000;

// Each connection has one for as long as it lives: what only some need, or at some times, is behind a pointer.
static_assert(sizeof(session) <= 144);

}  // namespace

session::session(session_context& shared, member self, session_options options)
    : shared_(shared),
      self_(self),
      opened_at_(shared.time.now()),
      at_open_(std::make_unique<session_options>(std::move(options))) {
    if (at_open_->rights)
        authority_ = std::make_unique<authority>(*this, &session::on_token_time, std::move(at_open_->rights),
                                                 std::move(at_open_->device));
    take_limits(at_open_->limits ? at_open_->limits : rights().limits);
    if (at_open_->bound_channel) bound_channel_ = static_cast<std::uint32_t>(*at_open_->bound_channel);
}

void session::on_open() {
    const auto asked = std::move(at_open_);
    ping_timer_.start(shared_.wheel, shared_.config.ping_interval);
    if (asked->hello) {
        std::string json;
        envelope::append(json, envelope::welcome_event{.client = client(),
                                                       .session = id(),
                                                       .frame_bytes_max = shared_.config.message_bytes_max,
                                                       .channels_max = envelope::channels_max,
                                                       .receivers_max = envelope::receivers_max,
                                                       .consume_targets_max = envelope::consume_targets_max});
        send_control(json);
    }
    if (authority_) start_token_timer();
    if (asked->consume_at_open.empty()) return;
    for (const std::size_t channel : asked->consume_at_open) hear(channel, interest::everything());
    send_consuming({});
}

void session::on_closed() {
    ping_timer_.cancel();
    if (authority_) authority_->timer.cancel();
    if (has_own_limits_) shared_.rates.leave(rate_key());
    closing_ = true;
    for (std::size_t i = 0; i < shared_.channels.size(); ++i) {
        if (!hears(i)) continue;
        tell_presence(i, false);
        shared_.channels[i].positions.untrack(self_);
        shared_.channels[i].heard.drop(self_);
    }
    while (resuming_.there()) end_resume(resuming_.get().begin()->first);
}

// Primus pings from the server; a client that was silent for a whole interval is gone. It may come back: no
// primus::server::close. Octets of a frame that is still arriving are a sign of life, and so is the taking of what
// waits for it; a socket that isn't read can't give one. A ping that stood behind other octets is not unanswered while
// those are still being taken.
void session::on_ping_interval() {
    const bool taking = shared_.out.taking(self_);
    if (!std::exchange(heard_since_ping_, false) && !taking &&
        shared_.out.silent(self_, shared_.config.ping_interval)) {
        ++shared_.counters.silent_closed;
        closing_ = true;
        return shared_.out.abort(self_);
    }
    ping();
    ping_timer_.start(shared_.wheel, shared_.config.ping_interval);
}

void session::ping() {
    if (closing_) return;
    std::string json;
    primus::append_ping(json, static_cast<std::uint64_t>(now_ms()));
    send_control(json);
}

void session::on_text(std::string_view text) {
    // The first word after a ping is free: who only gives signs of life has no account.
    if (std::exchange(heard_since_ping_, true) && !count_frame(text.size())) return;
    if (unheard_.there()) take_unheard();
    const auto packet = shared_.packets.parse(text);
    if (!packet) {
        ++shared_.counters.frames_in;
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
            primus::append_id(json, id());
            return respond({}, json);
        case primus::packet_kind::request:
            return on_data(packet->data, {.request_id = std::string(packet->id), .frame = ++frames_});
        case primus::packet_kind::response:
            ++shared_.counters.frames_in;
            ++frames_;
            return on_response(packet->id, packet->data);
        case primus::packet_kind::data:
            return on_data(packet->data, {.frame = ++frames_});
    }
}

void session::on_data(std::string_view data, reply_context context) {
    ++shared_.counters.frames_in;
    context.device = device();
    const auto parsed = shared_.envelopes.parse(data);
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
        case envelope::packet_action::cancel:
            return cancel(asked, context);
        case envelope::packet_action::refresh:
            return refresh(asked, context);
    }
}

// The answer to a service's question: it goes where the service wants it, as any RPC answer.
void session::on_response(std::string_view response_id, std::string_view data) {
    questions::open_question* const question = shared_.asked_of_clients.find(std::string(response_id), self_);
    if (!question)
        return send_error({error_code::bad_request, "nothing was asked with this responseId", "responseId"},
                          {.frame = frames_});
    // Nobody waits any more, or another socket of this client was faster.
    if (question->what.expires < shared_.time.wall_now() || std::exchange(question->answered, true)) return;
    amqp::publication answer = make_internal(question->channel, {}, std::string(data));
    answer.exchange.clear();
    answer.routing_key = question->what.reply_to;
    answer.properties.correlation_id = question->what.correlation_id;
    answer.properties.message_id = message_id_of(question->what.id);
    shared_.publish(question->channel, client_id(client()), std::move(answer));
}

void session::deliver(std::span<const frame_ref> pieces, const entry& item, std::size_t entries) {
    if (closing_) return;
    const bool slow =
        (shared_.out.slow(self_) && !planted(bug::queue_without_bound)) ||
        (planted(bug::judged_within_turn) && shared_.out.queued_bytes(self_) > shared_.config.queue_bytes_max);
    if (slow) {
        // What it does not get here it gets from the stream when it comes back; the others do not wait for it.
        if (item.durable) return close_slow();
        shared_.counters.deliveries_dropped += entries;
        auto& lossy = odd_.get().lossy;
        if (std::ranges::find(lossy, item.channel) == lossy.end()) lossy.push_back(item.channel);
        return;
    }
    shared_.counters.deliveries += entries;
    if (item.question) be_asked(item.channel, *item.question);
    send(pieces);
}

void session::be_asked(std::size_t channel, const entry_question& what) {
    was_asked_ = true;
    shared_.asked_of_clients.ask(channel, what, self_, shared_.time.wall_now());
}

void session::send(std::span<const frame_ref> pieces) {
    for (const frame_ref& piece : pieces) shared_.out.send(self_, piece);
}

void session::close_slow() {
    if (planted(bug::queue_without_bound)) return;
    ++shared_.counters.slow_closed;
    closing_ = true;
    shared_.out.close(self_, ws::close_code(spec::close_too_slow), "too slow");
}

// Nothing may follow that would have it judged. A session of volatile channels alone loses messages and stays.
void session::on_still_blocked() {
    if (closing_) return;
    for (std::size_t i = 0; i < shared_.channels.size(); ++i)
        if (durable(i) && hears(i)) return shared_.out.slow(self_) ? close_slow() : void();
}

// A peer that breaks the protocol would break it again: spec/codes.json says of these closes that nobody comes back.
void session::on_violation() {
    std::string json;
    primus::append_server_close(json);
    send_control(json);
}

void session::on_drained() {
    if (closing_) return;
    if (auto* const odd = odd_.find())
        for (const std::size_t channel : std::exchange(odd->lossy, {}))
            if (!planted(bug::loss_not_told)) send_gap(channel, envelope::gap_cause::slow, {});
    if (!resuming_.there()) return;
    for (auto& [channel, state] : resuming_.get()) {
        state.patience.cancel();
        go_on_soon(state);
    }
}

void session::pass_answer(const entry& item) {
    using kind = contract::correlation::request_kind;
    using what = entry_answer::kind;
    const entry_answer& answer = *item.answer;
    if (!answer.to.device.empty() && answer.to.device != device()) return;
    const bool says_something = answer.what == what::answer || answer.what == what::service_error ||
                                answer.what == what::error || answer.what == what::part;
    if (!says_something || answer.to.kind == kind::internal) return;
    // Once: it may be among what this socket is about to resume.
    if (item.where) {
        auto& passed = odd_.get().passed;
        if (!passed.emplace(item.channel, item.where->offset).second) return;
        if (passed.size() > passed_max) passed.erase(passed.begin());
    }
    if (answer.what == what::part) {
        const std::string& id = answer.to.kind == kind::message ? answer.to.request : answer.to.id;
        const std::string json = requests::render_part(shared_.config.channels[item.channel].name, item, id);
        if (!json.empty()) respond({}, json);
        return;
    }
    reply_context context{.id = answer.to.id, .device = std::string(device())};
    (answer.to.kind == kind::responder ? context.request_id : context.id) = answer.to.request;
    respond(context, requests::render(answer, context));
}

void session::tell_drain(std::chrono::milliseconds after) {
    if (closing_) return;
    std::string json;
    envelope::append(json, envelope::drain_event{.retry_after_ms = static_cast<std::uint64_t>(after.count())});
    send_control(json);
}

bool session::leave_when_done() {
    may_leave_ = true;
    if (closing_) return true;
    const bool has_to_answer = was_asked_ && shared_.asked_of_clients.awaits(self_, shared_.time.wall_now());
    if ((owes() || has_to_answer) && !planted(bug::sent_away_too_early)) return false;
    go_away();
    return true;
}

// Without primus::server::close: the client comes back, to another aggregator or to our successor.
void session::go_away() {
    if (std::exchange(closing_, true)) return;
    shared_.out.send_away(self_, ws::close_code(spec::close_service_restart), "going away");
}

void session::send_off() {
    if (closing_) return;
    std::string json;
    primus::append_server_close(json);
    send_control(json);
    closing_ = true;
    shared_.out.close(self_, ws::close_code(spec::close_disconnected), "disconnected by an operator");
}

void session::send_error(const client_error& error, const reply_context& context) {
    shared_.count_refused(error.code);
    respond(context, to_json(error, context));
}

void session::respond(const reply_context& context, std::string_view json) {
    // A client that asks and does not read the answers is slow, too.
    if (!closing_ && shared_.out.slow(self_)) close_slow();
    if (!closing_) send_response(context.request_id, json);
    if (names_its_request(context)) keep_unheard(told_answer::of(context, json));
}

void session::tell_again(const told_answer& what) {
    if (what.device != device()) return;
    if (const auto* const told = unheard_.find(); told && told->has(what)) return;
    if (!closing_ && !shared_.out.slow(self_)) send_response(what.request_id, what.json);
    keep_unheard(what);
}

void session::keep_unheard(told_answer what) {
    if (shared_.unheard_octets + what.octets() > shared_.config.kept_answer_bytes_max) return;
    unheard_answers& all = unheard_.get();
    shared_.unheard_octets -= all.octets();
    all.add(std::move(what));
    shared_.unheard_octets += all.octets();
}

unheard_answers session::take_unheard() {
    auto taken = unheard_.take();
    shared_.unheard_octets -= taken.octets();
    return taken;
}

void session::send_response(std::string_view request_id, std::string_view json) {
    if (request_id.empty()) return send_control(json);
    std::string framed;
    primus::append_response(framed, request_id, json);
    send_control(framed);
}

}  // namespace foz::aggregator
