#include "broker/core/work_queue.hpp"

#include <algorithm>
#include <utility>

namespace foz::broker {
namespace {

constexpr std::size_t page_count = 512;
constexpr std::size_t page_bytes = 1 << 20;
// Below it nobody is asked.
constexpr std::size_t window_bytes_min = 64 << 10;

}  // namespace

void work_queue::recover() {
    const log_summary& known = log_->summary();
    next_ = known.next;
    paged_count_ = known.count;
    paged_from_ = 0;
    paged_bytes_ = known.bytes;
    if (paged_count_ > 0) page_in(1);
    // What has expired meanwhile, or is over a limit that a policy has lowered, goes when the alarm rings: its dead
    // letters need queues and bindings that are not there yet.
    set_alarm();
    if (over_limit(ready_count(), ready_bytes_ + paged_bytes_)) around_.set_alarm(*this, around_.now_ms());
}

bool work_queue::over_limit(std::uint64_t count, std::uint64_t bytes) const noexcept {
    return (settings().length_max && count > *settings().length_max) ||
           (settings().bytes_max && bytes > *settings().bytes_max);
}

std::int64_t work_queue::expires_at(const message& what, std::int64_t arrived_ms) const noexcept {
    auto ttl = settings().message_ttl;
    if (const auto own = what.expiration(); own && (!ttl || *own < *ttl)) ttl = own;
    return ttl ? arrived_ms + ttl->count() : 0;
}

accepted work_queue::publish(const message_ref& what) {
    if (settings().when_full != overflow::drop_head &&
        over_limit(ready_count() + 1, ready_bytes_ + paged_bytes_ + what->body().size())) {
        if (settings().when_full == overflow::reject_publish_dlx)
            around_.dead_letter(*this, {.what = what}, death::maxlen);
        return accepted::no;
    }
    ++counters_.published;
    entry made{.what = what, .at = next_++, .arrived_ms = around_.now_ms()};
    made.expires_ms = expires_at(*what, made.arrived_ms);
    if (keeps(*what)) {
        made.stored = true;
        log_->put({.at = made.at, .what = what, .arrived_ms = made.arrived_ms});
    }
    if (ready_count() == 0) {
        if (consumer* const taker = next_taker()) {
            hand_to(*taker, std::move(made));
            return accepted::yes;
        }
    }
    append(std::move(made));
    if (ready_.size() == 1) on_alarm();
    drop_over_limit();
    return accepted::yes;
}

void work_queue::append(entry made) {
    const std::size_t bytes = made.what->body().size();
    // What the log has anyway need not be in memory before somebody wants it.
    const std::size_t most = made.stored && consumer_count() == 0 ? window_unattended_count : window_count;
    const bool window_full =
        ready_.size() >= most || (ready_bytes_ >= window_bytes_min && ready_bytes_ >= around_.memory_share());
    if (log_ && (paged_count_ > 0 || window_full)) {
        if (!made.stored)
            log_->put({.at = made.at, .what = made.what, .arrived_ms = made.arrived_ms, .transient = true});
        if (paged_count_++ == 0) paged_from_ = made.at;
        paged_bytes_ += bytes;
        return;
    }
    ready_bytes_ += bytes;
    ready_.push_back(std::move(made));
}

bool work_queue::transient(const message& what) const noexcept {
    const queue_flags& is = identity_.flags;
    return !is.durable || is.exclusive || (!what.persistent() && !quorum());
}

void work_queue::page_in(std::size_t count_max) {
    if (paged_count_ == 0) return;
    log_page page = log_->read(paged_from_, count_max, std::min(page_bytes, around_.memory_share()));
    paged_count_ -= std::min(paged_count_, page.entries.size() + page.lost);
    paged_from_ = page.end;
    for (stored_entry& one : page.entries) {
        entry made{.what = std::move(one.what), .at = one.at, .arrived_ms = one.arrived_ms, .returns = one.returns};
        made.expires_ms = expires_at(*made.what, made.arrived_ms);
        made.redelivered = made.returns > 0 || made.at < log_->summary().delivered_end;
        made.stored = true;
        const std::size_t bytes = made.what->body().size();
        ready_bytes_ += bytes;
        paged_bytes_ -= std::min(paged_bytes_, bytes);
        ready_.push_back(std::move(made));
    }
    if (page.entries.empty() && paged_count_ > 0) log_->missing(std::exchange(paged_count_, 0));
    if (paged_count_ == 0) paged_bytes_ = 0;
}

entry* work_queue::head() {
    if (!returned_.empty()) return &returned_.front();
    if (ready_.empty()) page_in(page_count);
    return ready_.empty() ? nullptr : &ready_.front();
}

entry work_queue::pop_head() {
    std::deque<entry>& from = returned_.empty() ? ready_ : returned_;
    entry taken = std::move(from.front());
    from.pop_front();
    ready_bytes_ -= taken.what->body().size();
    return taken;
}

void work_queue::forget(const entry& gone) {
    if (gone.stored && log_) log_->remove({.at = gone.at, .what = gone.what, .transient = transient(*gone.what)});
}

void work_queue::hand_to(consumer& who, entry taken) {
    ++counters_.delivered;
    if (who.no_ack) {
        forget(taken);
    } else {
        ++unacked_count_;
        if (taken.stored && !taken.redelivered) log_->delivered(taken.at);
    }
    who.take(shared_from_this(), std::move(taken));
}

consumer* work_queue::next_taker() {
    if (starved_) return nullptr;
    if (settings().single_active) {
        if (active_ && active_->can_take()) return active_;
        starved_ = true;
        return nullptr;
    }
    const auto taker = std::ranges::find_if(consumers_, [](const consumer* who) { return who->can_take(); });
    if (taker == consumers_.end()) {
        starved_ = true;
        return nullptr;
    }
    consumer* const chosen = *taker;
    auto end = taker + 1;
    while (end != consumers_.end() && (*end)->priority == chosen->priority) ++end;
    std::rotate(taker, taker + 1, end);
    return chosen;
}

void work_queue::deliver() {
    if (gone()) return;
    drop_expired();
    drop_over_limit();  // what has come back counts too
    for (;;) {
        drop_expired();
        if (!head()) break;
        consumer* const taker = next_taker();
        if (!taker) break;
        hand_to(*taker, pop_head());
    }
    set_alarm();
}

void work_queue::wake(consumer& who) {
    if (gone()) return;
    if (settings().single_active && active_ != &who) return;
    starved_ = false;
    deliver();
}

result<std::optional<entry>> work_queue::get(bool no_ack) {
    touch();
    drop_expired();
    if (!head()) return std::optional<entry>();
    entry taken = pop_head();
    ++counters_.delivered;
    if (no_ack) {
        forget(taken);
    } else {
        ++unacked_count_;
        if (taken.stored && !taken.redelivered) log_->delivered(taken.at);
    }
    set_alarm();
    return std::optional(std::move(taken));
}

result<std::size_t> work_queue::purge() {
    const std::size_t count = ready_count();
    while (head()) forget(pop_head());
    set_alarm();
    return count;
}

void work_queue::ack(const entry& settled) {
    if (gone()) return;
    --unacked_count_;
    ++counters_.acknowledged;
    forget(settled);
}

bool work_queue::come_back(entry& returned) {
    --unacked_count_;
    ++counters_.returned;
    returned.redelivered = true;
    ++returned.returns;
    if (!quorum() || !settings().delivery_limit || returned.returns <= *settings().delivery_limit) return true;
    forget(returned);
    around_.dead_letter(*this, std::move(returned), death::delivery_limit);
    return false;
}

void work_queue::give_back(entry returned) {
    if (gone() || !come_back(returned)) return;
    ready_bytes_ += returned.what->body().size();
    if (quorum()) {
        if (returned.stored) log_->returned(returned.at, returned.returns);
        const auto place = settings().single_active ? std::ranges::upper_bound(returned_, returned.at, {}, &entry::at)
                                                    : returned_.end();
        returned_.insert(place, std::move(returned));
    } else {
        ready_.insert(std::ranges::upper_bound(ready_, returned.at, {}, &entry::at), std::move(returned));
    }
}

void work_queue::requeue(entry returned) {
    if (!quorum() || settings().delivery_limit) return give_back(std::move(returned));
    if (gone() || !come_back(returned)) return;
    forget(returned);
    returned.at = next_++;
    log_->put(
        {.at = returned.at, .what = returned.what, .arrived_ms = returned.arrived_ms, .returns = returned.returns});
    log_->returned(returned.at, returned.returns);
    returned.stored = true;
    append(std::move(returned));
}

void work_queue::reject(entry rejected) {
    if (gone()) return;
    --unacked_count_;
    forget(rejected);
    around_.dead_letter(*this, std::move(rejected), death::rejected);
}

void work_queue::drop_expired() {
    for (;;) {
        entry* const first = head();
        if (!first || first->expires_ms == 0 || first->expires_ms > around_.now_ms()) return;
        entry dead = pop_head();
        forget(dead);
        around_.dead_letter(*this, std::move(dead), death::expired);
    }
}

void work_queue::drop_over_limit() {
    bool dropped = false;
    while (settings().when_full == overflow::drop_head && over_limit(ready_count(), ready_bytes_ + paged_bytes_) &&
           head()) {
        entry dead = pop_head();
        forget(dead);
        around_.dead_letter(*this, std::move(dead), death::maxlen);
        dropped = true;
    }
    if (dropped) set_alarm();
}

void work_queue::set_alarm() {
    const entry* const first = head();
    const std::int64_t message_ms = first ? first->expires_ms : 0;
    const std::int64_t queue_ms = expiry_ms();
    const bool both = message_ms != 0 && queue_ms != 0;
    around_.set_alarm(*this, both ? std::min(message_ms, queue_ms) : std::max(message_ms, queue_ms));
}

void work_queue::on_alarm() {
    if (gone()) return;
    if (const std::int64_t at = expiry_ms(); at != 0 && at <= around_.now_ms()) return around_.remove_soon(*this);
    drop_expired();
    drop_over_limit();
    set_alarm();
}

result<void> work_queue::check_consume(const consumer& who, const consume_options&) {
    if (who.exclusive && settings().single_active)
        return refuse(amqp::reply_code::access_refused, described() + " in exclusive use");
    return {};
}

void work_queue::on_consumer(consumer& who, const consume_options&) {
    if (settings().single_active && !active_) active_ = &who;
    starved_ = false;
}

void work_queue::on_consumer_left(consumer& who) {
    if (active_ != &who) return;
    active_ = consumers_.empty() ? nullptr : consumers_.front();
    starved_ = false;
    deliver();
}

void work_queue::drop_all() {
    returned_.clear();
    ready_.clear();
    ready_bytes_ = paged_bytes_ = paged_count_ = unacked_count_ = 0;
    active_ = nullptr;
}

}  // namespace foz::broker
