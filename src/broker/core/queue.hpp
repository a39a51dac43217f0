// A queue as everyone but itself sees it: identity, consumers, and what can be done with it.
#pragma once

#include "amqp/codec/field_table.hpp"
#include "broker/core/arguments.hpp"
#include "broker/core/message.hpp"
#include "broker/core/refusal.hpp"
#include "broker/core/storage.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace foz::broker {

class queue;

// Who holds exclusive queues and consumers: a connection of the front. 0 is nobody.
using owner_id = std::uint64_t;

// A message in a queue.
struct entry {
    message_ref what;
    position at = 0;
    std::int64_t arrived_ms = 0;  // since 1970
    std::int64_t expires_ms = 0;  // since 1970; 0: never
    std::uint32_t returns = 0;    // times that it came back
    bool redelivered = false;
    bool stored = false;  // the queue's log has it
};

// A subscription. Owned by the front; it leaves the queue (queue::cancel) before it goes, unless the queue goes first.
class consumer {
public:
    // Whether take() may be called: prefetch, a full socket. Once it was false and has become true again, the consumer
    // tells its queue (queue::wake).
    virtual bool can_take() const noexcept = 0;
    // `taken` is the consumer's until it is settled; with no_ack it already is.
    virtual void take(const std::shared_ptr<queue>& from, entry taken) = 0;
    // The queue has gone.
    virtual void on_queue_gone() = 0;

    bool no_ack = false;
    bool exclusive = false;
    int priority = 0;
    owner_id owner = 0;

protected:
    ~consumer() = default;
};

struct consume_options {
    const amqp::field_value* stream_offset = nullptr;  // the argument x-stream-offset
};

enum class death : std::uint8_t { rejected, expired, maxlen, delivery_limit };

// What a queue needs of those around it. Lives as long as the broker.
class surroundings {
public:
    virtual std::int64_t now_ms() const = 0;  // since 1970
    // The entry is not in the queue any more. May publish to any queue, this one included.
    virtual void dead_letter(queue& from, entry dead, death why) = 0;
    // Calls queue::on_alarm at that time or soon after; replaces what was asked for before; 0: not at all.
    virtual void set_alarm(queue& whose, std::int64_t at_ms) = 0;
    // Deletes the queue as soon as nothing of it is being called.
    virtual void remove_soon(queue& gone) = 0;
    virtual const storage& disk() const = 0;
    // What one queue may keep in memory of what its log has too, or could have.
    virtual std::size_t memory_share() const = 0;
    // queue::on_committed is called after that commit.
    virtual void await_commit(queue& waiting, commit_number commit) = 0;

protected:
    ~surroundings() = default;
};

struct queue_identity {
    std::string vhost;
    std::string name;
    queue_number number = 0;
    queue_flags flags;
    owner_id owner = 0;  // of an exclusive one
    amqp::table arguments;
    queue_settings settings;
};

enum class accepted : bool { no, yes };

// Since the start.
struct queue_counters {
    std::uint64_t published = 0;
    std::uint64_t delivered = 0;     // to consumers and by basic.get, repetitions included
    std::uint64_t acknowledged = 0;  // what needs no acknowledgement is not counted
    std::uint64_t returned = 0;      // came back to be delivered again
    std::uint64_t died = 0;          // became dead letters
};

// Lives on the broker's shard. After gone() everything that is still asked of it does nothing: a channel may hold it
// longer than its virtual host does.
class queue : public std::enable_shared_from_this<queue> {
public:
    queue(queue_identity identity, surroundings& around, std::unique_ptr<queue_log> log);
    virtual ~queue() = default;
    queue(const queue&) = delete;
    queue& operator=(const queue&) = delete;

    const queue_identity& identity() const noexcept { return identity_; }
    const std::string& name() const noexcept { return identity_.name; }
    const queue_settings& settings() const noexcept { return identity_.settings; }
    std::string described() const;  // "queue 'q' in vhost '/'"
    bool gone() const noexcept { return gone_; }

    // After a start: takes up what its log holds.
    virtual void recover() = 0;
    // `no`: it is full and told to reject.
    virtual accepted publish(const message_ref& what) = 0;
    // Whether it would be there after a start.
    virtual bool keeps(const message& what) const noexcept = 0;
    virtual std::size_t ready_count() const noexcept = 0;
    virtual std::size_t unacked_count() const noexcept = 0;
    // All that it holds; octets of the bodies that are ready, of a stream all that it keeps for its messages.
    virtual std::uint64_t message_count() const noexcept = 0;
    virtual std::uint64_t message_bytes() const noexcept = 0;
    const queue_counters& counters() const noexcept { return counters_; }
    void count_death() noexcept { ++counters_.died; }

    // A first check of the subscription; then it is one.
    result<void> consume(consumer& who, const consume_options& options);
    void cancel(consumer& who);
    std::size_t consumer_count() const noexcept { return consumers_.size(); }
    // The consumer can take again.
    virtual void wake(consumer& who) = 0;

    virtual result<std::optional<entry>> get(bool no_ack) = 0;
    virtual result<std::size_t> purge() = 0;
    virtual void ack(const entry& settled) = 0;
    // To be delivered again: its consumer has gone. A classic queue puts it back in its old place, a quorum queue
    // behind what has come back before, in front of all others. Several may come back before one deliver().
    virtual void give_back(entry returned) = 0;
    // The same, but its consumer does not want it now: a quorum queue without a delivery limit puts it at its end, lest
    // it be in the way for ever.
    virtual void requeue(entry returned) { give_back(std::move(returned)); }
    virtual void reject(entry rejected) = 0;
    // Hands out what there is to those who can take it.
    virtual void deliver() = 0;

    virtual void on_alarm() = 0;
    virtual void on_committed(commit_number) {}

    // It was used: an unused one may expire.
    void touch();
    // Deleted: its entries are dropped, its consumers told.
    void remove();

    // Scratch of the routing: which publish has reached this queue last.
    std::uint64_t routed = 0;

protected:
    virtual result<void> check_consume(const consumer& who, const consume_options& options) = 0;
    virtual void on_consumer(consumer& who, const consume_options& options) = 0;
    virtual void on_consumer_left(consumer& who) = 0;
    virtual void drop_all() = 0;

    // The time at which an unused queue expires; 0: never, or it is in use.
    std::int64_t expiry_ms() const noexcept;

    queue_identity identity_;
    surroundings& around_;
    std::unique_ptr<queue_log> log_;
    queue_counters counters_;
    std::vector<consumer*> consumers_;  // by priority, highest first; within one priority whose turn it is first

private:
    std::int64_t used_ms_ = 0;
    bool gone_ = false;
};

}  // namespace foz::broker
