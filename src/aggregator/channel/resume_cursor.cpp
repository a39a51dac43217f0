#include "aggregator/channel/resume_cursor.hpp"

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

resume_cursor::step resume_cursor::next(const recent_messages& recent, const std::optional<envelope::position>& head,
                                        std::size_t& budget) {
    switch (state_) {
        case state::begin:
            return start(recent, head);
        case state::in_ring:
            return read_ring(recent, head, budget);
        case state::wants_page:
            state_ = state::awaits_page;
            return {.what = action::read,
                    .from = last_ ? envelope::resume_from{.what = kind::at, .where = *last_} : from_};
        case state::awaits_page:
            return {.what = action::wait};
        case state::in_page:
            return read_page(recent, head, budget);
        case state::live:
            return {.what = action::live};
        case state::ended:
            if (std::exchange(page_owed_, false)) return {.what = action::page_done, .more = false};
            return {.what = action::ended};
    }
    return {.what = action::wait};
}

resume_cursor::step resume_cursor::start(const recent_messages& recent, const std::optional<envelope::position>& head) {
    state_ = state::wants_page;
    if (recent.empty()) return {.what = action::pause};
    if (from_.what == kind::at) {
        const envelope::position& newest = *recent.back().where;
        const auto at = recent.from(from_.where.offset);
        const bool known = at != recent.end() && (*at)->where->offset == from_.where.offset;
        // Evidence: another entry stands at that place. A place behind our newest entry is no evidence: this shard, or
        // its reader, may be behind another aggregator's. The stream is asked.
        if (known && *(*at)->where != from_.where) return end(envelope::gap_cause::recreated, newest);
        if (known) {
            state_ = state::in_ring;
            next_offset_ = from_.where.offset + 1;
            last_ = from_.where;
        }
        return {.what = action::pause};
    }
    const std::uint64_t oldest_s = recent.front().timestamp_s;
    if (from_.what == kind::since && oldest_s != 0 && oldest_s < since_s_) {
        state_ = state::in_ring;
        next_offset_ = recent.front().where->offset;
    }
    (void)head;
    return {.what = action::pause};
}

void resume_cursor::take(page next_page) {
    assert(state_ == state::awaits_page && "a page comes when it was asked for");
    page_ = std::move(next_page);
    at_ = page_->begin;
    page_owed_ = true;
    state_ = state::in_page;
}

resume_cursor::step resume_cursor::finish_page(bool more, state then) {
    page_.reset();
    page_owed_ = false;
    state_ = then;
    return {.what = action::page_done, .more = more};
}

resume_cursor::step resume_cursor::end(envelope::gap_cause cause, const std::optional<envelope::position>& where) {
    page_.reset();
    state_ = state::ended;
    return {.what = action::gap, .cause = cause, .where = where};
}

resume_cursor::step resume_cursor::read_page(const recent_messages& recent,
                                             const std::optional<envelope::position>& head, std::size_t& budget) {
    const auto& entries = *page_->entries;
    if (const auto cause = std::exchange(page_->gap, {})) {
        const auto where = at_ < entries.size() ? entries[at_]->where : head;
        if (*cause == envelope::gap_cause::recreated) return end(*cause, where);
        return {.what = action::gap, .cause = *cause, .where = where};
    }
    while (at_ < entries.size()) {
        const std::uint64_t offset = entries[at_]->where->offset;
        if (!recent.empty() && offset >= recent.front().where->offset) {
            next_offset_ = offset;
            return finish_page(false, state::in_ring);
        }
        if (budget == 0) return {.what = action::pause};
        --budget;
        next_offset_ = offset + 1;
        // A copy: the page goes when it is finished.
        const entry_ref item = entries[at_++];
        if (auto done = pass(item, head); done.what != action::pause) return done;
    }
    if (!page_->last) return finish_page(true, state::awaits_page);
    nothing_before_ring_ = !last_;
    return finish_page(false, state::in_ring);
}

resume_cursor::step resume_cursor::read_ring(const recent_messages& recent,
                                             const std::optional<envelope::position>& head, std::size_t& budget) {
    if (!recent.empty() && recent.front().where->offset > next_offset_) {
        if (!nothing_before_ring_) {
            // The session is so slow that the recent entries have moved on: the stream has what is missing.
            state_ = state::wants_page;
            return {.what = action::pause};
        }
        next_offset_ = recent.front().where->offset;
    }
    nothing_before_ring_ = false;
    for (auto at = recent.from(next_offset_); at != recent.end(); ++at) {
        if (budget == 0) return {.what = action::pause};
        --budget;
        next_offset_ = (*at)->where->offset + 1;
        if (auto done = pass(*at, head); done.what != action::pause) return done;
    }
    state_ = state::live;
    return {.what = action::live};
}

// `pause`: it is not wanted, the next one is.
resume_cursor::step resume_cursor::pass(const entry_ref& item, const std::optional<envelope::position>& head) {
    last_ = item->where;
    // What does not say when it was said, was said about when the one before was.
    if (item->timestamp_s != 0) said_s_ = item->timestamp_s;
    if (said_s_ != 0 && said_s_ < since_s_) return {.what = action::pause};
    if (++entries_ > entries_max_) return end(envelope::gap_cause::too_far, head);
    return {.what = action::deliver, .item = item};
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
