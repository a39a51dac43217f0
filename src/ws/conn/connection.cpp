#include "ws/conn/connection.hpp"

#include "ws/codec/writer.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace foz::ws {
namespace {

// Each connection has one for as long as it lives, and is idle most of the time.
static_assert(sizeof(connection) <= 200);

}  // namespace

connection::connection(std::shared_ptr<net::stream> stream, application& app, owner& list,
                       const connection_options& options)
    : stream_(std::move(stream)), app_(app), list_(list), options_(options), parser_(role::server, options.limits) {}

connection::~connection() {
    if (stream_->open()) stream_->abort();  // otherwise it is writing its last words
}

void connection::start(std::string received, std::shared_ptr<const request_note> note) {
    const auto keep = shared_from_this();
    timer_.start(home().wheel(), options_.head_timeout);
    stream_->move_to(net::lane::arriving);
    stream_->start(*this);
    if (received.empty()) return;
    held_.get() = std::move(received);
    if (note) exchange_.get() = brought{std::move(note)};
    take_requests(true);
}

void connection::forsake() {
    forsaken_ = true;
    state_ = state::closed;
    parser_.stop();
    timer_.cancel();
    if (stream_->open()) stream_->abort();  // otherwise it is writing its last words
}

void connection::on_octets(std::span<char> octets) {
    const auto keep = shared_from_this();
    if (state_ != state::http) return feed(octets);
    const bool begins = !held_.there() && !stage<incoming>();
    held_.get().append(octets.data(), octets.size());
    take_requests(begins);
}

void connection::feed(std::span<char> octets) {
    frames_left_ = options_.frames_per_turn;
    feeding_until_ = home().time().now() + options_.time_per_turn;
    std::optional<parser_failure> failure;
    if (!paused_) failure = parser_.take(octets, *this);  // on_open() may have paused already
    if (state_ == state::closed) return;
    if (!parser_.under_way()) {
        message_since_ = {};
    } else if (message_since_ == steady_time{}) {
        message_since_ = feeding_until_ - options_.time_per_turn;  // now
    }
    if (!failure) {
        if (octets.empty()) return;
        held_.get().assign(octets.data(), octets.size());
        stream_->pause_reading();
        if (!paused_) {
            list_.on_put_off();
            go_on_next_turn();
        }
        return;
    }
    if (state_ == state::open) {
        handler_->on_violation(failure->code);
        write_frame(opcode::close, close_payload(failure->code, failure->text));
    }
    end(failure->code, failure->text, false);
}

// Whoever sends much is read from more slowly, alone.
void connection::count_frame() {
    if (paused_ || --frames_left_ == 0 || home().time().now() >= feeding_until_) parser_.pause();
}

void connection::go_on_next_turn() {
    if (std::exchange(comes_back_, true)) return;
    home().in_portions([weak = weak_from_this()] {
        const auto self = weak.lock();
        return self && self->go_on();
    });
}

// The next frames of those that are held; true when some are left.
bool connection::go_on() {
    comes_back_ = false;
    if (paused_ || state_ == state::closed) return false;
    std::string octets = held_.take();
    comes_back_ = true;  // feed() need not ask for it again
    feed(octets);
    comes_back_ = held_.there() && !paused_ && state_ != state::closed;
    if (!comes_back_ && !held_.there() && !paused_ && state_ != state::closed) stream_->resume_reading();
    return comes_back_;
}

void connection::pause_reading() {
    if (state_ != state::open || std::exchange(paused_, true)) return;
    parser_.pause();
    stream_->pause_reading();
}

void connection::resume_reading() {
    if (!std::exchange(paused_, false) || state_ == state::closed) return;
    go_on_reading();
}

void connection::go_on_reading() {
    if (paused_) return;
    if (!held_.there()) return stream_->resume_reading();
    go_on_next_turn();
}

void connection::on_message(opcode kind, std::string_view payload) {
    message_since_ = {};
    // RFC 6455 §7.1.2: what arrives after our close frame may be of no interest.
    if (state_ == state::open || (state_ == state::closing && takes_late_))
        kind == opcode::text ? handler_->on_text(payload) : handler_->on_binary(payload);
    count_frame();
}

void connection::on_pong(std::string_view) {
    count_frame();
}

void connection::on_ping(std::string_view payload) {
    // A peer that pings without reading the pongs must not fill our memory; RFC 6455 §5.5.3 lets us skip.
    if (state_ == state::open && !stream_->above_high_watermark()) write_frame(opcode::pong, payload);
    count_frame();
}

void connection::on_close(close_code code, std::string_view reason) {
    // RFC 6455 §5.5.1: echo the code, then the server closes TCP first (§7.1.1).
    if (state_ == state::open) write_frame(opcode::close, close_payload(code, {}));
    end(code, reason, true);
}

void connection::send_text(std::string_view text) {
    if (state_ == state::open) write_frame(opcode::text, text);
}

void connection::send(frame_ref frames) {
    if (state_ == state::open) stream_->send(std::move(frames));
}

void connection::write_frame(opcode op, std::string_view payload) {
    std::string frame;
    frame.reserve(payload.size() + 10);
    append_frame(frame, op, payload);
    stream_->write(frame);
}

void connection::close(close_code code, std::string_view reason, late_messages late) {
    if (state_ != state::open) return;
    takes_late_ = late == late_messages::taken;
    write_frame(opcode::close, close_payload(code, reason));
    state_ = state::closing;
    timer_.start(home().wheel(), options_.close_timeout);
    resume_reading();  // the peer's close frame is waited for
}

void connection::abort() {
    if (state_ == state::closed) return;
    state_ = state::closing;
    takes_late_ = false;
    if (dribbles({})) list_.on_dribbled();
    parser_.stop();
    timer_.cancel();
    stream_->abort();
    // Weak: by then the server may have been destroyed, and the application with it.
    home().post([weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->end(close_code::abnormal_closure, "aborted", false);
    });
}

void connection::on_closed(net::error_code why) {
    const auto keep = shared_from_this();
    if (state_ == state::http) return end_http(options_.close_timeout);
    end(close_code::abnormal_closure, why == boost::asio::error::eof ? "the client closed" : why.message(), false);
}

void connection::on_drained() {
    const auto keep = shared_from_this();
    if (state_ == state::http) {
        if (stage<outgoing>()) return read_on();
        stream_->resume_reading();
        return take_requests(true);
    }
    if (state_ == state::open) handler_->on_drained();
}

void connection::on_still_blocked() {
    const auto keep = shared_from_this();
    if (state_ == state::open) handler_->on_still_blocked();
}

// Time in which it was not read from, or in which we were not there, does not count. A rate needs a second to be told.
bool connection::dribbles(std::chrono::milliseconds span) const {
    if (options_.rate_min == 0 || message_since_ == steady_time{} || stream_->reading_paused()) return false;
    const auto took = stream_->home().time().now() - std::max(message_since_, stream_->reading_since());
    if (took < std::max<std::chrono::nanoseconds>(span, std::chrono::seconds(1))) return false;
    const double seconds = std::chrono::duration<double>(took).count();
    return static_cast<double>(parser_.octets_under_way()) < seconds * static_cast<double>(options_.rate_min);
}

void connection::start_timer(std::chrono::milliseconds limit) {
    untaken_ = static_cast<std::uint32_t>(unread_octets());
    timer_.start(home().wheel(), limit);
}

void connection::on_timeout() {
    const auto keep = shared_from_this();
    if (state_ != state::http)
        return end(close_code::abnormal_closure, "the client did not answer the close frame", false);
    // A large answer to a slow client takes the time that it takes, at the minimum rate.
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options_.idle_timeout).count();
    const std::uint64_t least = std::max<std::uint64_t>(1, options_.rate_min * static_cast<std::uint64_t>(seconds));
    const std::uint64_t unread = unread_octets();
    if (unread > 0 && untaken_ - static_cast<std::uint32_t>(unread) >= least) return start_timer(options_.idle_timeout);
    const bool arriving = held_.there() || stage<incoming>();
    if (arriving || unread > 0) list_.on_dribbled();
    if (arriving && !last_answer_ && !stream_->above_high_watermark() && !stage<outgoing>())
        refuse({.status = 408, .body = "the request did not arrive in time\n"});
    end_http(options_.close_timeout);
}

void connection::end(close_code code, std::string_view reason, bool clean) {
    const auto keep = shared_from_this();
    if (std::exchange(state_, state::closed) == state::closed) return;
    parser_.stop();
    timer_.cancel();
    stream_->close(options_.close_timeout);
    handler_->on_closed(code, reason, clean);
    if (!forsaken_) list_.on_gone(*this);
}

}  // namespace foz::ws
