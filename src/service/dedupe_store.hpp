// What makes the side effects of a handler happen once: a memory of the messages that were handled.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

struct sqlite3;

namespace foz::service {

// A message is delivered again when its worker, its connection or the broker died before it was acknowledged, or when
// its sender sent it again. A store runs the work for each key once and keeps what the handler said (the outbox). For a
// key that is known already it returns what was said then: it is published again under the same message ids unless the
// broker is known to have it, and the reply goes to whoever awaits one now.
//
// Called on handler threads, several at once when concurrency > 1; implementations do their own locking. What a handler
// says at once (extend, ask) is not remembered and not taken back.
class dedupe_store {
public:
    struct memory {
        std::string outbox;
        bool sent = false;  // sent() has been called for it
    };

    virtual ~dedupe_store() = default;

    // Runs `work` unless the key is known; while it runs, another call with the key waits for it. Remembers key and
    // outbox together with everything that the handler changed in the same store, or nothing at all when `work` throws
    // (the exception goes on). `key` is channel and message id; the outbox is opaque.
    virtual memory once(const std::string& key, const std::function<std::string()>& work) = 0;
    // The outbox has been confirmed by the broker; the message is acknowledged after this. The key stays known.
    virtual void sent(const std::string& key) = 0;
};

// Remembers the last `capacity` messages of this process: enough against a lost connection and a client's resends, not
// against a crash. What a worker uses unless it is told otherwise.
std::unique_ptr<dedupe_store> make_memory_store(std::size_t capacity = 10'000);

// A SQLite database, which the handlers use for their own tables: each handler runs within one transaction
// (BEGIN IMMEDIATE … COMMIT), one at a time, and the memory of it is committed with its changes. Survives crashes.
// Since a transaction lasts as long as its handler, a handler that waits (request::ask) keeps all others waiting.
class sqlite_store final : public dedupe_store {
public:
    // Opens or makes the file (WAL), of this process alone or shared with others on this machine. Keys are forgotten
    // after `keep_hours`, but never before what was said has been sent. std::runtime_error, which names the file, when
    // it can't be opened; also from once() when it can't be written.
    explicit sqlite_store(const std::string& file, unsigned keep_hours = 7 * 24);
    ~sqlite_store() override;

    // For handlers, during once() alone, and before the worker runs.
    sqlite3* database() const noexcept;

    memory once(const std::string& key, const std::function<std::string()>& work) override;
    void sent(const std::string& key) override;

private:
    struct state;
    std::unique_ptr<state> state_;
};

}  // namespace foz::service
