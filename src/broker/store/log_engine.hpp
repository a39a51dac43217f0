// Batches as records, whatever engine keeps these. Entries that a queue is given in one batch lie together in chunks:
// the engine sees one record for many small messages, and writing a chunk that is never changed costs it least.
#pragma once

#include "broker/store/engine.hpp"
#include "broker/store/kv.hpp"
#include "broker/store/records.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace foz::broker {

struct chunk_limits {
    std::size_t bytes = 64 << 10;  // a larger message is alone in its chunk
    std::uint32_t span = 2'048;
};

class log_engine final : public engine {
public:
    // Throws kv_failure.
    explicit log_engine(std::unique_ptr<kv> records, const chunk_limits& limits = {});

    std::expected<bool, disk_error> apply(const batch& what) override;
    std::expected<read_entries, disk_error> read(queue_number queue, position from, const read_limits& limits) override;
    std::expected<std::size_t, disk_error> definitions(
        const std::function<void(std::string_view key, std::string_view value)>& each) override;
    std::expected<std::size_t, disk_error> logs(
        const std::function<void(queue_number queue, const recovered_log& log)>& each) override;

private:
    void apply(kv_change& in, queue_number queue, const log_changes& changes);
    void put(kv_change& in, queue_number queue, const std::vector<stored_entry>& entries);
    void settle(kv_change& in, queue_number queue, const log_changes& changes);
    // Entries before `end`, of so many chunks at most; how many it were.
    static std::size_t remove_below(kv_change& in, queue_number queue, position end, std::size_t chunks_max);
    // True: there is more.
    bool trim(kv_change& in);
    static log_record rebuilt(kv_look& in, queue_number queue);
    static void store_place(kv_change& in, std::string_view key, const place& what);
    // False: a maximum is reached.
    static bool read_chunk(kv_look& in, const place_address& where, const place& what, position from,
                           const read_limits& limits, read_entries& out);

    const std::unique_ptr<kv> records_;
    const chunk_limits limits_;
    std::uint64_t last_chunk_ = 0;
    std::map<queue_number, std::string> notes_;
    std::map<queue_number, position> trimmed_;  // what is before it goes, a few chunks at a time
};

}  // namespace foz::broker
