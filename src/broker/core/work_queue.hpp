// A queue whose messages are taken away: classic and quorum queues.
#pragma once

#include "broker/core/queue.hpp"

#include <deque>

namespace foz::broker {

// Ready entries are in memory up to its share of it, and few of those that are stored while nobody consumes the queue;
// what comes behind them is in the log alone and is read as those before it go. An entry that comes back goes to its
// old place.
class work_queue final : public queue {
public:
    static constexpr std::size_t window_count = 16'384;
    static constexpr std::size_t window_unattended_count = 1'024;

    using queue::queue;

    void recover() override;
    accepted publish(const message_ref& what) override;
    bool keeps(const message& what) const noexcept override { return log_ && !transient(what); }
    std::size_t ready_count() const noexcept override { return returned_.size() + ready_.size() + paged_count_; }
    std::size_t unacked_count() const noexcept override { return unacked_count_; }
    std::uint64_t message_count() const noexcept override { return ready_count() + unacked_count_; }
    std::uint64_t message_bytes() const noexcept override { return ready_bytes_ + paged_bytes_; }
    void wake(consumer& who) override;
    result<std::optional<entry>> get(bool no_ack) override;
    result<std::size_t> purge() override;
    void ack(const entry& settled) override;
    void give_back(entry returned) override;
    void requeue(entry returned) override;
    void reject(entry rejected) override;
    void deliver() override;
    void on_alarm() override;

private:
    result<void> check_consume(const consumer& who, const consume_options& options) override;
    void on_consumer(consumer& who, const consume_options& options) override;
    void on_consumer_left(consumer& who) override;
    void drop_all() override;

    bool quorum() const noexcept { return settings().kind == queue_kind::quorum; }
    bool over_limit(std::uint64_t count, std::uint64_t bytes) const noexcept;
    std::int64_t expires_at(const message& what, std::int64_t arrived_ms) const noexcept;
    // Whom the next entry goes to, or null. It moves behind the others of its priority.
    consumer* next_taker();
    // The first ready entry, read from the log if need be; null when there is none.
    entry* head();
    entry pop_head();
    void append(entry made);
    // Counts the return; false when it was one too many and the entry has gone.
    bool come_back(entry& returned);
    // So many entries at most, and at least one if there is one.
    void page_in(std::size_t count_max);
    // The message does not survive the process: it is in the log only to keep memory small.
    bool transient(const message& what) const noexcept;
    void forget(const entry& gone);  // of the log
    void hand_to(consumer& who, entry taken);
    void drop_expired();
    void drop_over_limit();
    void set_alarm();

    // Of a quorum queue: what came back, in that order; it goes out before everything else.
    std::deque<entry> returned_;
    std::deque<entry> ready_;  // by position
    std::size_t ready_bytes_ = 0;
    // Entries that are in the log alone: all from paged_from_ on.
    std::size_t paged_count_ = 0;
    std::size_t paged_bytes_ = 0;
    position paged_from_ = 0;
    position next_ = 0;
    std::size_t unacked_count_ = 0;
    consumer* active_ = nullptr;  // of a queue with a single active consumer
    bool starved_ = false;        // no consumer can take: nobody is asked until one says that it can
};

}  // namespace foz::broker
