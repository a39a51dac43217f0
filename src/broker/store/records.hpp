// How the store's records look, whatever engine keeps them. Numbers are big-endian; each record begins with 32 bits of
// XXH3 over the rest of it and its key, so that what has changed on disk, or lies in the wrong place, is noticed.
//
//   definitions  the model's key              → what the model wants
//   logs         queue                        → numbers of the queue, its note
//   places       queue, first position        → which chunk, and what has happened to its entries since
//   chunks       a number that only grows     → entries that were put in one batch; never changed
//   bodies       queue, position              → which file has the body of the entry there, alone in its chunk
#pragma once

#include "broker/store/engine.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace foz::broker {

std::string seal(std::string_view key, std::string_view value);
// What was sealed; nothing when it is damaged.
std::optional<std::string_view> unseal(std::string_view key, std::string_view record);

std::string number_key(std::uint64_t number);
std::string place_key(queue_number queue, position first);
struct place_address {
    queue_number queue = 0;
    position first = 0;
};
std::optional<place_address> read_place_key(std::string_view key);

std::string write_body_number(std::string_view key, body_number number);
std::optional<body_number> read_body_number(std::string_view key, std::string_view record);

std::string write_log(queue_number queue, const log_changes& changes, std::string_view note);
struct log_record {
    log_summary summary;
    std::uint64_t transient_count = 0;
    std::uint64_t transient_bytes = 0;
    std::string note;
};
std::optional<log_record> read_log(queue_number queue, std::string_view record);

// The entries of a chunk, by their distance from the first one.
struct place {
    std::uint64_t chunk = 0;
    std::uint32_t span = 0;                                        // the last one's distance + 1
    std::uint32_t live = 0;                                        // entries that are still there
    std::vector<bool> gone;                                        // empty: none
    std::vector<std::pair<std::uint32_t, std::uint32_t>> returns;  // by distance

    bool has_gone(std::uint32_t distance) const { return distance < gone.size() && gone[distance]; }
    // Whether it was there.
    bool remove(std::uint32_t distance);
    std::uint32_t returns_of(std::uint32_t distance) const;
    void set_returns(std::uint32_t distance, std::uint32_t times);
};
std::string write_place(std::string_view key, const place& what);
std::optional<place> read_place(std::string_view key, std::string_view record);

// Builds a chunk: entries in order.
class chunk_writer {
public:
    explicit chunk_writer(queue_number queue) : queue_(queue) {}

    // One whose body has a file is written without it.
    void add(const stored_entry& entry);
    bool empty() const noexcept { return count_ == 0; }
    position first() const noexcept { return first_; }
    std::uint32_t span() const noexcept { return span_; }
    std::uint32_t count() const noexcept { return count_; }
    std::size_t bytes() const noexcept { return octets_.size(); }
    // The record; it is empty again then.
    std::string finish();

private:
    const queue_number queue_;
    std::string heads_;
    std::string octets_;
    position first_ = 0;
    std::uint32_t span_ = 0;
    std::uint32_t count_ = 0;
};

// Reads a chunk. The view has to outlive it.
class chunk_reader {
public:
    // Nothing when its table is damaged.
    static std::optional<chunk_reader> open(queue_number queue, position first, std::string_view record);

    struct head {
        std::uint32_t distance = 0;
        bool transient = false;
        bool outside = false;  // its body has a file: body_of()
        std::int64_t arrived_ms = 0;
        std::string_view octets;
        std::uint32_t check = 0;
    };
    // The next entry's; nothing behind the last one.
    std::optional<head> next();
    // Nothing when it is damaged. `body`: read from its file, if it has one.
    std::optional<stored_entry> entry_of(const head& what, std::string_view body = {}) const;
    struct outside_body {
        body_number number = 0;
        std::uint64_t size = 0;
    };
    // Of an entry whose body is outside; nothing when it is damaged.
    std::optional<outside_body> body_of(const head& what) const;

private:
    queue_number queue_ = 0;
    position first_ = 0;
    std::string_view heads_;
    std::string_view octets_;
};

}  // namespace foz::broker
