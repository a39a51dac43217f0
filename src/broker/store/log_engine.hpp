// Batches as records, whatever engine keeps these. Entries that a queue is given in one batch lie together in chunks:
// the engine sees one record for many small messages, and writing a chunk that is never changed costs it least.
#pragma once

#include "broker/store/body_files.hpp"
#include "broker/store/engine.hpp"
#include "broker/store/kv.hpp"
#include "broker/store/records.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace foz::broker {

struct chunk_limits {
    std::size_t bytes = 64 << 10;  // a larger message is alone in its chunk
    std::uint32_t span = 2'048;
};

class log_engine final : public engine {
public:
    // `bodies`: where large ones have files, if anywhere; those that nothing refers to are removed. Throws kv_failure.
    explicit log_engine(std::unique_ptr<kv> records, std::optional<body_files> bodies = {},
                        const chunk_limits& limits = {});

    std::expected<bool, disk_error> apply(const batch& what) override;
    std::expected<read_entries, disk_error> read(queue_number queue, position from, const read_limits& limits) override;
    std::expected<std::size_t, disk_error> definitions(
        const std::function<void(std::string_view key, std::string_view value)>& each) override;
    std::expected<std::size_t, disk_error> logs(
        const std::function<void(queue_number queue, const recovered_log& log)>& each) override;
    std::vector<body_number> unreferenced() override;
    std::vector<body_number> bodies() override;
    std::expected<void, disk_error> keep_body(body_number number, std::string_view body) override;
    void remove_body(body_number number) override;

private:
    // A change of the references, which holds when its transaction does.
    struct reference {
        std::string place;
        body_number to = 0;
        bool added = false;
    };

    void find_last_chunk();
    void find_bodies();
    // False: a row is damaged.
    bool read_references();
    // From the entries themselves, which takes a look at each. False: one of them is damaged, too.
    bool rebuild_references();
    void write_references();
    void refer(const std::string& place, body_number to);
    void settle_references(const std::vector<body_number>& doubtful, bool durable);
    void apply(kv_change& in, queue_number queue, const log_changes& changes);
    void put(kv_change& in, queue_number queue, const std::vector<stored_entry>& entries);
    void settle(kv_change& in, queue_number queue, const log_changes& changes);
    // Entries before `end`, of so many chunks at most; how many it were.
    std::size_t remove_below(kv_change& in, queue_number queue, position end, std::size_t chunks_max);
    // True: there is more.
    bool trim(kv_change& in);
    static log_record rebuilt(kv_look& in, queue_number queue);
    void erase_place(kv_change& in, std::string_view key);
    void store_place(kv_change& in, std::string_view key, const place& what);
    // False: a maximum is reached.
    bool read_chunk(kv_look& in, const place_address& where, const place& what, position from,
                    const read_limits& limits, read_entries& out) const;
    // Nothing when it is damaged; throws kv_failure when nobody knows.
    std::optional<stored_entry> entry_of(const chunk_reader& chunk, const chunk_reader::head& head) const;

    const std::unique_ptr<kv> records_;
    const std::optional<body_files> files_;
    const chunk_limits limits_;
    std::uint64_t last_chunk_ = 0;
    std::map<queue_number, std::string> notes_;
    std::map<queue_number, position> trimmed_;                 // what is before it goes, a few chunks at a time
    std::unordered_map<std::string, body_number> outside_;     // places whose entry's body has a file
    std::unordered_map<body_number, std::size_t> references_;  // places that name it
    std::vector<reference> changed_references_;                // by the transaction that is open
    bool all_known_ = true;                                    // otherwise no file is removed
    std::set<body_number> unreferenced_;                       // and that is not on disk yet
    std::vector<body_number> free_;                            // it is
};

}  // namespace foz::broker
