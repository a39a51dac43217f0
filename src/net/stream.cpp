#include "net/stream.hpp"

#include <unistd.h>
#include <utility>

namespace foz::net {

detached_stream::detached_stream(int descriptor, SSL* tls, tcp::endpoint remote)
    : descriptor_(descriptor), tls_(tls), remote_(std::move(remote)) {}

detached_stream::detached_stream(detached_stream&& other) noexcept
    : unread(std::move(other.unread)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      tls_(std::exchange(other.tls_, nullptr)),
      remote_(other.remote_),
      unsent_(std::move(other.unsent_)) {}

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
    const auto made = from.tls_ ? tls(home, {std::move(socket), std::exchange(from.tls_, nullptr)}, options)
                                : plain(home, std::move(socket), options);
    made->write(from.unsent_);
    return made;
}

std::optional<detached_stream> stream::detach() {
    if (state_ != state::open) return std::nullopt;
    auto taken = take_out();
    if (!taken) return std::nullopt;
    seal_tail();
    std::size_t skip = front_offset_;
    for (const frame_ref& frame : queue_) taken->unsent_ += frame.octets().substr(std::exchange(skip, 0));
    handler_ = nullptr;
    shut();
    return taken;
}

stream::stream(shard& home, tcp::endpoint remote, stream_options options)
    : home_(home), remote_(std::move(remote)), options_(options) {}

stream::~stream() = default;

void stream::start(stream_handler& handler) {
    handler_ = &handler;
    start_reading();
}

void stream::send(frame_ref frame) {
    if (state_ != state::open || frame.size() == 0) return;
    seal_tail();
    const std::size_t size = frame.size();
    queue_.push_back(std::move(frame));
    queue_more(size);
}

void stream::write(std::string_view octets) {
    if (state_ != state::open || octets.empty()) return;
    tail_ += octets;
    queue_more(octets.size());
}

void stream::seal_tail() {
    if (!tail_.empty()) queue_.push_back(frame_ref::take(std::exchange(tail_, {})));
}

void stream::queue_more(std::size_t octets) {
    queued_bytes_ += octets;
    if (queued_bytes_ > options_.high_watermark_bytes) above_high_ = true;
    if (writing_ || turn_end_due_) return;
    turn_end_due_ = true;
    home_.at_turn_end(self());
}

void stream::on_turn_end() {
    turn_end_due_ = false;
    if (state_ == state::closed || writing_ || !has_queued()) return;
    writing_ = true;
    start_writing();
}

std::size_t stream::gather(std::span<asio::const_buffer> out) {
    if (queue_.empty()) seal_tail();
    std::size_t used = 0;
    std::size_t skip = front_offset_;
    for (const frame_ref& frame : queue_) {
        if (used == out.size()) break;
        const std::string_view octets = frame.octets().substr(std::exchange(skip, 0));
        out[used++] = asio::const_buffer(octets.data(), octets.size());
    }
    return used;
}

void stream::written(std::size_t octets) {
    queued_bytes_ -= octets;
    octets += front_offset_;
    while (!queue_.empty() && octets >= queue_.front().size()) {
        octets -= queue_.front().size();
        queue_.pop_front();
    }
    front_offset_ = octets;
    if (!has_queued() && state_ == state::closing) return output_done();
    if (above_high_ && queued_bytes_ <= options_.low_watermark_bytes) {
        above_high_ = false;
        if (handler_ && state_ == state::open) handler_->on_drained();
    }
}

void stream::deliver(std::span<char> octets) {
    if (state_ == state::open && !paused_) handler_->on_octets(octets);
}

void stream::fail(error_code why) {
    if (state_ == state::closed) return;
    const bool tell = state_ == state::open;
    if (why == asio::error::eof && has_queued()) {
        peer_done_ = true;
        if (tell) closing_timer_.start(home_.wheel(), std::chrono::seconds(5));
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
    start_reading();
}

void stream::close(std::chrono::milliseconds within) {
    if (state_ != state::open) return;
    const bool reading = handler_ && !paused_;
    handler_ = nullptr;
    state_ = state::closing;
    closing_timer_.start(home_.wheel(), within);
    if (!reading) start_reading();
    if (!has_queued()) output_done();
}

void stream::abort() {
    handler_ = nullptr;
    shut();
}

void stream::shut() {
    if (std::exchange(state_, state::closed) == state::closed) return;
    closing_timer_.cancel();
    queue_.clear();
    tail_.clear();
    front_offset_ = 0;
    queued_bytes_ = 0;
    close_socket();
}

}  // namespace foz::net
