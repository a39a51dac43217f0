#include "broker/core/stream.hpp"

#include "amqp/codec/wire.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace foz::broker {
namespace {

constexpr std::size_t stream_page_count = 512;
constexpr std::size_t stream_page_bytes = 256 << 10;

}  // namespace

// Nothing is read but the log's own numbers: all segments but the last one are in its note.
void stream::recover() {
    const log_summary& known = log_->summary();
    next_ = visible_end_ = known.next;
    first_ = next_ - std::min<std::uint64_t>(known.count, next_);
    if (!read_note(log_->note())) segments_.clear();
    if (!segments_.empty()) first_ = segments_.front().first;
    position last = first_;
    std::uint64_t bytes = 0;
    for (const segment& closed : segments_) {
        last = closed.first + closed.count;
        bytes += closed.bytes;
    }
    if (last < next_)
        segments_.push_back({.first = last,
                             .count = next_ - last,
                             .bytes = known.bytes - std::min(known.bytes, bytes),
                             .last_ms = known.last_ms});
    bytes_ = known.bytes;
    around_.set_alarm(*this, around_.now_ms());
}

// The first offset; first, count, bytes, time of each segment that is closed.
void stream::write_note() {
    std::string note;
    amqp::writer out(note);
    out.u64(first_);
    for (std::size_t i = 0; i + 1 < segments_.size(); ++i) {
        const segment& closed = segments_[i];
        for (const std::uint64_t value :
             {closed.first, closed.count, closed.bytes, static_cast<std::uint64_t>(closed.last_ms)})
            out.u64(value);
    }
    log_->set_note(std::move(note));
}

bool stream::read_note(std::string_view note) {
    if (note.empty()) return true;
    amqp::reader in(note);
    first_ = std::min(in.u64(), next_);
    while (!in.at_end()) {
        segment closed{};
        closed.first = in.u64();
        closed.count = in.u64();
        closed.bytes = in.u64();
        closed.last_ms = static_cast<std::int64_t>(in.u64());
        const bool follows = segments_.empty() || segments_.back().first + segments_.back().count == closed.first;
        if (in.failed() || !follows || closed.first + closed.count > next_) return false;
        segments_.push_back(closed);
    }
    return true;
}

void stream::count_in(std::uint64_t bytes, std::int64_t arrived_ms) {
    const position at = segments_.empty() ? first_ : segments_.back().first + segments_.back().count;
    if (segments_.empty() || segments_.back().bytes >= settings().segment_bytes) {
        segments_.push_back({.first = at, .count = 0, .bytes = 0, .last_ms = 0});
        write_note();
    }
    segment& last = segments_.back();
    ++last.count;
    last.bytes += bytes;
    last.last_ms = arrived_ms;
    bytes_ += bytes;
}

accepted stream::publish(const message_ref& what) {
    ++counters_.published;
    stored_entry made{.at = next_++, .what = what, .arrived_ms = around_.now_ms()};
    log_->put(made);
    const std::size_t segments = segments_.size();
    count_in(what->body().size(), made.arrived_ms);
    const commit_number commit = around_.disk().pending_commit();
    if (uncommitted_.empty() || uncommitted_.back().commit != commit) {
        uncommitted_.push_back({commit, next_});
        around_.await_commit(*this, commit);
    } else {
        uncommitted_.back().end = next_;
    }
    recent_bytes_ += what->bytes();
    recent_.push_back(std::move(made));
    while (recent_bytes_ > stream_page_bytes && recent_bytes_ > around_.memory_share() &&
           recent_.front().at < visible_end_) {
        recent_bytes_ -= recent_.front().what->bytes();
        recent_.pop_front();
    }
    if (segments_.size() != segments) retain();
    return accepted::yes;
}

void stream::on_committed(commit_number committed) {
    if (gone()) return;
    bool more = false;
    while (!uncommitted_.empty() && uncommitted_.front().commit <= committed) {
        visible_end_ = uncommitted_.front().end;
        uncommitted_.pop_front();
        more = true;
    }
    if (more) deliver();
}

void stream::retain(std::uint64_t slack_bytes) {
    const std::int64_t oldest_ms = settings().age_max ? around_.now_ms() - settings().age_max->count() : 0;
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    while (segments_.size() > 1) {
        const segment& oldest = segments_.front();
        const bool too_large = settings().bytes_max && bytes_ > *settings().bytes_max + slack_bytes;
        const bool too_old = oldest.last_ms < oldest_ms;
        if (!too_large && !too_old) break;
        // Nothing goes that a reader might still be given as new.
        if (oldest.first + oldest.count > visible_end_) break;
        count += oldest.count;
        bytes += oldest.bytes;
        bytes_ -= oldest.bytes;
        segments_.pop_front();
    }
    if (count == 0) return;
    first_ = segments_.front().first;
    log_->remove_below(first_, count, bytes);
    write_note();
    while (!recent_.empty() && recent_.front().at < first_) {
        recent_bytes_ -= recent_.front().what->bytes();
        recent_.pop_front();
    }
}

std::optional<stored_entry> stream::next_of(reader& state) {
    if (state.next < first_) state.next = first_;  // retention has passed it
    if (state.next >= visible_end_) return std::nullopt;
    if (!recent_.empty() && state.next >= recent_.front().at) {
        state.page.clear();
        return recent_[state.next - recent_.front().at];
    }
    if (state.page.empty() || state.page.front().at != state.next) {
        log_page read = log_->read(state.next, stream_page_count, stream_page_bytes);
        state.page.assign(std::make_move_iterator(read.entries.begin()), std::make_move_iterator(read.entries.end()));
        if (state.page.empty() || state.page.front().at >= visible_end_) return std::nullopt;
        state.next = state.page.front().at;
    }
    stored_entry found = std::move(state.page.front());
    state.page.pop_front();
    return found;
}

void stream::pump(consumer& who, reader& state) {
    while (who.can_take()) {
        auto found = next_of(state);
        if (!found) return;
        state.next = found->at + 1;
        ++counters_.delivered;
        who.take(shared_from_this(),
                 {.what = std::move(found->what), .at = found->at, .arrived_ms = found->arrived_ms});
    }
}

void stream::wake(consumer& who) {
    const auto at = readers_.find(&who);
    if (!gone() && at != readers_.end()) pump(who, at->second);
}

void stream::deliver() {
    if (gone()) return;
    // Not by `readers_`: its order is that of addresses, and would be another one in each run.
    for (consumer* const who : consumers_) pump(*who, readers_.at(who));
}

void stream::on_alarm() {
    if (gone()) return;
    if (const std::int64_t at = expiry_ms(); at != 0 && at <= around_.now_ms()) return around_.remove_soon(*this);
    // After a start a policy may have lowered the limit. What is over by less than a segment was kept before.
    retain(settings().segment_bytes);
    around_.set_alarm(*this, expiry_ms());
}

result<std::optional<entry>> stream::get(bool) {
    return refuse(amqp::reply_code::not_implemented, "basic.get not supported by stream queues " + described());
}

result<std::size_t> stream::purge() {
    return refuse(amqp::reply_code::not_implemented, "queue.purge not supported by stream queues " + described());
}

result<void> stream::check_consume(const consumer& who, const consume_options& options) {
    if (who.no_ack)
        return refuse(amqp::reply_code::not_implemented,
                      "automatic acknowledgement not supported by stream queues " + described());
    if (!options.stream_offset) return {};
    const auto& wish = *options.stream_offset;
    if (amqp::as_timestamp(&wish) || amqp::as_int64(wish)) return {};
    const auto word = amqp::as_string(wish);
    if (word && (*word == "first" || *word == "last" || *word == "next" || parse_interval(*word))) return {};
    return refuse(amqp::reply_code::internal_error, "invalid x-stream-offset for " + described());
}

position stream::offset_of(const amqp::field_value* wish) {
    if (!wish) return visible_end_;
    if (const auto* const time = std::get_if<amqp::timestamp>(&wish->get()))
        return first_at_or_after(static_cast<std::int64_t>(time->seconds) * 1000);
    if (const auto number = amqp::as_int64(wish)) return static_cast<position>(std::max<std::int64_t>(*number, 0));
    const std::string_view word = amqp::as_string(wish).value_or("next");
    if (word == "first") return first_;
    if (word == "last") return visible_end_ > first_ ? visible_end_ - 1 : first_;
    if (const auto ago = parse_interval(word)) return first_at_or_after(around_.now_ms() - ago->count());
    return visible_end_;
}

// Arrival times grow with the offsets, apart from a clock that was set back.
position stream::first_at_or_after(std::int64_t arrived_ms) {
    position low = first_;
    position high = visible_end_;
    while (low < high) {
        const position middle = low + (high - low) / 2;
        const log_page there = log_->read(middle, 1, 1);
        if (there.entries.empty() || there.entries.front().arrived_ms >= arrived_ms)
            high = middle;
        else
            low = there.entries.front().at + 1;
    }
    return low;
}

void stream::on_consumer(consumer& who, const consume_options& options) {
    readers_[&who].next = offset_of(options.stream_offset);
}

void stream::on_consumer_left(consumer& who) {
    readers_.erase(&who);
}

void stream::drop_all() {
    recent_.clear();
    uncommitted_.clear();
    readers_.clear();
    segments_.clear();
}

}  // namespace foz::broker
