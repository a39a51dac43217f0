#include "aggregator/socket.hpp"

#include "ws/codec/writer.hpp"

#include <algorithm>

namespace foz::sim {
namespace {

// A socket that takes nothing for so long, with more than the limit waiting, is slow.
constexpr std::chrono::seconds takes_nothing{2};
// Beyond so many times the limit it is slow at once.
constexpr std::size_t hard_bound = 8;
constexpr std::size_t piece = 4 * 1024;

}  // namespace

void aggregator_process::socket::open(aggregator::session_options options) {
    link_->set(ws_link::side::server, this);
    took_at_ = heard_at_ = home_.around_.time.now();
    self_ = home_.run_->hub.opened(std::move(options));
    auto& all = home_.run_->sockets;
    if (all.size() <= self_.slot) all.resize(self_.slot + 1);
    all[self_.slot] = shared_from_this();
    home_.run_->hub.begin(self_);
}

void aggregator_process::socket::queue(std::string_view octets) {
    if (closing_) return;
    out_ += octets;
    check_bound();
    if (out_.size() > home_.settings_.queue_bytes_max / 4) above_high_ = true;
    if (std::exchange(dirty_, true)) return;
    home_.run_->dirty.push_back(shared_from_this());
}

void aggregator_process::socket::write() {
    dirty_ = false;
    if (ended_) return;
    std::size_t written = 0;
    while (written < out_.size() && link_->has_room(ws_link::side::server)) {
        const std::string_view next = std::string_view(out_).substr(written, piece);
        link_->send(ws_link::side::server, next);
        written += next.size();
    }
    if (written > 0 && blocked_) took_at_ = home_.around_.time.now();
    out_.erase(0, written);
    const bool was = std::exchange(blocked_, !out_.empty());
    if (blocked_ && !was) {
        took_at_ = home_.around_.time.now();
        ++home_.counters_.blocked_writes;
    }
    if (above_high_ && out_.size() <= home_.settings_.queue_bytes_max / 16) {
        above_high_ = false;
        ++home_.counters_.drained;
        home_.after({}, [self = shared_from_this()] {
            if (self->ended_) return;
            self->home_.run_->hub.on_drained(self->self_);
            self->home_.end_turn();
        });
    }
}

bool aggregator_process::socket::slow() {
    const std::size_t limit = home_.settings_.queue_bytes_max;
    if (out_.size() <= limit) return false;
    write();
    if (!blocked_ || out_.size() <= limit) return false;
    if (out_.size() > hard_bound * limit || stuck_for(takes_nothing)) return true;
    if (!std::exchange(patient_, true))
        home_.after(takes_nothing - takes_nothing_for(), [self = shared_from_this()] {
            self->patient_ = false;
            if (self->ended_ || !self->blocked_) return;
            self->home_.run_->hub.on_still_blocked(self->self_);
            self->home_.end_turn();
        });
    return false;
}

bool aggregator_process::socket::is_slow_by_right() {
    write();
    return blocked_ && (out_.size() > hard_bound * home_.settings_.queue_bytes_max || stuck_for(takes_nothing));
}

// It has taken nothing for so long that it is slow: more of what is live is not queued for it.
void aggregator_process::socket::check_bound() {
    const std::size_t limit = home_.settings_.queue_bytes_max;
    if (!stuck_for(takes_nothing + std::chrono::seconds(1))) {
        stuck_octets_ = 0;
        return;
    }
    home_.found_.compared(invariant::bounded);
    if (stuck_octets_ == 0) stuck_octets_ = std::max(limit, out_.size());
    if (out_.size() > stuck_octets_ + limit && !home_.resumes())
        home_.found_.add(invariant::bounded, "{} queues more and more for slot {}, which takes nothing", home_.name(),
                         self_.slot);
}

void aggregator_process::socket::close(ws::close_code code, std::string_view reason) {
    if (closing_ || ended_) return;
    std::string frame;
    ws::append_frame(frame, ws::opcode::close, ws::close_payload(code, reason));
    queue(frame);
    write();
    closing_ = true;
    end_soon();
}

void aggregator_process::socket::abort() {
    closing_ = true;
    end_soon();
}

void aggregator_process::socket::end_soon() {
    if (std::exchange(ended_, true)) return;
    link_->close(ws_link::side::server);
    home_.after({}, [self = shared_from_this()] {
        self->home_.run_->hub.closed(self->self_);
        self->home_.run_->sockets[self->self_.slot] = nullptr;
        self->home_.end_turn();
    });
}

void aggregator_process::socket::on_octets(std::string& octets) {
    if (closing_ || ended_) return;
    heard_at_ = home_.around_.time.now();
    const auto keep = shared_from_this();
    const auto failure = parser_.feed(octets, *this);
    if (failure && !closing_) {
        home_.run_->hub.on_violation(self_);
        close(failure->code, failure->text);
    }
    if (closing_) end_soon();
    home_.end_turn();
}

void aggregator_process::socket::on_end() {
    closing_ = true;
    end_soon();
}

void aggregator_process::socket::on_room() {
    const auto keep = shared_from_this();
    write();
    home_.end_turn();
}

}  // namespace foz::sim
