// A queue that keeps its messages: any number of consumers read it, each from where it likes (RabbitMQ's streams, as
// AMQP 0-9-1 shows them).
#pragma once

#include "broker/core/queue.hpp"

#include <deque>
#include <unordered_map>

namespace foz::broker {

// An entry's position is its offset. Entries can be read once they are durable, in order and without holes. The newest
// ones are kept in memory, `recent_bytes` of them; older ones are read from the log, a page for each reader.
// Retention drops whole segments; the newest one always stays.
class stream final : public queue {
public:
    static constexpr std::size_t recent_bytes = 4 << 20;  // at most

    using queue::queue;

    void recover() override;
    accepted publish(const message_ref& what) override;
    bool keeps(const message&) const noexcept override { return true; }
    // As RabbitMQ's passive declare says of streams.
    std::size_t ready_count() const noexcept override { return 0; }
    std::size_t unacked_count() const noexcept override { return 0; }
    std::uint64_t message_count() const noexcept override { return visible_end_ - first_; }
    std::uint64_t message_bytes() const noexcept override { return bytes_; }
    void wake(consumer& who) override;
    result<std::optional<entry>> get(bool no_ack) override;
    result<std::size_t> purge() override;
    void ack(const entry&) override { ++counters_.acknowledged; }
    void give_back(entry) override {}
    void reject(entry) override {}
    void deliver() override;
    void on_alarm() override;
    void on_committed(commit_number committed) override;

    position first() const noexcept { return first_; }
    position end() const noexcept { return visible_end_; }

private:
    struct reader {
        position next = 0;
        std::deque<stored_entry> page;  // read from the log, beginning at `next`
    };
    struct uncommitted {
        commit_number commit;
        position end;
    };
    struct segment {
        position first;
        std::uint64_t count;
        std::uint64_t bytes;
        std::int64_t last_ms;
    };

    result<void> check_consume(const consumer& who, const consume_options& options) override;
    void on_consumer(consumer& who, const consume_options& options) override;
    void on_consumer_left(consumer& who) override;
    void drop_all() override;

    void pump(consumer& who, reader& state);
    // The entry at state.next; nothing when it can't be read.
    std::optional<stored_entry> next_of(reader& state);
    position offset_of(const amqp::field_value* wish);
    position first_at_or_after(std::int64_t arrived_ms);
    // Of the segments, for the log.
    void write_note();
    // False: it is none.
    bool read_note(std::string_view note);
    void count_in(std::uint64_t bytes, std::int64_t arrived_ms);
    void retain(std::uint64_t slack_bytes = 0);

    std::deque<stored_entry> recent_;
    std::size_t recent_bytes_ = 0;
    std::deque<segment> segments_;
    std::uint64_t bytes_ = 0;  // of all segments
    std::deque<uncommitted> uncommitted_;
    position first_ = 0;
    position visible_end_ = 0;  // what comes from here on is not durable yet
    position next_ = 0;
    std::unordered_map<consumer*, reader> readers_;
};

}  // namespace foz::broker
