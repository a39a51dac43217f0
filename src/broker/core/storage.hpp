// What the model asks of a storage. The one on disk is in broker/store.
#pragma once

#include "broker/core/message.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace foz::broker {

// An entry's place in its queue: entries are numbered as they arrive, from 0, and no number is used twice.
using position = std::uint64_t;
// Of a queue; never used twice.
using queue_number = std::uint64_t;
// Commits are counted. What waits for commit n is durable once committed() is n or more; 0 is durable always.
using commit_number = std::uint64_t;

struct stored_entry {
    position at = 0;
    message_ref what;
    std::int64_t arrived_ms = 0;  // since 1970
    std::uint32_t returns = 0;    // times that it came back from a consumer
    bool transient = false;       // it is in the log to keep memory small, and not there after a start
};

// What a log has from a position on.
struct log_page {
    std::vector<stored_entry> entries;  // in order
    position end = 0;                   // where the next page begins
    std::uint64_t lost = 0;  // entries on the way that are damaged: they are in no page, and not counted any more
};

// What is known of a queue without reading its entries.
struct log_summary {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;  // of their bodies
    position next = 0;        // of the next entry
    // Entries from here on were never given to a consumer. After a start it is `next`, unless the process before has
    // ended in good order: nobody knows then what was on its way to whom.
    position delivered_end = 0;
    std::int64_t last_ms = 0;  // when the last one arrived, since 1970
};

// The entries of one queue. Destroying it leaves them where they are.
class queue_log {
public:
    virtual ~queue_log() = default;

    // Positions grow from call to call.
    virtual void put(const stored_entry& entry) = 0;
    // Each entry at most once; a remove() of what is not committed yet may save both writes.
    virtual void remove(const stored_entry& gone) = 0;
    // All entries before `end`: so many, of so many octets.
    virtual void remove_below(position end, std::uint64_t count, std::uint64_t bytes) = 0;
    // The entry, which is there, has come back so many times.
    virtual void returned(position at, std::uint32_t returns) = 0;
    virtual void delivered(position at) = 0;
    // All entries, and the queue with them.
    virtual void erase() = 0;

    // Entries from `from` on, in order, committed or not; at least one if there is one, and no more when `count_max` or
    // about `bytes_max` is reached.
    // Without entries: there are none.
    virtual log_page read(position from, std::size_t count_max, std::size_t bytes_max) = 0;
    // So many entries are counted and can't be found.
    virtual void missing(std::uint64_t count) = 0;
    virtual const log_summary& summary() const noexcept = 0;

    // A few octets of the queue's own, replaced whole; empty at first.
    virtual void set_note(std::string note) = 0;
    virtual const std::string& note() const noexcept = 0;
};

// Lives on the broker's shard. What is asked for becomes durable in the order of the calls, many of them in one commit.
class storage {
public:
    virtual ~storage() = default;

    // Small records that are replaced whole: exchanges, queues, bindings.
    virtual void put_definition(std::string key, std::string value) = 0;
    virtual void remove_definition(std::string key) = 0;
    // At start, until erase_unopened(): each of them, in the order of their keys.
    virtual void definitions(const std::function<void(std::string_view key, std::string_view value)>& each) = 0;

    // The log with that number; a new one when there is none. One that is not durable is empty after a start.
    virtual std::unique_ptr<queue_log> open(queue_number number, bool durable) = 0;
    // At start: logs that no queue has opened are erased.
    virtual void erase_unopened() = 0;

    // Whether a body of that size is to be on disk before its message is put anywhere: so large that a commit with it
    // would hold up everybody's.
    virtual bool stages(std::size_t) const noexcept { return false; }
    // `done` is called when it is, later, and what is put in it refers to the body that is there.
    virtual void stage(const message_ref&, std::function<void()> done) { done(); }

    // The commit that what was asked for until now will be part of.
    virtual commit_number pending_commit() const noexcept = 0;
    virtual commit_number committed() const noexcept = 0;
};

}  // namespace foz::broker
