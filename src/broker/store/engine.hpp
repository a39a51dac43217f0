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

struct batch {
    commit_number number = 0;
    std::size_t durable_puts = 0;  // entries that have to survive
    bool durable = false;          // it has to be on disk: because of them or of something else
    std::map<std::string, std::optional<std::string>, std::less<>> definitions;  // without a value: removed
    std::map<queue_number, log_changes> logs;

    bool empty() const noexcept { return definitions.empty() && logs.empty(); }
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

// apply() is called on one thread, everything else on another one, at the same time.
class engine {
public:
    virtual ~engine() = default;

    // On disk when it returns, if it is durable. After an error nothing of it is there. True: there is more to tidy up,
    // and another call, if only with an empty batch, is welcome.
    virtual std::expected<bool, disk_error> apply(const batch& what) = 0;

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
