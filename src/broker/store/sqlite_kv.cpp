#include "broker/store/sqlite_kv.hpp"

#include "amqp/codec/wire.hpp"
#include "base/thread.hpp"

#include <array>
#include <condition_variable>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <optional>
#include <sqlite3.h>
#include <string>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace foz::broker {
namespace {

constexpr const char* schema =
    "BEGIN;"
    "CREATE TABLE IF NOT EXISTS definitions (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS logs (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS places (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS chunks (k INTEGER PRIMARY KEY, v BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS bodies (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID;"
    "COMMIT;";
constexpr std::array<const char*, tables> names{"definitions", "logs", "places", "chunks", "bodies"};

enum statement : std::uint8_t { find, before, after, behind, write, remove, statements };
constexpr std::array<const char*, statements> texts{"SELECT k, v FROM % WHERE k = ?1",
                                                    "SELECT k, v FROM % WHERE k <= ?1 ORDER BY k DESC LIMIT 1",
                                                    "SELECT k, v FROM % WHERE k >= ?1 ORDER BY k",
                                                    "SELECT k, v FROM % WHERE k > ?1 ORDER BY k",
                                                    "INSERT OR REPLACE INTO % (k, v) VALUES (?1, ?2)",
                                                    "DELETE FROM % WHERE k = ?1"};

constexpr int writing_cache_kib = 4'096;
constexpr int reading_cache_kib = 1'024;
// Pages in the write-ahead log before they are moved to the database: 4 MB; a start reads them.
constexpr int wal_pages_max = 512;
// 128 MB: commits that outrun that wait for it.
constexpr int wal_pages_wait = 16'384;
constexpr int checkpoint_cache_kib = 64;

constexpr off_t wal_size = 6 << 20;
constexpr std::size_t wal_growth = 256 << 10;
// Pages: 8 MB that are free, 16 MB that are used.
constexpr std::int64_t shrink_free_min = 1'024;
constexpr std::int64_t shrink_used_max = 2'048;
constexpr std::uintmax_t header_size = 512;

// A database connection with its statements. For one thread at a time.
class connection {
public:
    connection(const std::string& file, int cache_kib) {
        const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
        const int code = sqlite3_open_v2(file.c_str(), &handle_, flags, nullptr);
        try {
            check(code);
            for (const char* const setting :
                 {"page_size=8192", "synchronous=NORMAL", "journal_mode=WAL", "wal_autocheckpoint=0",
                  "journal_size_limit=8388608", "secure_delete=OFF", "cell_size_check=ON", "mmap_size=0"})
                run("PRAGMA " + std::string(setting));
            run("PRAGMA cache_size=-" + std::to_string(cache_kib));
            sqlite3_wal_hook(handle_, on_wal, this);
        } catch (...) {
            sqlite3_close(handle_);
            throw;
        }
    }
    ~connection() {
        for (auto& of_table : prepared_)
            for (sqlite3_stmt* const one : of_table) sqlite3_finalize(one);
        sqlite3_close(handle_);
    }
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    sqlite3* handle() const noexcept { return handle_; }
    int wal_pages() const noexcept { return wal_pages_; }
    void check(int code) const {
        if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE) return;
        // After a failed sync the kernel takes for written what is not: a second one that succeeds means nothing.
        const int extended = sqlite3_extended_errcode(handle_);
        throw kv_failure(sqlite3_errmsg(handle_), extended == SQLITE_IOERR_FSYNC || code == SQLITE_CORRUPT);
    }
    void run(const std::string& text) const { check(sqlite3_exec(handle_, text.c_str(), nullptr, nullptr, nullptr)); }
    std::int64_t number(const char* text) {
        sqlite3_stmt* made = nullptr;
        check(sqlite3_prepare_v2(handle_, text, -1, &made, nullptr));
        const std::int64_t value = sqlite3_step(made) == SQLITE_ROW ? sqlite3_column_int64(made, 0) : 0;
        sqlite3_finalize(made);
        return value;
    }
    // Whether a commit waits for the disk.
    void set_durable(bool durable) {
        if (std::exchange(durable_, durable) != durable)
            run(durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
    }
    sqlite3_stmt* prepare(table in, statement what) {
        sqlite3_stmt*& one = prepared_[static_cast<std::size_t>(in)][what];
        if (!one) {
            std::string text = texts[what];
            text.replace(text.find('%'), 1, names[static_cast<std::size_t>(in)]);
            check(sqlite3_prepare_v3(handle_, text.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &one, nullptr));
        }
        sqlite3_reset(one);
        return one;
    }
    // No statement reads or writes any more.
    void rest() noexcept {
        for (auto& of_table : prepared_)
            for (sqlite3_stmt* const one : of_table)
                if (one) sqlite3_reset(one);
    }

private:
    static int on_wal(void* self, sqlite3*, const char*, int pages) {
        static_cast<connection*>(self)->wal_pages_ = pages;
        return SQLITE_OK;
    }

    sqlite3* handle_ = nullptr;
    int wal_pages_ = 0;
    bool durable_ = false;
    std::array<std::array<sqlite3_stmt*, statements>, tables> prepared_{};
};

class transaction final : public kv_change {
public:
    transaction(connection& on, const char* begin) : on_(on) { on_.run(begin); }
    ~transaction() override {
        on_.rest();
        if (!done_) sqlite3_exec(on_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    }

    std::optional<std::string_view> get(table in, std::string_view key) override {
        const auto there = row(in, bound(in, find, key));
        if (!there) return std::nullopt;
        return there->value;
    }
    std::optional<kv_record> at_or_before(table in, std::string_view key) override {
        const auto there = row(in, bound(in, before, key));
        walking_[static_cast<std::size_t>(in)] = nullptr;
        if (there) last_[static_cast<std::size_t>(in)] = there->key;
        return there;
    }
    std::optional<kv_record> at_or_after(table in, std::string_view key) override {
        sqlite3_stmt* const walk = bound(in, after, key);
        walking_[static_cast<std::size_t>(in)] = walk;
        return row(in, walk);
    }
    std::optional<kv_record> next(table in) override {
        sqlite3_stmt*& walk = walking_[static_cast<std::size_t>(in)];
        if (!walk) walk = bound(in, behind, last_[static_cast<std::size_t>(in)]);
        return row(in, walk);
    }
    void put(table in, std::string_view key, std::string_view value) override {
        sqlite3_stmt* const what = bound(in, write, key);
        on_.check(sqlite3_bind_blob64(what, 2, value.data(), value.size(), SQLITE_STATIC));
        finish(what);
    }
    void erase(table in, std::string_view key) override { finish(bound(in, remove, key)); }
    void commit() override {
        on_.rest();
        on_.run("COMMIT");
        done_ = true;
    }

private:
    sqlite3_stmt* bound(table in, statement what, std::string_view key) {
        sqlite3_stmt* const made = on_.prepare(in, what);
        if (in == table::chunks) {
            const auto number = amqp::load_big_endian<std::uint64_t>(key.data());
            on_.check(sqlite3_bind_int64(made, 1, static_cast<sqlite3_int64>(number)));
        } else {
            // An empty view may have no address, which would be bound as NULL.
            on_.check(sqlite3_bind_blob64(made, 1, key.empty() ? "" : key.data(), key.size(), SQLITE_TRANSIENT));
        }
        return made;
    }
    void finish(sqlite3_stmt* what) {
        const int code = sqlite3_step(what);
        on_.check(code);
        sqlite3_reset(what);
    }
    std::optional<kv_record> row(table in, sqlite3_stmt* what) {
        const int code = sqlite3_step(what);
        on_.check(code);
        if (code == SQLITE_DONE) return std::nullopt;
        std::string_view key;
        if (in == table::chunks) {
            amqp::store_big_endian(number_, static_cast<std::uint64_t>(sqlite3_column_int64(what, 0)));
            key = {number_, sizeof(number_)};
        } else {
            key = blob(what, 0);
        }
        return kv_record{key, blob(what, 1)};
    }
    static std::string_view blob(sqlite3_stmt* what, int column) {
        const void* const octets = sqlite3_column_blob(what, column);
        return {static_cast<const char*>(octets), static_cast<std::size_t>(sqlite3_column_bytes(what, column))};
    }

    connection& on_;
    bool done_ = false;
    char number_[sizeof(std::uint64_t)] = {};
    std::array<sqlite3_stmt*, tables> walking_{};
    std::array<std::string, tables> last_;
};

// Moves pages from the write-ahead log to the database while commits go on: after one large message that takes longer
// than anybody should wait. On a thread and a connection of its own.
class checkpointer {
public:
    explicit checkpointer(const std::string& file) : on_(file, checkpoint_cache_kib), thread_([this] { run(); }) {}
    ~checkpointer() { stop(); }
    checkpointer(const checkpointer&) = delete;
    checkpointer& operator=(const checkpointer&) = delete;

    // Nothing happens when one is under way. Throws what the last one met. `wait`: until it is over.
    void begin(bool wait) {
        std::unique_lock lock(mutex_);
        if (failure_) throw kv_failure(*failure_);
        wanted_ = true;
        changed_.notify_all();
        if (wait) changed_.wait(lock, [this] { return !wanted_ || stopping_; });
    }
    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        if (thread_.joinable()) thread_.join();
    }

private:
    void run() {
        introduce_thread("checkpoint");
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return wanted_ || stopping_; });
            if (stopping_) return;
            lock.unlock();
            std::optional<kv_failure> met;
            try {
                // Syncs before it takes anything out of the log, whatever the commits did.
                const int code =
                    sqlite3_wal_checkpoint_v2(on_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
                if (code != SQLITE_BUSY) on_.check(code);
            } catch (const kv_failure& why) {
                met.emplace(why);
            }
            lock.lock();
            wanted_ = false;
            // What may pass is tried again with the next one.
            if (met && met->final()) failure_.emplace(*met);
            changed_.notify_all();
        }
    }

    connection on_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool wanted_ = false;  // or under way
    bool stopping_ = false;
    std::optional<kv_failure> failure_;
    std::thread thread_;
};

class sqlite_kv final : public kv {
public:
    explicit sqlite_kv(const std::string& file)
        : wal_file_(file + "-wal"),
          writing_(file, writing_cache_kib),
          reading_((writing_.run(schema), file), reading_cache_kib),
          checkpoints_(file) {}

    ~sqlite_kv() override {
        checkpoints_.stop();
        try {
            shrink();
        } catch (const kv_failure&) {
            // It stays as large as it is.
        }
    }

    std::unique_ptr<kv_change> change(bool durable) override {
        writing_.set_durable(durable);
        return std::make_unique<transaction>(writing_, "BEGIN IMMEDIATE");
    }
    std::unique_ptr<kv_look> look() override { return std::make_unique<transaction>(reading_, "BEGIN"); }
    bool tidy(bool idle) override {
        if (idle && !std::exchange(wal_grown_, true)) grow_wal();
        if (const int pages = writing_.wal_pages(); pages >= wal_pages_max)
            checkpoints_.begin(pages >= wal_pages_wait && pages != std::exchange(waited_at_, pages));
        return !wal_grown_;
    }

private:
    // A sync of blocks that were written before costs a fraction of one that has a file's growth to record, above all
    // while others use the disk. SQLite takes the zeros behind its last frame for the end, which they are.
    void grow_wal() const {
        const int wal = ::open(wal_file_.c_str(), O_WRONLY | O_CLOEXEC);
        if (wal < 0) return;
        struct stat is{};
        const std::string zeros(wal_growth, '\0');
        if (::fstat(wal, &is) == 0) {
            for (off_t at = is.st_size; at < wal_size; at += static_cast<off_t>(zeros.size()))
                if (::pwrite(wal, zeros.data(), zeros.size(), at) < 0) break;  // no room: it does without
            ::fdatasync(wal);
        }
        ::close(wal);
    }
    // Gives a large file back when little is left in it: what that costs depends on the little.
    void shrink() {
        const std::int64_t pages = writing_.number("PRAGMA page_count");
        const std::int64_t free = writing_.number("PRAGMA freelist_count");
        if (free < shrink_free_min || pages - free > shrink_used_max) return;
        writing_.run("PRAGMA synchronous=FULL");
        writing_.run("VACUUM");
    }

    const std::string wal_file_;
    bool wal_grown_ = false;
    int waited_at_ = 0;  // pages in the log: it does not wait twice for the same
    connection writing_;
    connection reading_;
    checkpointer checkpoints_;
};

}  // namespace

std::unique_ptr<kv> open_sqlite(const std::string& folder) {
    // SQLite takes such a file for an empty one.
    std::error_code none;
    const auto size = std::filesystem::file_size(sqlite_file(folder), none);
    if (!none && size > 0 && size < header_size) throw kv_failure("the database file is too short");
    // Its other files get the rights that this one has.
    const int made = ::open(sqlite_file(folder).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (made >= 0) ::close(made);
    return std::make_unique<sqlite_kv>(sqlite_file(folder));
}

}  // namespace foz::broker
