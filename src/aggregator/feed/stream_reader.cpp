#include "aggregator/feed/readers.hpp"
#include "aggregator/feed/stream_delivery.hpp"
#include "contract/names.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/awaitable.hpp>

namespace foz::aggregator {
namespace {

using contract::cursor_event;

// Of a stream whose entries are large.
constexpr std::size_t prefetch_min = 16;
// An entry's weight in the average of their sizes.
constexpr std::size_t average_over = 16;
// What the history may take before it is begun nearer to the end: so many times what the ring holds, and so long.
constexpr std::size_t history_octets_factor = 4;
constexpr std::chrono::milliseconds history_time_max{3'000};

contract::stream_cursor_options cursor_options(const settings& all, random_source& random) {
    return {.begin = {.what = contract::attach_at::kind::next},
            .marker_prefix = "marker." + random.token(),
            .ids_max = all.deduplication_window,
            .history_entries = all.history_entries,
            .history_octets_max = history_octets_factor * all.recent_bytes_max,
            .history_time_max = history_time_max,
            .recreated_back = all.deduplication_window / 2};
}

amqp::basic_consume consume(const std::string& stream, const contract::attach_at& where) {
    amqp::basic_consume method;
    method.queue = stream;
    method.arguments = contract::stream_arguments(where);
    return method;
}

envelope::gap_cause cause_of(const cursor_event& gap) {
    return gap.why == cursor_event::cause::recreated ? envelope::gap_cause::recreated : envelope::gap_cause::retention;
}

}  // namespace

stream_reader::stream_reader(amqp::client& owner, amqp::publisher& markers, const settings& all, std::size_t channel,
                             feed_sink& sink)
    : reader(owner, all, channel, sink),
      markers_(markers),
      cursor_(cursor_options(all, owner.home().random())),
      credit_(all.reader_bytes_max) {
    link_ = owner.open_channel(*this);
}

std::uint16_t stream_reader::prefetch() const {
    if (average_octets_ == 0) return settings_.stream_prefetch;
    const std::size_t fits = settings_.reader_bytes_max / average_octets_;
    return static_cast<std::uint16_t>(std::clamp<std::size_t>(
        fits, std::min<std::size_t>(prefetch_min, settings_.stream_prefetch), settings_.stream_prefetch));
}

boost::asio::awaitable<amqp::result<void>> stream_reader::set_up(amqp::channel& self) {
    auto prepared = co_await prepare(self, prefetch());
    if (!prepared) co_return prepared;
    cursor_.attaching();
    auto consuming = co_await self.call(consume(channel().out_queue(), cursor_.where()));
    if (!consuming) co_return std::unexpected(consuming.error());
    co_return amqp::result<void>{};
}

void stream_reader::on_ready(amqp::channel&) {
    cursor_.attached(client_.home().time().now(), events_);
    act(nullptr, 0);
}

void stream_reader::on_lost(amqp::channel& self, const amqp::error& why) {
    cursor_.lost();
    tick_timer_.cancel();
    parked_ = false;
    reader::on_lost(self, why);
}

void stream_reader::on_delivery(amqp::channel&, const amqp::delivery& message) {
    const auto offset = stream_offset(message);
    if (!offset) return done_with(message.id, 1);  // not from a stream; the topology forbids it
    read(message, view_of(message, *offset));
}

void stream_reader::on_too_large(amqp::channel&, const amqp::delivery& message, const amqp::skipped_body& body) {
    const auto offset = stream_offset(message);
    if (!offset) return done_with(message.id, 1);
    read(message, view_of(message, *offset, body));
}

void stream_reader::read(const amqp::delivery& message, const contract::delivery_view& view) {
    if (parked_) return;
    ++counters_.read;
    cursor_.delivered(view, client_.home().time().now(), events_);
    act(&message, view.at.offset);
    if (!credit_.full() || parked_) return;
    parked_ = true;
    tick_timer_.cancel();
    ++counters_.parked;
}

void stream_reader::act(const amqp::delivery* message, std::uint64_t offset) {
    using kind = cursor_event::kind;
    bool again = false;
    // A sink may call settled() in here, and nothing else.
    for (const cursor_event& event : events_) {
        switch (event.what) {
            case kind::entry:
            case kind::duplicate:
            case kind::skipped:
                hand_on(*message, offset, event);
                break;
            case kind::repeated:
                if (const auto mark = credit_.pass(message->id)) done_with(*mark, 1);
                break;
            case kind::gap:
                sink_.on_gap(channel_, cause_of(event), std::nullopt);
                break;
            case kind::restarted:
                sink_.on_history_void(channel_);
                break;
            case kind::publish_marker:
                publish_marker(event.marker);
                break;
            case kind::ask_again:
                again = true;
                break;
            case kind::proven:
                if (cursor_.is_caught_up()) sink_.on_attached(channel_, channel().out_queue());
                break;
            case kind::caught_up:
                sink_.on_attached(channel_, channel().out_queue());
                break;
        }
    }
    events_.clear();
    if (again) reopen("asking " + channel().out_queue() + " again");
    set_timer();
}

void stream_reader::hand_on(const amqp::delivery& message, std::uint64_t offset, const cursor_event& what) {
    entry_ref made;
    const envelope::position where{.offset = offset, .check = cursor_.last()->check};
    if (what.what == cursor_event::kind::entry) {
        made = make_entry(message, offset, what.history);
    } else if (what.why == cursor_event::cause::too_large) {
        made = make_skipped(message, where, what.history);
    } else {
        // It reaches nobody, and has its place all the same.
        counters_.duplicates += what.what == cursor_event::kind::duplicate;
        made = std::make_shared<const entry>(
            entry{.channel = channel_, .where = where, .timestamp_s = message.properties.timestamp.value_or(0)});
    }
    const std::size_t octets = made->bytes();
    if (average_octets_ == 0) average_octets_ = octets;
    average_octets_ += octets / average_over - average_octets_ / average_over;
    const std::uint64_t number = credit_.hand_on(octets, message.id);
    sink_.on_entry(channel_, made, what.history, {.channel = channel_, .number = number});
    if (made->too_large && !what.history) sink_.on_gap(channel_, envelope::gap_cause::too_large, made->where);
}

void stream_reader::settled(delivery_ticket upto) {
    const std::size_t before = credit_.entries();
    const auto mark = credit_.settle(upto.number);
    // What is still to come of a parked reader was thrown away: it is asked for again.
    if (!parked_) {
        if (mark) done_with(*mark, before - credit_.entries());
        return;
    }
    if (!credit_.half_empty()) return;
    parked_ = false;
    reopen("going on in " + channel().out_queue());
}

void stream_reader::publish_marker(const std::string& id) {
    // Without it there is silence, which asks again.
    markers_.publish(stream_marker(channel().out_queue(), id, client_.home().time().wall_now()),
                     settings_.publish_timeout, [](amqp::outcome) {});
}

void stream_reader::on_tick() {
    cursor_.tick(client_.home().time().now(), events_);
    act(nullptr, 0);
}

void stream_reader::set_timer() {
    const auto deadline = cursor_.deadline();
    if (!deadline || parked_) return tick_timer_.cancel();
    if (tick_timer_.active()) return;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - client_.home().time().now());
    tick_timer_.start(client_.home().wheel(), std::max(left, std::chrono::milliseconds(1)));
}

}  // namespace foz::aggregator
