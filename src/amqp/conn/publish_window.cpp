#include "amqp/conn/publish_window.hpp"

#include "base/planted.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace foz::amqp {
namespace {

using std::chrono::milliseconds;

// Between the attempts at what was refused. The first one follows at once.
constexpr milliseconds refused_pause_min{20};
constexpr milliseconds refused_pause_max{250};
constexpr milliseconds refusals_forgotten_after{1'000};
// Patience doubles with each connection that was given up in vain, so many times.
constexpr unsigned late_doublings_max = 4;
// However many keys wait, each may have so much waiting before it is full.
constexpr std::size_t key_mark_min = 8;
constexpr std::size_t key_octets_mark_min = 64 * 1024;
// Slots of entries beyond this are given back when nothing is pending.
constexpr std::size_t slots_kept = 1'024;

std::size_t octets_of(const publication& p) noexcept {
    return p.body.size() + p.exchange.size() + p.routing_key.size() + publish_window::message_octets;
}

// Marks that lie beyond the limits would never be reached.
publisher_options fitted(publisher_options all) {
    all.in_flight_min = std::min(all.in_flight_min, all.in_flight_limit);
    all.key_high_mark = std::min(all.key_high_mark, all.key_waiting_limit);
    all.key_octets_high_mark = std::min(all.key_octets_high_mark, all.key_waiting_octets_limit);
    all.ordered_high_mark = std::min(all.ordered_high_mark, all.key_waiting_limit);
    all.waiting_high_mark = std::min(all.waiting_high_mark, all.pending_limit);
    all.waiting_octets_high_mark = std::min(all.waiting_octets_high_mark, all.pending_octets_limit);
    return all;
}

}  // namespace

publish_window::publish_window(publisher_options limits) : limits_(fitted(limits)), window_(limits_.in_flight_min) {
    assert(limits_.in_flight_limit > 0);
}

publish_window::~publish_window() {
    if (limits_.pool) limits_.pool->used -= pending_octets_ + pending_ * pool_message_octets;
}

bool publish_window::over_limits(const key_state* of, std::string_view key, std::size_t octets) const noexcept {
    if (pending_ >= limits_.pending_limit || pending_octets_ + octets > limits_.pending_octets_limit) return true;
    if (limits_.pool) {
        const bool waits = of && !key.empty();
        const std::size_t own = waits ? of->waiting_octets + of->waiting * pool_message_octets : 0;
        if (!limits_.pool->admits(own, octets + pool_message_octets)) return true;
    }
    if (!of || key.empty() || of->waiting == 0) return false;
    return of->waiting >= limits_.key_waiting_limit || of->waiting_octets + octets > limits_.key_waiting_octets_limit;
}

publish_window::ticket publish_window::submit(publication p, publish_options options, on_outcome done) {
    assert(!options.ordered || !options.key.empty());
    ++counters_.published;
    const std::size_t octets = octets_of(p);
    if (over_limits(find(options.key), options.key, octets)) {
        ++counters_.overloaded;
        settled_.push_back({0, outcome::overloaded, std::move(done)});
        return 0;
    }
    std::uint32_t slot;
    if (free_entries_.empty()) {
        slot = static_cast<std::uint32_t>(entries_.size());
        entries_.emplace_back();
    } else {
        slot = free_entries_.back();
        free_entries_.pop_back();
    }
    entry& made = entries_[slot];
    made.content = std::move(p);
    made.done = std::move(done);
    made.id = ++last_ticket_;
    made.octets = octets;
    made.ordered = options.ordered;
    made.has_queue = options.has_queue;
    ++pending_;
    pending_octets_ += octets;
    if (limits_.pool) limits_.pool->used += octets + pool_message_octets;
    deadlines_.arm(slot, options.deadline);
    enqueue(slot, key_of(std::move(options.key)));
    return made.id;
}

// --- Keys.

std::uint32_t publish_window::key_of(std::string name) {
    const auto at = key_index_.find(name);
    if (at != key_index_.end()) return at->second;
    std::uint32_t key;
    if (free_keys_.empty()) {
        key = static_cast<std::uint32_t>(keys_.size());
        keys_.emplace_back();
    } else {
        key = free_keys_.back();
        free_keys_.pop_back();
    }
    keys_[key].name = name;
    key_index_.emplace(std::move(name), key);
    return key;
}

const publish_window::key_state* publish_window::find(std::string_view key) const {
    const auto at = key_index_.find(key);
    return at == key_index_.end() ? nullptr : &keys_[at->second];
}

std::size_t publish_window::high_mark(const key_state& of) const noexcept {
    const std::size_t share = limits_.waiting_high_mark / std::max<std::size_t>(waiting_keys_, 1);
    const std::size_t own = of.ordered ? limits_.ordered_high_mark : limits_.key_high_mark;
    return std::min(own, std::max(share, key_mark_min));
}

std::size_t publish_window::octets_high_mark() const noexcept {
    const std::size_t share = limits_.waiting_octets_high_mark / std::max<std::size_t>(waiting_keys_, 1);
    return std::min(limits_.key_octets_high_mark, std::max(share, key_octets_mark_min));
}

void publish_window::enqueue(std::uint32_t slot, std::uint32_t key) {
    entry& e = entries_[slot];
    key_state& of = keys_[key];
    e.where = state::waiting;
    e.key = key;
    e.previous = of.last;
    e.next = none;
    (of.last == none ? of.first : entries_[of.last].next) = slot;
    of.last = slot;
    if (of.waiting++ == 0) ++waiting_keys_;
    of.waiting_octets += e.octets;
    of.ordered = e.ordered;
    ++waiting_;
    if (of.waiting >= high_mark(of) || of.waiting_octets >= octets_high_mark()) of.full = true;
    take_turn(key);
}

// Out of its key's queue, wherever it stands there.
void publish_window::dequeue(std::uint32_t slot) {
    entry& e = entries_[slot];
    key_state& of = keys_[e.key];
    (e.previous == none ? of.first : entries_[e.previous].next) = e.next;
    (e.next == none ? of.last : entries_[e.next].previous) = e.previous;
    of.waiting_octets -= e.octets;
    --waiting_;
    if (--of.waiting == 0) --waiting_keys_;
    if (of.full && of.waiting <= high_mark(of) / 2 && of.waiting_octets <= octets_high_mark() / 2) {
        of.full = false;
        room_.push_back(of.name);
    }
}

// Lists the key among those that may send, at the end, unless it stands there or may not.
void publish_window::take_turn(std::uint32_t key) {
    key_state& of = keys_[key];
    if (of.in_turn || of.first == none) return;
    if (entries_[of.first].ordered && of.unsettled > 0 && !planted(bug::order_ignored)) return;
    of.in_turn = true;
    turns_.push_back(key);
}

void publish_window::drop_if_unused(std::uint32_t key) {
    key_state& of = keys_[key];
    if (of.waiting > 0 || of.unsettled > 0 || of.in_turn) return;
    assert(!of.full && of.waiting_octets == 0);
    key_index_.erase(key_index_.find(of.name));
    of = {};
    free_keys_.push_back(key);
    if (key_index_.empty() && keys_.size() > slots_kept) {
        keys_.clear();
        free_keys_ = {};
    }
}

bool publish_window::full(std::string_view key) const {
    const key_state* const of = find(key);
    return of && of->full;
}

std::size_t publish_window::waiting_messages(std::string_view key) const {
    const key_state* const of = find(key);
    return of ? of->waiting : 0;
}

std::size_t publish_window::waiting_octets(std::string_view key) const {
    const key_state* const of = find(key);
    return of ? of->waiting_octets : 0;
}

// --- Sending.

std::uint32_t publish_window::next_slot() {
    if (!again_.empty()) return again_.front();
    while (!turns_.empty()) {
        const std::uint32_t key = turns_.front();
        if (keys_[key].first != none) return keys_[key].first;
        // All that it had has been given up meanwhile.
        turns_.pop_front();
        keys_[key].in_turn = false;
        drop_if_unused(key);
    }
    return none;
}

const publication* publish_window::next_to_send() {
    selected_ = none;
    if (!open_ || blocked_ || draining_) return nullptr;
    const std::uint32_t slot = next_slot();
    if (slot == none) return nullptr;
    if (in_flight_ >= window_) {
        round_.limited = true;
        return nullptr;
    }
    const entry& e = entries_[slot];
    if (in_flight_ > 0 && in_flight_octets_ + e.octets > limits_.in_flight_octets_limit) return nullptr;
    selected_ = slot;
    return &e.content;
}

void publish_window::sent(steady_time now) {
    const std::uint32_t slot = std::exchange(selected_, none);
    assert(slot != none);
    entry& e = entries_[slot];
    if (e.where == state::again) {
        again_.pop_front();
    } else {
        const std::uint32_t key = e.key;
        dequeue(slot);
        turns_.pop_front();
        keys_[key].in_turn = false;
        if (e.ordered) {
            ++keys_[key].unsettled;
        } else {
            e.key = none;
        }
        take_turn(key);
        drop_if_unused(key);
    }
    if (std::exchange(e.ever_sent, true)) ++counters_.repeated;
    if (in_flight_ == 0) {
        last_answer_ = now;
        begin_round(now);
    }
    e.where = state::in_flight;
    e.returned = false;
    e.tag = first_tag_ + flight_.size();
    flight_.push_back({.slot = slot, .octets = e.octets, .sent_at = now});
    ++in_flight_;
    in_flight_octets_ += e.octets;
    check_invariants();
}

void publish_window::cannot_encode() {
    const std::uint32_t slot = std::exchange(selected_, none);
    assert(slot != none);
    settle(slot, outcome::invalid);
}

// --- What the broker and the channel do.

void publish_window::opened(steady_time now) {
    assert(flight_.empty());
    open_ = true;
    first_tag_ = 1;
    last_answer_ = now;
    reopened_late_at_.reset();
    quickest_ = std::chrono::nanoseconds::max();
}

// Everything that is unsettled and was sent is sent again in the next opening, in the order of submission.
void publish_window::lost() {
    open_ = false;
    draining_ = false;
    retry_at_.reset();
    selected_ = none;
    if (action_ != action::next_url) action_ = action::none;  // it has happened
    for (const flight& f : flight_) {
        if (f.slot == none) continue;
        entries_[f.slot].where = state::again;
        again_.push_back(f.slot);
    }
    std::sort(again_.begin(), again_.end(),
              [this](std::uint32_t a, std::uint32_t b) { return entries_[a].id < entries_[b].id; });
    flight_.clear();
    in_flight_ = 0;
    in_flight_octets_ = 0;
    check_invariants();
}

void publish_window::blocked(bool is, steady_time now) {
    if (std::exchange(blocked_, is) && !is) last_answer_ = now;
}

void publish_window::confirmed(std::uint64_t tag, bool multiple, bool positive, steady_time now) {
    if (tag < first_tag_ || tag >= first_tag_ + flight_.size()) return;  // known already, or never sent
    const std::size_t last = static_cast<std::size_t>(tag - first_tag_);
    for (std::size_t i = multiple && !planted(bug::confirmed_sent_again) ? 0 : last; i <= last; ++i)
        answered(flight_[i], positive, now);
    fit_window(tag, now);
    pop_answered();
    retry_refused(now);
    check_invariants();
}

void publish_window::answered(flight& f, bool positive, steady_time now) {
    if (std::exchange(f.answered, true)) return;
    --in_flight_;
    in_flight_octets_ -= f.octets;
    last_answer_ = now;
    late_ = 0;
    ++round_.answered;
    quickest_ = std::min<std::chrono::nanoseconds>(quickest_, now - f.sent_at);
    if (f.slot == none) return;
    const std::uint32_t slot = f.slot;
    entry& e = entries_[slot];
    if (positive && !(e.returned && e.has_queue))
        return settle(slot, e.returned ? outcome::unroutable : outcome::confirmed);
    if (!positive) ++counters_.refused;
    // An election, or the recovery of a broker that has just started, may be under way. Refused for longer than that
    // takes, the queue means it (x-overflow: reject-publish). The others in flight are answered first, or they would be
    // sent twice for nothing.
    if (!e.refused_at) e.refused_at = now;
    const auto patience = positive ? limits_.return_patience : limits_.refusal_patience;
    if (now - *e.refused_at >= patience) return settle(slot, positive ? outcome::unroutable : outcome::rejected);
    f.slot = none;
    e.where = state::again;
    again_.push_back(slot);
    draining_ = true;
}

void publish_window::begin_round(steady_time now) {
    round_ = {.last_tag = first_tag_ + flight_.size(), .began = now};
}

// What is confirmed in a time is what may be in flight for that time (Little's law). A round that was not held up by
// the window says nothing about it.
void publish_window::fit_window(std::uint64_t tag, steady_time now) {
    if (tag < round_.last_tag) return;
    const auto took = now - round_.began;
    if (round_.limited && took.count() > 0) {
        const auto target = std::chrono::nanoseconds(limits_.confirm_target) + 2 * quickest_;
        const double fits = static_cast<double>(round_.answered) * static_cast<double>(target.count()) /
                            static_cast<double>(std::chrono::nanoseconds(took).count());
        const double next = std::clamp(fits, static_cast<double>(window_) / 2, static_cast<double>(window_) * 2);
        window_ = std::clamp(static_cast<std::size_t>(next), limits_.in_flight_min, limits_.in_flight_limit);
    }
    begin_round(now);
}

void publish_window::pop_answered() {
    while (!flight_.empty() && flight_.front().answered) {
        flight_.pop_front();
        ++first_tag_;
    }
}

void publish_window::retry_refused(steady_time now) {
    if (!draining_ || in_flight_ > 0) return;
    if (!retry_at_) {
        if (now - last_refusal_ > refusals_forgotten_after) refusals_ = 0;
        const auto pause = refused_pause_min * (1U << std::min(std::max(refusals_, 1U) - 1, 8U));
        retry_at_ = now + (refusals_ == 0 ? milliseconds(0) : std::min(refused_pause_max, milliseconds(pause)));
    }
    if (*retry_at_ > now) return;
    retry_at_.reset();
    ++refusals_;
    last_refusal_ = now;
    ++counters_.reopened;
    open_ = false;
    action_ = action::reopen_refused;
}

void publish_window::returned(const basic_return& what, const basic_properties& properties, std::string_view body,
                              std::optional<std::uint64_t> size_only) {
    ++counters_.returned;
    // basic.return carries no tag. Messages that agree in all of this share their fate, so the first will do.
    for (const flight& f : flight_) {
        if (f.slot == none || f.answered) continue;
        entry& e = entries_[f.slot];
        const publication& p = e.content;
        if (e.returned || p.routing_key != what.routing_key || p.exchange != what.exchange ||
            p.properties.message_id != properties.message_id)
            continue;
        if (size_only ? p.body.size() != *size_only : p.body != body) continue;
        e.returned = !planted(bug::return_ignored);
        return;
    }
}

// --- Time.

void publish_window::tick(steady_time now) {
    due_.clear();
    deadlines_.expire(now, due_);
    for (const std::uint32_t slot : due_) settle(slot, fate_of(entries_[slot]));
    retry_refused(now);
    judge_lateness(now);
    check_invariants();
}

// Late is who answers nothing at all. First a fresh channel; when that does not answer either, or does not even open,
// a fresh connection.
void publish_window::judge_lateness(steady_time now) {
    if (blocked_ || action_ != action::none) return;
    // A fresh channel has half the time: both together are to be over before a dead node has cost six seconds.
    const auto patience = late_ == 0 ? limits_.confirm_timeout
                                     : limits_.confirm_timeout / 2 * (1U << std::min(late_ - 1, late_doublings_max));
    if (open_) {
        if (in_flight_ == 0 || now - last_answer_ < patience) return;
    } else if (!reopened_late_at_ || pending_ == 0 || now - *reopened_late_at_ < patience) {
        return;
    }
    reopened_late_at_ = now;
    open_ = false;
    if (late_++ == 0) {
        ++counters_.reopened;
        ++counters_.reopened_late;
        action_ = action::reopen_late;
    } else {
        ++counters_.moved_on;
        action_ = action::next_url;
    }
}

milliseconds publish_window::next_tick(steady_time now) const {
    if (!retry_at_) return deadline_wheel::tick;
    const auto left = std::chrono::ceil<milliseconds>(*retry_at_ - now);
    return std::clamp(left, milliseconds(1), deadline_wheel::tick);
}

// --- Endings.

// Of what has waited until its deadline.
outcome publish_window::fate_of(const entry& e) noexcept {
    if (e.refused_at && e.where == state::again) return e.returned ? outcome::unroutable : outcome::rejected;
    return e.ever_sent ? outcome::unknown : outcome::unavailable;
}

void publish_window::settle(std::uint32_t slot, outcome result) {
    entry& e = entries_[slot];
    assert(e.where != state::free);
    if (result == outcome::confirmed) ++counters_.confirmed;
    if (result == outcome::unavailable || result == outcome::unknown) ++counters_.given_up;
    settled_.push_back({e.id, result, std::move(e.done)});
    deadlines_.disarm(slot);
    --pending_;
    pending_octets_ -= e.octets;
    if (limits_.pool) limits_.pool->used -= e.octets + pool_message_octets;
    const std::uint32_t key = e.key;
    if (e.where == state::waiting) {
        dequeue(slot);
    } else {
        // What is in flight keeps its place in the window: the broker still has it to answer.
        if (e.where == state::in_flight) flight_[static_cast<std::size_t>(e.tag - first_tag_)].slot = none;
        if (e.where == state::again) again_.erase(std::find(again_.begin(), again_.end(), slot));
        if (e.ordered) --keys_[key].unsettled;
    }
    e = {};
    free_entries_.push_back(slot);
    if (key != none) {
        take_turn(key);
        drop_if_unused(key);
    }
    if (pending_ > 0 || entries_.size() <= slots_kept) return;
    entries_.clear();
    free_entries_ = {};
    deadlines_.release();
}

void publish_window::check_invariants() const {
    assert(in_flight_ <= limits_.in_flight_limit);
    assert(in_flight_ <= flight_.size());
    assert(flight_.empty() || !flight_.front().answered);
    assert(waiting_ <= pending_ && pending_ <= limits_.pending_limit);
    assert(deadlines_.armed() == pending_);
    assert(entries_.size() == pending_ + free_entries_.size());
    assert(in_flight_ > 0 || in_flight_octets_ == 0);
    assert(waiting_ > 0 || waiting_keys_ == 0);
}

}  // namespace foz::amqp
