// What a storage engine has to do: take batches whole or not at all, and read.
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
    bool erased = false;                   // and nothing else is of interest
    log_summary summary;                   // afterwards
};

struct batch {
    commit_number number = 0;
    std::map<std::string, std::optional<std::string>, std::less<>> definitions;  // without a value: removed
    std::map<queue_number, log_changes> logs;

    bool empty() const noexcept { return definitions.empty() && logs.empty(); }
};

// apply() is called on one thread, everything else on another one, at the same time.
class engine {
public:
    virtual ~engine() = default;

    // Durable when it returns. The error is a sentence; nothing of the batch is there then.
    virtual std::expected<void, std::string> apply(const batch& what) = 0;

    // Entries from `from` to before `end`, in order; stops behind the one with which a maximum is reached.
    virtual std::vector<stored_entry> read(queue_number queue, position from, position end, std::size_t count_max,
                                           std::size_t bytes_max) = 0;
    virtual void definitions(const std::function<void(std::string_view key, std::string_view value)>& each) = 0;
    virtual void summaries(const std::function<void(queue_number queue, const log_summary& summary)>& each) = 0;
};

}  // namespace foz::broker
