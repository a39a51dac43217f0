// What the store asks of whoever keeps its batches: whole or not at all, and read back.
#pragma once

#include "broker/core/storage.hpp"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace foz::broker {

// What becomes of one queue's log.
struct log_changes {
    std::vector<stored_entry> puts;  // by position; one without a message was removed again before it was written
    std::vector<position> removes;
    std::vector<std::pair<position, std::uint32_t>> returned;
    std::optional<position> remove_below;  // before everything else
    std::optional<std::string> note;
    bool erased = false;                // and nothing else is of interest
    log_summary summary;                // afterwards
    std::uint64_t transient_count = 0;  // of it, what is not there after a start
    std::uint64_t transient_bytes = 0;
};

// A body that has a file of its own (broker::message::body_file).
using body_number = std::uint32_t;

struct batch {
    commit_number number = 0;
    std::size_t durable_puts = 0;  // entries that have to survive
    bool durable = false;          // it has to be on disk: because of them or of something else
    std::map<std::string, std::optional<std::string>, std::less<>> definitions;  // without a value: removed
    std::map<queue_number, log_changes> logs;
    std::vector<body_number> doubtful;  // bodies that nothing may refer to

    bool empty() const noexcept { return definitions.empty() && logs.empty() && doubtful.empty(); }
};

// A log as it was when the process before ended.
struct recovered_log {
    log_summary summary;  // without what is transient
    std::string note;
};

struct read_limits {
    position end = 0;        // entries before it
    position stale_end = 0;  // of the entries before it transient ones do not count
    std::size_t count_max = 0;
    std::size_t bytes_max = 0;
};

struct read_entries {
    std::vector<stored_entry> entries;
    std::size_t bytes = 0;
    position end = 0;             // where to go on
    std::vector<position> stale;  // seen on the way: to be removed
    std::vector<position> lost;   // damaged
};

struct disk_error {
    std::string text;    // a sentence
    bool final = false;  // trying again does not help
};

// apply() is called on one thread, everything else on another one, at the same time, if it does not say otherwise.
class engine {
public:
    virtual ~engine() = default;

    // On disk when it returns, if it is durable. After an error nothing of it is there. True: there is more to tidy up,
    // and another call, if only with an empty batch, is welcome.
    virtual std::expected<bool, disk_error> apply(const batch& what) = 0;

    // After apply(), on its thread: bodies that nothing on disk refers to any more, whatever happens to the machine;
    // each told once.
    virtual std::vector<body_number> unreferenced() { return {}; }

    // Bodies that are there at the start, or that entries refer to: their numbers are not used for others.
    virtual std::vector<body_number> bodies() { return {}; }
    // On a third thread, at the same time as anything else. On disk when it returns; after an error nothing is there,
    // and the body goes with its entry when the error is final.
    virtual std::expected<void, disk_error> keep_body(body_number, std::string_view) {
        return std::unexpected(disk_error{.text = "this engine keeps no bodies", .final = true});
    }
    virtual void remove_body(body_number) {}

    // Stops behind the entry with which a maximum is reached.
    virtual std::expected<read_entries, disk_error> read(queue_number queue, position from,
                                                         const read_limits& limits) = 0;
    // Damaged ones are left out: the result says how many.
    virtual std::expected<std::size_t, disk_error> definitions(
        const std::function<void(std::string_view key, std::string_view value)>& each) = 0;
    virtual std::expected<std::size_t, disk_error> logs(
        const std::function<void(queue_number queue, const recovered_log& log)>& each) = 0;
};

}  // namespace foz::broker
