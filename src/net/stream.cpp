#include "net/stream.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <boost/asio/buffer.hpp>

namespace foz::net {
namespace {

constexpr std::size_t write_bytes_max = 1024 * 1024;  // to one socket before the others have their turn
constexpr std::chrono::seconds probe_every{1};        // of an idle peer; the smallest that there is

// What Linux tells of a connection (TCP_INFO): the C library's structure and what has been added behind it since.
struct tcp_state {
    tcp_info known;
    std::uint64_t pacing_rate, pacing_rate_max;
    std::uint64_t octets_acknowledged, octets_received;
    std::uint32_t segments_out, segments_in;
    std::uint32_t octets_not_sent;
};
static_assert(sizeof(tcp_info) == 104, "tcpi_pacing_rate follows");

}  // namespace

detached_stream::detached_stream(int descriptor, SSL* tls, tcp::endpoint remote)
    : descriptor_(descriptor), tls_(tls), remote_(std::move(remote)) {}

detached_stream::detached_stream(detached_stream&& other) noexcept
    : unread(std::move(other.unread)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      tls_(std::exchange(other.tls_, nullptr)),
      remote_(other.remote_),
      unsent_(std::move(other.unsent_)),
      slot_(std::move(other.slot_)) {}

detached_stream::~detached_stream() {
    if (tls_) ::SSL_free(tls_);
    if (descriptor_ >= 0) ::close(descriptor_);
}

std::shared_ptr<stream> stream::attach(shard& home, detached_stream from, stream_options options) {
    error_code error;
    tcp::socket socket(home.context());
    socket.assign(from.remote_.protocol(), from.descriptor_, error);
    if (error) return nullptr;
    from.descriptor_ = -1;
    const auto made =
        from.tls_ ? tls(home, tls_socket(std::move(socket), std::exchange(from.tls_, nullptr)), options, from.remote_)
                  : plain(home, std::move(socket), options, from.remote_);
    made->keep(std::move(from.slot_));
    made->write(from.unsent_);
    return made;
}

std::optional<detached_stream> stream::detach() {
    if (state_ != state::open) return std::nullopt;
    auto taken = take_out();
    if (!taken) return std::nullopt;
    seal_tail();
    std::size_t skip = front_offset_;
    for (std::size_t i = 0; i < queue_.size(); ++i) taken->unsent_ += queue_[i].octets().substr(std::exchange(skip, 0));
    taken->slot_ = std::move(slot_);
    handler_ = nullptr;
    shut();
    return taken;
}

stream::stream(shard& home, tcp::endpoint remote, stream_options options)
    : home_(home),
      remote_(std::move(remote)),
      options_(options),
      octets_at_(home.time().now()),
      reading_since_(octets_at_) {}

stream::~stream() {
    forget_queue();
}

void stream::start(stream_handler& handler) {
    handler_ = &handler;
    start_reading();
}

void stream::send(frame_ref frame) {
    if (state_ != state::open || frame.size() == 0) return;
    seal_tail();
    const std::size_t size = frame.size();
    queue_.push_back(std::move(frame));
    queue_more(size, write_line::round);
}

void stream::write(std::string_view octets) {
    if (state_ != state::open || octets.empty()) return;
    if (!tail_) tail_ = std::make_unique<std::string>();
    *tail_ += octets;
    queue_more(octets.size(), write_line::soon);
}

void stream::seal_tail() {
    if (!tail_) return;
    const std::string_view octets = *tail_;
    queue_.push_back(frame_ref::held_by(std::move(tail_), octets));
}

void stream::queue_more(std::size_t octets, write_line which) {
    queued_bytes_ += octets;
    home_.add_queued(octets);
    home_.count_queued(octets);
    if (queued_bytes_ > options_.high_watermark_bytes) above_high_ = true;
    if (untried_bytes() >= options_.flush_bytes) return flush_now();
    if (!blocked_) come_back_at_turn_end(which);
}

void stream::come_back_at_turn_end(write_line which) {
    which = std::min(which, line_);
    const auto bit = static_cast<std::uint8_t>(1u << static_cast<unsigned>(which));
    const auto and_before = static_cast<std::uint8_t>(2 * bit - 1);
    if (due_ & and_before) return;
    due_ |= bit;
    home_.at_turn_end(self(), which);
}

void stream::on_turn_end(write_line which) {
    due_ &= static_cast<std::uint8_t>(~(1u << static_cast<unsigned>(which)));
    if (state_ == state::closed) return;
    if (!blocked_ && has_queued())
        if (const error_code error = flush()) return fail(error);
    tell_drained();
}

// An error is not told from here: the write that is tried at the end of the turn meets it again.
void stream::flush_now() {
    if (state_ == state::closed || !has_queued()) return;
    if (flush()) blocked_ = false;
    if (!blocked_ || drained_due_) come_back_at_turn_end();
}

// Everything that the socket takes. Calls nobody.
error_code stream::flush() {
    std::array<asio::const_buffer, gather_max> buffers;
    std::size_t taken = 0;
    while (state_ != state::closed && has_queued()) {
        if (taken >= write_bytes_max) {  // the others have their turn
            blocked_ = false;
            come_back_at_turn_end();
            return {};
        }
        const std::size_t used = gather(buffers);
        error_code error;
        const std::size_t size = write_some(std::span(buffers).first(used), error);
        if (size > 0) take_off(size);
        taken += size;
        if (error == asio::error::would_block) {
            block(taken > 0);
            return {};
        }
        if (error) return error;
    }
    blocked_ = false;
    tried_bytes_ = 0;
    return {};
}

void stream::block(bool took_something) {
    if (!blocked_ || took_something) progress_at_ = home_.time().now();
    blocked_ = true;
    tried_bytes_ = queued_bytes_;
    if (!std::exchange(writable_pending_, true)) wait_writable();
}

void stream::writable(error_code error) {
    writable_pending_ = false;
    if (state_ == state::closed) return;
    if (!error) error = flush();
    if (error) return fail(error);
    tell_drained();
}

bool stream::slow(const slow_limits& limits) {
    if (queued_bytes_ <= limits.queued_bytes_max || state_ != state::open) return false;
    if (untried_bytes() > 0) flush_now();
    if (!blocked_ || tried_bytes_ <= limits.queued_bytes_max) return false;
    if (tried_bytes_ > limits.hard_bytes_max || home_.queued_bytes() > limits.shard_bytes_max) return true;
    if (stuck_for(limits.patience)) return true;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(limits.patience - stuck_span());
    if (!patience_timer_.active()) patience_timer_.start(home_.wheel(), left);
    return false;
}

bool stream::stuck_for(std::chrono::milliseconds span) const {
    return blocked_ && stuck_span() >= span;
}

std::chrono::nanoseconds stream::stuck_span() const {
    return home_.time().now() - std::max(progress_at_, home_.awake_since());
}

void stream::on_patience_over() {
    if (state_ != state::open) return abort();
    if (blocked_ && handler_) handler_->on_still_blocked();
}

bool stream::silent_for(std::chrono::milliseconds span) const {
    if (paused_) return false;
    // What a socket takes out of a queue shows that somebody reads at the other end.
    const steady_time heard = std::max(octets_at_, blocked_ ? progress_at_ : steady_time{});
    return home_.time().now() - std::max({heard, reading_since_, home_.awake_since()}) >= span;
}

bool stream::taking() {
    const bool was_behind = std::exchange(was_behind_, false);
    tcp_state now{};
    socklen_t size = sizeof(now);
    if (::getsockopt(descriptor(), IPPROTO_TCP, TCP_INFO, &now, &size) != 0) return false;
    const auto acknowledged = static_cast<std::uint32_t>(now.octets_acknowledged);
    const bool more = acknowledged != std::exchange(acknowledged_, acknowledged);
    was_behind_ = queued_bytes_ > 0 || now.known.tcpi_unacked > 0 || now.octets_not_sent > 0;
    return was_behind && more;
}

// TCP_USER_TIMEOUT (the local side of RFC 5482) and keep-alive (RFC 1122 §4.2.3.6). With both, Linux ends an idle
// connection at the first probe after the time-out that was preceded by one in vain.
void stream::expect_acknowledgement(std::chrono::milliseconds within) {
    const auto set = [this](int level, int option, long value) {
        const int wanted = static_cast<int>(value);
        ::setsockopt(descriptor(), level, option, &wanted, sizeof(wanted));
    };
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, within.count());
    if (within.count() <= 0) return;
    set(IPPROTO_TCP, TCP_KEEPIDLE, probe_every.count());
    set(IPPROTO_TCP, TCP_KEEPINTVL, probe_every.count());
    set(IPPROTO_TCP, TCP_KEEPCNT, std::max<long>(within / probe_every - 1, 1));  // without the time-out
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
}

bool stream::unacknowledged_for(std::chrono::milliseconds span) {
    tcp_info now{};
    socklen_t size = sizeof(now);
    if (::getsockopt(descriptor(), IPPROTO_TCP, TCP_INFO, &now, &size) != 0) return false;
    // The answer to a single probe may be on its way.
    const bool asked = now.tcpi_unacked > 0 || now.tcpi_probes > 1;
    return asked && std::chrono::milliseconds(now.tcpi_last_ack_recv) >= span &&
           home_.time().now() - home_.awake_since() >= span;
}

std::size_t stream::gather(std::span<asio::const_buffer> out) {
    if (queue_.empty()) seal_tail();
    const std::size_t used = std::min(out.size(), queue_.size());
    std::size_t skip = front_offset_;
    for (std::size_t i = 0; i < used; ++i) {
        const std::string_view octets = queue_[i].octets().substr(std::exchange(skip, 0));
        out[i] = asio::const_buffer(octets.data(), octets.size());
    }
    return used;
}

bool stream::tell_when_drained() noexcept {
    if (queued_bytes_ <= options_.low_watermark_bytes) return false;
    above_high_ = true;
    return true;
}

void stream::take_off(std::size_t octets) {
    assert(octets <= queued_bytes_);
    queued_bytes_ -= octets;
    tried_bytes_ -= std::min(octets, tried_bytes_);
    home_.remove_queued(octets);
    octets += front_offset_;
    while (!queue_.empty() && octets >= queue_.front().size()) {
        octets -= queue_.front().size();
        queue_.pop_front();
    }
    front_offset_ = octets;
    if (!has_queued() && state_ == state::closing) return output_done();
    if (above_high_ && queued_bytes_ <= options_.low_watermark_bytes) {
        above_high_ = false;
        drained_due_ = true;
    }
}

// For streams whose octets are taken by others than flush().
void stream::written(std::size_t octets) {
    if (octets == 0) return;
    take_off(octets);
    progress_at_ = home_.time().now();
    if (!has_queued()) blocked_ = false;
    tell_drained();
}

void stream::tell_drained() {
    if (!std::exchange(drained_due_, false)) return;
    if (handler_ && state_ == state::open && !above_high_) handler_->on_drained();
}

void stream::deliver(std::span<char> octets) {
    octets_at_ = home_.time().now();
    if (state_ == state::open && !paused_) handler_->on_octets(octets);
}

void stream::fail(error_code why) {
    if (state_ == state::closed) return;
    const bool tell = state_ == state::open;
    if (why == asio::error::eof && has_queued()) {
        peer_done_ = true;
        if (tell) patience_timer_.start(home_.wheel(), std::chrono::seconds(5));
        state_ = state::closing;
    } else {
        shut();
    }
    if (stream_handler* const handler = std::exchange(handler_, nullptr); handler && tell) handler->on_closed(why);
}

// Everything is written and nothing more may be queued.
void stream::output_done() {
    if (peer_done_) return shut();
    shutdown_output();
}

void stream::pause_reading() {
    paused_ = true;
}

void stream::resume_reading() {
    if (!std::exchange(paused_, false) || state_ != state::open) return;
    reading_since_ = home_.time().now();
    start_reading();
}

void stream::close(std::chrono::milliseconds within) {
    if (state_ != state::open) return;
    const bool reading = handler_ && !paused_;
    handler_ = nullptr;
    state_ = state::closing;
    patience_timer_.start(home_.wheel(), within);
    if (!reading) start_reading();
    if (!has_queued()) output_done();
}

void stream::abort() {
    handler_ = nullptr;
    shut();
}

void stream::shut() {
    if (std::exchange(state_, state::closed) == state::closed) return;
    patience_timer_.cancel();
    forget_queue();
    close_socket();
    slot_.release();
    home_.count_gone();
}

void stream::forget_queue() {
    home_.remove_queued(std::exchange(queued_bytes_, 0));
    tried_bytes_ = 0;
    queue_.clear();
    tail_.reset();
    front_offset_ = 0;
}

}  // namespace foz::net
