// The storage: collects what is asked for while one batch is being written, then writes that as the next one.
#pragma once

#include "broker/core/storage.hpp"
#include "broker/store/engine.hpp"
#include "broker/store/staged_bodies.hpp"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>

namespace foz::broker {

// On the broker's shard.
class store_events {
public:
    virtual void on_committed() = 0;
    // A batch could not be written; it is tried again until it can. Empty: it was.
    virtual void on_trouble(const std::string& why) = 0;
    // A large message, and its publisher with it, waits since its body can't be written; empty: not any more.
    virtual void on_staging_trouble(const std::string& why) = 0;
    // More waits to be written than store_limits says, or not any more.
    virtual void on_pressure(bool high) = 0;
    // Entries that are damaged and were left out.
    virtual void on_damage(queue_number queue, position first, std::uint64_t count) = 0;
    // The store can't be read, or what it has written may not be there: nothing that it says from now on is of use.
    virtual void on_broken(const std::string& why) = 0;

protected:
    ~store_events() = default;
};

struct store_limits {
    // Of memory that waits to be written: publishers have to wait above the first, until it is below the second.
    std::size_t waiting_bytes_high = 24 << 20;
    std::size_t waiting_bytes_low = 8 << 20;
    // A body from here on gets a file of its own before its message is put anywhere.
    std::size_t staged_bytes_min = 1 << 20;
};

// Lives on the broker's shard and has a thread that writes. `post` runs its argument on the shard, later; what is
// posted after stop() is not run.
class store final : public storage {
public:
    using poster = std::function<void(std::function<void()>)>;

    // Throws std::runtime_error with a sentence.
    store(std::unique_ptr<engine> disk, poster post, store_events& events, const store_limits& limits = {});
    // Writes what is left.
    ~store() override;

    void put_definition(std::string key, std::string value) override;
    void remove_definition(std::string key) override;
    void definitions(const std::function<void(std::string_view key, std::string_view value)>& each) override;
    std::unique_ptr<queue_log> open(queue_number number, bool durable) override;
    void erase_unopened() override;
    bool stages(std::size_t body_bytes) const noexcept override { return body_bytes >= limits_.staged_bytes_min; }
    void stage(const message_ref& what, std::function<void()> done) override;
    commit_number pending_commit() const noexcept override;
    commit_number committed() const noexcept override { return committed_; }

    // At the end, while there still are queues: what is being staged is put with its record. Nothing more is staged.
    void finish_staging();

    // Whether the process before has ended in good order, or there was none.
    bool was_clean() const noexcept { return was_clean_; }
    // Records that were damaged at the start and left out.
    std::size_t damaged_records() const noexcept { return damaged_records_; }
    // Of what is not written yet.
    std::size_t waiting_bytes() const noexcept { return open_bytes_ + writing_bytes_; }

private:
    class log;
    struct link {
        bool alive = true;
    };

    void recover();
    log_changes& changes_of(queue_number queue);
    void changed();
    void fill(batch& what) const;
    void staged(body_number number, bool kept, const std::function<void()>& done);
    void doubt(body_number number);
    void let_go(const std::vector<body_number>& unreferenced);
    void seal();
    void finished(const std::expected<bool, disk_error>& done);
    void check_pressure();
    void broken(const std::string& why);
    void write();

    const std::unique_ptr<engine> disk_;
    const poster post_;
    store_events& events_;
    const store_limits limits_;
    const std::shared_ptr<link> link_ = std::make_shared<link>();
    std::unordered_map<queue_number, recovered_log> known_;  // logs that nobody has opened
    std::unordered_map<queue_number, log*> logs_;
    std::map<std::string, std::string, std::less<>> definitions_;  // at start
    bool was_clean_ = true;
    std::size_t damaged_records_ = 0;

    // Puts that refer to them, of the open batch and of the one that is being written.
    std::unordered_map<body_number, std::size_t> open_bodies_;
    std::unordered_map<body_number, std::size_t> writing_bodies_;
    body_number staged_ = 0;  // its message is being put
    std::unique_ptr<batch> open_;
    std::unique_ptr<batch> writing_;  // the thread reads it; null: the thread has nothing to do
    std::size_t open_bytes_ = 0;
    std::size_t writing_bytes_ = 0;
    commit_number committed_ = 0;
    bool seal_posted_ = false;
    std::string trouble_;  // why the last attempt to write has failed
    bool pressed_ = false;
    bool broken_ = false;

    std::mutex mutex_;  // guards what follows
    std::condition_variable wake_;
    const batch* next_ = nullptr;
    bool stopping_ = false;
    std::thread writer_;
    std::unique_ptr<staged_bodies> bodies_;
};

}  // namespace foz::broker
