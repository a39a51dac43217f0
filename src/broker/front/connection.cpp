#include "broker/front/connection.hpp"

#include "amqp/codec/encode.hpp"
#include "broker/front/channel.hpp"
#include "net/proxy_protocol.hpp"

#include <algorithm>
#include <utility>

namespace foz::broker {
namespace {

constexpr std::chrono::milliseconds close_timeout = std::chrono::seconds(2);
// AMQP 0-9-1 §4.2.7: a peer is dead after two intervals of silence. Looked at twice an interval.
constexpr unsigned silent_beats_max = 4;
// What is encoded is handed to the stream when it is so much, and written when so much of it waits.
constexpr std::size_t pass_on_bytes = 32 << 10;
constexpr std::size_t turn_bytes = 256 << 10;
// From here on a body is sent from where it lies: below, copying it is cheaper than a buffer of its own.
constexpr std::size_t reference_bytes = 4 << 10;
constexpr std::uint32_t handshake_frame_max = 8'192;  // room for a token as password

}  // namespace

connection::connection(std::shared_ptr<net::stream> stream, front_context& shared, connection_owner& list,
                       std::optional<std::string> certified)
    : stream_(std::move(stream)),
      shared_(shared),
      list_(list),
      owner_(shared.model.new_owner()),
      certified_(std::move(certified)),
      parser_(amqp::role::server, handshake_frame_max),
      frame_max_(shared.limits.frame_max),
      channel_max_(shared.limits.channel_max) {}

connection::~connection() {
    if (stream_->open()) stream_->abort();  // otherwise it is writing its last words
}

void connection::start() {
    limit_timer_.start(home().wheel(), shared_.limits.handshake_timeout);
    stream_->start(*this);
}

void connection::wrote() {
    sent_since_beat_ = true;
    if (out_.size() >= pass_on_bytes) pass_on();
    at_turn_end();
}

void connection::pass_on() {
    stream_->send(frame_ref::copy(out_));
    out_.clear();
    if (out_.capacity() > 2 * pass_on_bytes) out_ = {};
    if (stream_->queued_bytes() >= turn_bytes) home().end_turn_soon();
}

void connection::write_body(std::uint16_t number, const message_ref& what) {
    const std::string_view body = what->body();
    if (body.size() < reference_bytes) {
        amqp::encode_body(out_, {.channel = number, .frame_max = frame_max_}, body);
        return wrote();
    }
    const std::size_t most = frame_max_ - amqp::frame_overhead;
    for (std::size_t at = 0; at < body.size(); at += most) {
        const std::string_view piece = body.substr(at, most);
        amqp::begin_body_frame(out_, number, piece.size());
        pass_on();
        stream_->send(frame_ref::held_by(what, piece));
        amqp::end_body_frame(out_);
    }
    wrote();
}

void connection::send(std::uint16_t number, const amqp::method& m) {
    (void)amqp::encode_method(out_, number, m);  // what we say fits every frame
    wrote();
}

void connection::at_turn_end() {
    if (std::exchange(turn_end_due_, true)) return;
    home().at_turn_end(shared_from_this());
}

void connection::on_turn_end(net::write_line) {
    turn_end_due_ = false;
    if (state_ == state::closed) return;
    for (const auto& [number, one] : channels_) one->flush_confirms();
    turn_end_due_ = false;
    const bool was_full = choked();
    if (!out_.empty()) pass_on();
    choked_ = choked_ || stream_->above_high_watermark();
    if (was_full && !choked_) on_drained();
}

void connection::on_drained() {
    if (state_ == state::closed) return;
    const auto keep = shared_from_this();
    choked_ = state_ != state::open;
    take_in_held();
    if (state_ == state::closed) return;
    for (const auto& [number, one] : channels_) one->wake_all();
}

void connection::take_in_held() {
    if (const std::string input = std::exchange(held_, {}); !input.empty()) take_in(input);
    if (state_ != state::closed) set_reading();
}

void connection::stage(std::uint16_t number, const message_ref& what, bool mandatory) {
    // A client that is gone by then has published it all the same.
    const auto route = [&model = shared_.model, vhost = vhost_->name(), what] {
        if (class vhost* const home = model.find_vhost(vhost))
            if (const auto to = home->find_exchange(what->exchange())) (void)home->publish(**to, what);
    };
    staging_ = true;
    model().disk().stage(what, [weak = weak_from_this(), route, number, what, mandatory] {
        const auto alive = weak.lock();
        const auto on = alive ? alive->channels_.find(number) : decltype(alive->channels_)::iterator();
        if (alive && on != alive->channels_.end() && !on->second->closing())
            on->second->publish_staged(what, mandatory);
        else
            route();
        if (alive) alive->on_staged();
    });
    set_reading();
}

void connection::on_staged() {
    staging_ = false;
    if (state_ != state::closed) take_in_held();
}

void connection::on_committed() {
    if (has_published_ && state_ == state::open) at_turn_end();
}

void connection::tell(std::vector<connection_info>& connections, std::vector<consumer_info>& consumers) const {
    if (state_ != state::open) return;
    const auto& from = stream_->remote();
    const std::string peer = from.address().to_string() + ":" + std::to_string(from.port());
    connections.push_back({.peer = peer,
                           .name = name_,
                           .client = client_,
                           .user = user_->name,
                           .vhost = vhost_->name(),
                           .channels = channels_.size(),
                           .received_bytes = received_bytes_,
                           .heartbeat = std::chrono::duration_cast<std::chrono::seconds>(heartbeat_),
                           .blocked = blocked_ && has_published_});
    const std::size_t before = consumers.size();
    for (const auto& [number, one] : channels_) one->tell(consumers);
    for (std::size_t i = before; i < consumers.size(); ++i) consumers[i].peer = peer;
}

void connection::on_octets(std::span<char> octets) {
    const auto keep = shared_from_this();
    received_bytes_ += octets.size();
    silent_beats_ = 0;
    take_in({octets.data(), octets.size()});
}

// Answers that nobody reads would fill the memory: a question of 30 octets may have a whole message as its answer. And
// what comes behind a large message stays behind it.
bool connection::holds_input() const noexcept {
    return staging_ ||
           (state_ == state::open && out_.size() + stream_->queued_bytes() > shared_.limits.answers_bytes_max);
}

void connection::take_in(std::string_view input) {
    const std::string_view begin = input;
    for (;;) {
        if (!input.empty() && holds_input()) {
            held_ = input;
            set_reading();
            break;
        }
        const auto next = parser_.next(input);
        if (!next) {
            if (next.error().wrong_protocol) {
                if (net::begins_with_proxy_head(begin)) list_.on_proxy_head(stream_->remote());
                return wrong_protocol();
            }
            return fail({next.error().code, next.error().text}, next.error().class_id, next.error().method_id);
        }
        if (!*next || !on_frame(**next)) break;
    }
    if (shared_.model.has_unused()) shared_.model.remove_unused();
}

bool connection::on_frame(const amqp::frame& received) {
    if (state_ == state::closed) return false;
    if (received.type == amqp::frame_type::heartbeat) return true;
    if (received.type == amqp::frame_type::protocol_header) {
        start_handshake(received.payload);
        return true;
    }
    if (received.channel != 0) return on_channel_frame(received);
    const auto whole = own_assembler_.feed(received);
    if (!whole) {
        fail({whole.error().code, whole.error().text}, whole.error().class_id, whole.error().method_id);
        return state_ != state::closed;
    }
    if (*whole)
        on_method((*whole)->method);
    else  // nothing with content belongs to channel 0
        fail({amqp::reply_code::command_invalid, "unexpected method with content on channel 0"}, 0, 0);
    return state_ != state::closed;
}

bool connection::on_channel_frame(const amqp::frame& received) {
    if (state_ == state::closing) return true;  // AMQP 0-9-1 §2.2.4: what comes before close-ok is dropped
    if (state_ != state::open) {
        fail({amqp::reply_code::channel_error, "a channel before the connection is open"}, 0, 0);
        return state_ != state::closed;
    }
    auto at = channels_.find(received.channel);
    if (at == channels_.end()) {
        amqp::method opening;
        const bool opens = received.type == amqp::frame_type::method &&
                           amqp::decode_method(received.payload, opening) &&
                           std::holds_alternative<amqp::channel_open>(opening);
        if (!opens) {
            // What was on its way while the channel closed: a close-ok that nobody awaits any more, or worse.
            if (std::holds_alternative<amqp::channel_close_ok>(opening)) return true;
            fail({amqp::reply_code::channel_error, "expected 'channel.open'"}, 0, 0);
        } else if (received.channel > channel_max_ && channel_max_ != 0) {
            fail({amqp::reply_code::not_allowed, "number of channels opened (" + std::to_string(received.channel) +
                                                     ") has reached the negotiated channel_max (" +
                                                     std::to_string(channel_max_) + ")"},
                 amqp::channel_open::class_id, amqp::channel_open::method_id);
        } else {
            channels_.emplace(received.channel, std::make_unique<channel>(*this, received.channel));
            send(received.channel, amqp::channel_open_ok{});
        }
        return state_ != state::closed;
    }
    channel& to = *at->second;
    const auto whole = to.assembler().feed(received);
    if (!whole) {
        if (!to.closing())
            to.fail({whole.error().code, whole.error().text}, whole.error().class_id, whole.error().method_id);
    } else if (*whole) {
        to.on_message(**whole);
    }
    if (state_ != state::open) return state_ != state::closed;
    if (to.closed()) channels_.erase(at);
    return true;
}

void connection::on_method(amqp::method& received) {
    if (state_ == state::closing) {
        if (std::holds_alternative<amqp::connection_close_ok>(received)) return end();
        if (std::holds_alternative<amqp::connection_close>(received)) send(0, amqp::connection_close_ok{});
        return;
    }
    if (auto* const said = std::get_if<amqp::connection_start_ok>(&received); said && state_ == state::start_ok_due)
        return on_start_ok(*said);
    if (auto* const said = std::get_if<amqp::connection_tune_ok>(&received); said && state_ == state::tune_ok_due)
        return on_tune_ok(*said);
    if (auto* const said = std::get_if<amqp::connection_open>(&received); said && state_ == state::open_due)
        return on_open(*said);
    if (std::holds_alternative<amqp::connection_close>(received)) {
        close_channels();
        send(0, amqp::connection_close_ok{});
        // The client closes the socket (AMQP 0-9-1 §2.2.4); it may still read.
        state_ = state::closing;
        limit_timer_.start(home().wheel(), close_timeout);
        return;
    }
    if (state_ == state::open && std::holds_alternative<amqp::connection_update_secret>(received))
        return send(0, amqp::connection_update_secret_ok{});
    const amqp::method_info& what = amqp::info(received);
    fail({amqp::reply_code::command_invalid, "unexpected method " + std::string(what.name)}, what.class_id,
         what.method_id);
}

void connection::published() {
    if (std::exchange(has_published_, true)) return;
    set_reading();
}

void connection::block(bool blocked, const std::string& reason) {
    blocked_ = blocked;
    blocked_reason_ = reason;
    if (state_ != state::open) return;
    if (wants_blocked_ && blocked_ != told_blocked_) {
        told_blocked_ = blocked_;
        if (blocked_) {
            amqp::connection_blocked told;
            told.reason = reason.substr(0, 255);
            send(0, told);
        } else {
            send(0, amqp::connection_unblocked{});
        }
    }
    set_reading();
}

void connection::hold(bool store_behind) {
    store_behind_ = store_behind;
    set_reading();
}

// A publisher is not read from while nothing more can be taken.
void connection::set_reading() {
    if (publisher_waits() || staging_ || !held_.empty()) {
        stream_->pause_reading();
    } else {
        stream_->resume_reading();
    }
}

void connection::beat() {
    // A publisher that is not read from can't show that it lives, nor one that has answers to read, unless it does.
    const bool reads = !held_.empty() && stream_->queued_bytes() < queued_at_beat_;
    queued_at_beat_ = stream_->queued_bytes();
    const bool heard = publisher_waits() || staging_ || reads;
    if (reads) silent_beats_ = 0;
    if (!heard && ++silent_beats_ > silent_beats_max) return end();
    if (!sent_since_beat_) {
        amqp::encode_heartbeat(out_);
        at_turn_end();
    }
    sent_since_beat_ = false;
    beat_timer_.start(home().wheel(), heartbeat_ / 2);
}

void connection::fail(const refusal& why, std::uint16_t class_id, std::uint16_t method_id) {
    if (state_ == state::closed || state_ == state::closing) return;
    close_channels();
    amqp::connection_close said;
    said.reply_code = static_cast<std::uint16_t>(why.code);
    said.reply_text = amqp::reply_text({.code = why.code, .text = why.text});
    said.failing_class_id = class_id;
    said.failing_method_id = method_id;
    send(0, said);
    state_ = state::closing;
    limit_timer_.start(home().wheel(), close_timeout);
}

void connection::shut_down() {
    if (state_ == state::open) return fail({amqp::reply_code::connection_forced, "the broker is shutting down"}, 0, 0);
    if (state_ != state::closing) end();
}

void connection::close_channels() {
    choked_ = true;  // what one channel gives back is not delivered on the next one
    channel::touched_queues touched;
    for (const auto& [number, one] : channels_) one->give_back(touched);
    for (const auto& [number, one] : channels_) one->leave({});
    for (const auto& one : touched) one->deliver();
    if (!channels_.empty()) closed_channels_ = std::move(channels_);
    channels_.clear();
    if (vhost_) vhost_->leave(owner_);
    shared_.model.remove_unused();
}

void connection::on_closed(net::error_code) {
    end();
}

void connection::end() {
    const auto keep = shared_from_this();
    if (std::exchange(state_, state::closed) == state::closed) return;
    limit_timer_.cancel();
    beat_timer_.cancel();
    close_channels();
    if (!out_.empty()) stream_->write(out_);
    out_.clear();
    if (stream_->open()) stream_->close(close_timeout);
    if (!forsaken_) list_.on_gone(*this);
}

void connection::forsake() {
    forsaken_ = true;
    end();
    stream_->abort();
}

}  // namespace foz::broker
