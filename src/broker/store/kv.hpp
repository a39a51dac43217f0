// What the store needs of an engine underneath: ordered records, changed in transactions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace foz::broker {

// What is kept in each, and how it looks: records.hpp. Keys of chunks have eight octets and only grow.
enum class table : std::uint8_t { definitions, logs, places, chunks, bodies };
inline constexpr std::size_t tables = 5;

// The text is a sentence of the engine's.
class kv_failure : public std::runtime_error {
public:
    explicit kv_failure(const std::string& text, bool final = false) : std::runtime_error(text), final_(final) {}

    // Trying again does not help, or would only look as if it did.
    bool final() const noexcept { return final_; }

private:
    const bool final_;
};

struct kv_record {
    std::string_view key;
    std::string_view value;
};

// Sees the records as they were when it was made. What it returns is valid until it is asked about the same table
// again. Everything may throw kv_failure.
class kv_look {
public:
    virtual ~kv_look() = default;

    virtual std::optional<std::string_view> get(table in, std::string_view key) = 0;
    // The last record whose key is not greater, the first one whose key is not smaller.
    virtual std::optional<kv_record> at_or_before(table in, std::string_view key) = 0;
    virtual std::optional<kv_record> at_or_after(table in, std::string_view key) = 0;
    // The one behind the record that was returned last.
    virtual std::optional<kv_record> next(table in) = 0;
};

// Sees its own changes. Without commit() nothing has happened.
class kv_change : public kv_look {
public:
    virtual void put(table in, std::string_view key, std::string_view value) = 0;
    // A record with that key is there.
    virtual void erase(table in, std::string_view key) = 0;
    virtual void commit() = 0;
};

// Changes are made on one thread, one at a time; looks on another one, also at the same time.
class kv {
public:
    virtual ~kv() = default;
    // A durable one is on disk when commit() returns; any other one is so with the next durable one.
    virtual std::unique_ptr<kv_change> change(bool durable) = 0;
    virtual std::unique_ptr<kv_look> look() = 0;
    // On the thread of the changes, between them: what would make one of them wait if it were left to it. `idle`:
    // nobody waits now. True: there is something for such a time.
    virtual bool tidy(bool idle) {
        (void)idle;
        return false;
    }
};

}  // namespace foz::broker
