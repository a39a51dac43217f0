#include "aggregator/channel/resume_cursor.hpp"

#include "base/planted.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace foz::aggregator {
namespace {

using kind = envelope::resume_from::kind;

}  // namespace

resume_cursor::resume_cursor(const envelope::resume_from& from, std::size_t entries_max)
    : from_(from), entries_max_(entries_max) {
    assert(from.what != kind::now && "who begins now resumes nothing");
    if (from.what == kind::since) since_s_ = from.since_ms / 1000;
}

resume_cursor::step resume_cursor::next(const recent_entries& recent, const place& head, const listener& who,
                                        std::size_t& budget) {
    switch (state_) {
        case state::begin:
            return start(recent);
        case state::in_ring:
            return read_ring(recent, head, who, budget);
        case state::wants_page:
            state_ = state::awaits_page;
            return {.what = action::read, .from = from_here()};
        case state::awaits_page:
            return {.what = action::wait};
        case state::in_page:
            return read_page(recent, head, who, budget);
        case state::live:
            return {.what = action::live};
        case state::ended:
            if (std::exchange(page_owed_, false)) return {.what = action::page_done, .more = false};
            return {.what = action::ended};
    }
    return {.what = action::wait};
}

envelope::resume_from resume_cursor::from_here() const {
    return last_ ? envelope::resume_from{.what = kind::at, .where = *last_} : from_;
}

resume_cursor::step resume_cursor::start(const recent_entries& recent) {
    state_ = state::wants_page;
    if (recent.empty() && from_.what != kind::at) return {.what = action::pause};
    if (from_.what == kind::at) {
        const entry* const known = recent.at(from_.where.offset);
        // Another entry stands at that place: it is of another stream, or this shard still has the one before. The
        // stream is asked. So it is about a place behind our newest entry: this shard, or its reader, may be behind
        // another aggregator's.
        if (known) compare(*known, from_.where);
        if (ring_ == kinship::same) state_ = state::in_ring;
        next_offset_ = from_.where.offset + (planted(bug::resume_off_by_one) ? 2 : 1);
        last_ = from_.where;
        return {.what = action::pause};
    }
    const std::uint64_t oldest_s = recent.front().timestamp_s;
    if (from_.what == kind::since && oldest_s != 0 && oldest_s < since_s_) {
        state_ = state::in_ring;
        next_offset_ = recent.front().where->offset;
    }
    return {.what = action::pause};
}

void resume_cursor::take(page next_page) {
    assert(state_ == state::awaits_page && "a page comes when it was asked for");
    page_ = std::move(next_page);
    at_ = page_->begin;
    page_owed_ = true;
    ++pages_;
    picked_.reset();
    state_ = state::in_page;
}

resume_cursor::step resume_cursor::finish_page(bool more, state then) {
    page_.reset();
    page_owed_ = false;
    state_ = then;
    return {.what = action::page_done, .more = more};
}

resume_cursor::step resume_cursor::end(envelope::gap_cause cause, const place& where) {
    page_.reset();
    state_ = state::ended;
    return {.what = action::gap, .cause = cause, .where = where};
}

resume_cursor::step resume_cursor::read_page(const recent_entries& recent, const place& head, const listener& who,
                                             std::size_t& budget) {
    const auto& entries = *page_->entries;
    if (const auto cause = std::exchange(page_->gap, {})) {
        const place where = at_ < entries.size() ? entries[at_]->where : head;
        if (*cause == envelope::gap_cause::recreated) return end(*cause, where);
        ring_ = kinship::unknown;  // its place is gone, whichever stream it was in
        return {.what = action::gap, .cause = *cause, .where = where};
    }
    const std::size_t meets = ring_ == kinship::other ? entries.size() : meeting(recent, entries);
    const run of{.number = UINT64_MAX - pages_,  // blocks count up from 1
                 .entries = entries,
                 .index = page_->index.get(),
                 .end = meets};
    if (auto done = read(of, at_, head, who, budget)) return *done;
    if (meets > 0) next_offset_ = std::max(next_offset_, entries[meets - 1]->where->offset + 1);
    if (meets < entries.size()) {
        next_offset_ = entries[meets]->where->offset;
        return finish_page(false, state::in_ring);
    }
    if (!page_->last) return finish_page(true, state::awaits_page);
    nothing_before_ring_ = !last_;
    return finish_page(false, state::in_ring);
}

// The first entry of a page that the ring has, too.
std::size_t resume_cursor::meeting(const recent_entries& recent, std::span<const entry_ref> entries) {
    if (recent.empty()) return entries.size();
    const std::uint64_t ring = recent.front().where->offset;
    const auto behind = std::ranges::partition_point(entries, [&](const auto& e) { return e->where->offset < ring; });
    auto at = std::max(at_, static_cast<std::size_t>(behind - entries.begin()));
    for (; at < entries.size(); ++at) {
        if (entries[at]->where->offset > recent.back().where->offset) break;  // the reader is behind the page
        const entry* const there = recent.at(entries[at]->where->offset);
        if (!there) continue;  // a hole
        compare(*there, *entries[at]->where);
        if (ring_ == kinship::same) return at;
        break;  // this shard still has the stream before: the pages lead to the end
    }
    return entries.size();
}

// Two entries with the same offset.
void resume_cursor::compare(const entry& recent_one, const envelope::position& with) noexcept {
    ring_ = *recent_one.where == with ? kinship::same : kinship::other;
}

resume_cursor::step resume_cursor::ask_stream() {
    ring_ = kinship::unknown;
    state_ = state::wants_page;
    return {.what = action::pause};
}

resume_cursor::step resume_cursor::read_ring(const recent_entries& recent, const place& head, const listener& who,
                                             std::size_t& budget) {
    if (last_ && ring_ == kinship::unknown) {
        if (const entry* const known = recent.at(last_->offset)) {
            compare(*known, *last_);
        } else if (!recent.empty() && recent.back().where->offset > last_->offset) {
            return ask_stream();  // no overlap
        }
    }
    // These entries are of the stream before. When this shard notices, another cursor begins from here.
    if (ring_ == kinship::other) return {.what = action::wait};
    if (!recent.empty() && recent.front().where->offset > next_offset_) {
        // The session is so slow that the recent entries have moved on: the stream has what is missing.
        if (!nothing_before_ring_) return ask_stream();
        next_offset_ = recent.front().where->offset;
    }
    nothing_before_ring_ = false;
    while (const recent_entries::block* const in = recent.find(next_offset_)) {
        std::size_t at = recent_entries::place_in(*in, next_offset_);
        const run of{
            .number = in->number, .entries = in->entries, .index = recent.index_of(*in), .end = in->entries.size()};
        auto done = read(of, at, head, who, budget);
        if (at > 0) next_offset_ = std::max(next_offset_, in->entries[at - 1]->where->offset + 1);
        if (done) return *done;
    }
    // This shard's reader may be behind the aggregator where the client was: what it dispatches next the client has.
    if (last_ && head && head->offset < last_->offset) return {.what = action::wait};
    state_ = state::live;
    return {.what = action::live};
}

// Goes on to the next entry that is wanted. Nothing: all have been passed.
std::optional<resume_cursor::step> resume_cursor::read(const run& of, std::size_t& at, const place& head,
                                                       const listener& who, std::size_t& budget) {
    while (at < of.end) {
        if (budget == 0) return step{.what = action::pause};
        const std::size_t wanted = std::min(next_pick(of, at, who, budget), of.end);
        const bool too_far = !pass_over(of, at, wanted);
        at = wanted;
        if (too_far) return end(envelope::gap_cause::too_far, head);
        if (at == of.end) break;
        budget -= budget > 0;
        const entry_ref& item = of.entries[at++];
        last_ = item->where;
        // What does not say when it was said, was said about when the one before was.
        said_s_ = of.index ? of.index->said_s(at - 1) : item->timestamp_s != 0 ? item->timestamp_s : said_s_;
        if (said_s_ != 0 && said_s_ < since_s_) continue;
        if (++entries_ > entries_max_) return end(envelope::gap_cause::too_far, head);
        return step{.what = action::deliver, .item = item};
    }
    return std::nullopt;
}

std::size_t resume_cursor::next_pick(const run& of, std::size_t at, const listener& who, std::size_t& budget) {
    if (!of.index || !who.groups) return at;
    if (picked_ != of.number) {
        budget -= budget > 0;
        picks_.clear();
        of.index->pick(who.is, *who.groups, at, picks_);
        picked_ = of.number;
        next_pick_ = 0;
    }
    while (next_pick_ < picks_.size() && picks_[next_pick_] < at) ++next_pick_;
    return next_pick_ < picks_.size() ? picks_[next_pick_] : of.end;
}

// Entries that are for others: they count, for who has left long ago. False: it is too far behind.
bool resume_cursor::pass_over(const run& of, std::size_t from, std::size_t to) {
    if (from == to) return true;
    last_ = of.entries[to - 1]->where;
    if (since_s_ == 0 || of.index->said_s(to - 1) >= since_s_) entries_ += to - from;
    return entries_ <= entries_max_;
}

std::string_view to_string(resume_cursor::state state) noexcept {
    using enum resume_cursor::state;
    switch (state) {
        case begin:
            return "begin";
        case in_ring:
            return "in_ring";
        case wants_page:
            return "wants_page";
        case awaits_page:
            return "awaits_page";
        case in_page:
            return "in_page";
        case live:
            return "live";
        case ended:
            return "ended";
    }
    return {};
}

}  // namespace foz::aggregator
