#include "broker/publisher.hpp"

#include <utility>

namespace foz::sim {

publisher::publisher(environment& around, process& owner, broker_client& over, findings& found, std::string label,
                     std::function<void()> turn, amqp::publisher_options limits)
    : around_(around),
      owner_(owner),
      client_(over),
      found_(found),
      label_(std::move(label)),
      turn_(std::move(turn)),
      window_(limits) {
    client_.add(*this);
}

publisher::~publisher() {
    client_.remove(*this);
}

void publisher::submit(amqp::publication what, amqp::publish_options options, amqp::on_outcome done) {
    if (what.properties.message_id) ++owed_[*what.properties.message_id];
    window_.submit(std::move(what), std::move(options), std::move(done));
    arm();
}

void publisher::begin() {
    window_.blocked(false, around_.time.now());
    channel_ = client_.open_channel(*this);
}

void publisher::lost() {
    channel_ = 0;
    open_ = false;
    sent_.clear();
    returned_.clear();
    window_.lost();
}

void publisher::on_blocked(bool is) {
    window_.blocked(is, around_.time.now());
}

void publisher::on_open(std::uint32_t channel) {
    if (channel != channel_) return;
    open_ = true;
    tags_ = 0;
    last_confirm_ = around_.time.now();
    window_.opened(around_.time.now());
}

void publisher::on_closed(std::uint32_t channel) {
    if (channel != channel_) return;
    lost();
    channel_ = client_.open_channel(*this);
}

void publisher::on_confirm(std::uint32_t channel, std::uint64_t tag, bool multiple, bool positive) {
    if (channel != channel_) return;
    last_confirm_ = around_.time.now();
    for (auto at = sent_.begin(); at != sent_.end() && at->first <= tag;) {
        const bool meant = multiple || at->first == tag;
        if (meant && positive && !at->second.empty()) --(returned_[at->second] > 0 ? returned_ : owed_)[at->second];
        at = meant ? sent_.erase(at) : std::next(at);
    }
    window_.confirmed(tag, multiple, positive, around_.time.now());
}

void publisher::on_return(std::uint32_t channel, const amqp::basic_return& what,
                          const amqp::basic_properties& properties, std::string_view body) {
    if (channel != channel_) return;
    if (properties.message_id) ++returned_[*properties.message_id];
    window_.returned(what, properties, body);
}

void publisher::end_turn() {
    for (;;) {
        act();
        auto settled = window_.take_settled();
        for (auto& one : settled)
            if (one.done) one.done(one.result);
        auto room = window_.take_room();
        for (const std::string& key : room)
            if (on_room) on_room(key);
        pump();
        if (settled.empty() && room.empty()) break;
    }
    arm();
}

void publisher::act() {
    using enum amqp::publish_window::action;
    const auto now = around_.time.now();
    switch (window_.take_action()) {
        case none:
            return;
        case reopen_late:
            // Late is who answers nothing at all.
            found_.compared(invariant::publishing);
            if (open_ && now - last_confirm_ < std::chrono::seconds(1))
                found_.add(invariant::publishing, "{} opens its channel anew although the broker answers", label_);
            [[fallthrough]];
        case reopen_refused:
            client_.close_channel(channel_);
            lost();
            channel_ = client_.open_channel(*this);
            return;
        case next_url:
            client_.reconnect();
            return;
    }
}

void publisher::pump() {
    if (!open_) return;
    while (const amqp::publication* const next = window_.next_to_send()) {
        check_repetition(*next);
        client_.live()->publish(channel_, *next);
        sent_[++tags_] = next->properties.message_id.value_or("");
        window_.sent(around_.time.now());
    }
}

// Nothing that the broker has confirmed to this window is sent by it again, unless it was handed in again.
void publisher::check_repetition(const amqp::publication& what) {
    const auto& id = what.properties.message_id;
    if (!id) return;
    found_.compared(invariant::publishing);
    if (owed_[*id] <= 0)
        found_.add(invariant::publishing, "{} sends {} again, which the broker has confirmed to it", label_, *id);
}

void publisher::arm() {
    if (armed_ || window_.idle()) return;
    armed_ = true;
    owner_.after(window_.next_tick(around_.time.now()), [this] {
        armed_ = false;
        window_.tick(around_.time.now());
        turn_();
    });
}

}  // namespace foz::sim
