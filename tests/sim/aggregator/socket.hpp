// A WebSocket of a simulated aggregator: what its kernel and its writer do.
#pragma once

#include "aggregator/aggregator_process.hpp"
#include "oracle/oracle.hpp"
#include "ws/codec/parser.hpp"

#include <optional>
#include <set>

namespace foz::sim {

class aggregator_process::socket final : public link_end,
                                         private ws::parser_handler,
                                         public std::enable_shared_from_this<socket> {
public:
    socket(aggregator_process& home, std::shared_ptr<ws_link> over)
        : home_(home),
          link_(std::move(over)),
          parser_(ws::role::server, {.message_bytes_max = home.around_.with.message_bytes_max}) {}

    void open(aggregator::session_options options);
    void queue(std::string_view octets);
    // At the end of a turn, or when it has to be known whether the socket would block.
    void write();
    void close(ws::close_code code, std::string_view reason);
    void abort();
    void pause(bool is) {
        paused_ = is;
        heard_at_ = home_.around_.time.now();  // what it has said meanwhile was not read
        link_->pause(ws_link::side::server, is);
    }

    // The answer to this request was written.
    void told(std::int64_t number) {
        told_.push_back(number);
        open_.erase(number);
    }
    // A request of primus-responder that came on it and has not been answered yet.
    std::optional<std::int64_t> first_open() const {
        return open_.empty() ? std::nullopt : std::optional(*open_.begin());
    }
    bool ended() const noexcept { return ended_ || closing_; }
    std::size_t queued() const noexcept { return out_.size(); }
    // A write was tried, and the kernel takes no more.
    bool would_block() const noexcept { return blocked_; }
    bool slow();
    // As the rule says it, apart from how the product comes to it.
    bool is_slow_by_right();
    bool stuck_for(duration span) const { return blocked_ && takes_nothing_for() >= span; }
    bool silent_for(duration span) const {
        const steady_time life = std::max(home_.awake_since(), blocked_ ? std::max(heard_at_, took_at_) : heard_at_);
        return !paused_ && home_.around_.time.now() - life >= span;
    }
    const aggregator::member& self() const noexcept { return self_; }

private:
    void on_octets(std::string& octets) override;
    void on_end() override;
    void on_room() override;
    void on_message(ws::opcode, std::string_view payload) override {
        home_.shows_life(std::exchange(told_, {}));
        if (const std::int64_t number = oracle::number_asked(payload)) open_.insert(number);
        home_.run_->hub.on_text(self_, payload);
    }
    void on_ping(std::string_view) override {}
    void on_pong(std::string_view) override {}
    void on_close(ws::close_code, std::string_view) override { closing_ = true; }
    // Of a socket that would block, while the aggregator is there to give it more.
    duration takes_nothing_for() const { return home_.around_.time.now() - std::max(took_at_, home_.awake_since()); }
    void check_bound();
    void end_soon();

    aggregator_process& home_;
    std::shared_ptr<ws_link> link_;
    ws::parser parser_;
    aggregator::member self_;
    std::string out_;
    std::vector<std::int64_t> told_;  // requests, since it last showed life
    std::set<std::int64_t> open_;     // requests that wait for their answers
    steady_time took_at_{};           // the kernel has taken something of what waited
    steady_time heard_at_{};          // octets have come
    std::size_t stuck_octets_ = 0;    // that waited when it had taken nothing for too long
    bool blocked_ = false;
    bool patient_ = false;
    bool above_high_ = false;
    bool dirty_ = false;
    bool paused_ = false;
    bool closing_ = false;
    bool ended_ = false;
};

}  // namespace foz::sim
