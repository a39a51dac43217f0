#include "service/dedupe_store.hpp"

#include <chrono>
#include <mutex>
#include <optional>
#include <sqlite3.h>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace foz::service {
namespace {

constexpr int busy_timeout_ms = 10'000;  // for another process that uses the same file
constexpr std::chrono::minutes purge_interval{10};

std::int64_t unix_seconds() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace

struct sqlite_store::state {
    // A prepared statement; after use it is reset, so that it holds no lock.
    class statement {
    public:
        statement(state& owner, const char* sql) : owner_(owner) {
            if (sqlite3_prepare_v3(owner.db, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr) != SQLITE_OK)
                owner.fail(sql);
        }
        ~statement() { sqlite3_finalize(handle_); }
        statement(const statement&) = delete;
        statement& operator=(const statement&) = delete;

        statement& text(int at, std::string_view value) {
            sqlite3_bind_text64(handle_, at, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
            return *this;
        }
        statement& blob(int at, std::string_view value) {
            sqlite3_bind_blob64(handle_, at, value.data(), value.size(), SQLITE_TRANSIENT);
            return *this;
        }
        statement& number(int at, std::int64_t value) {
            sqlite3_bind_int64(handle_, at, value);
            return *this;
        }
        // The first column of the first row, as octets.
        std::optional<std::string> run() {
            std::optional<std::string> found;
            const int code = sqlite3_step(handle_);
            if (code == SQLITE_ROW) {
                const auto* const octets = static_cast<const char*>(sqlite3_column_blob(handle_, 0));
                const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_, 0));
                found.emplace(octets ? std::string_view(octets, size) : std::string_view());
            }
            const std::string why = sqlite3_errmsg(owner_.db);
            sqlite3_reset(handle_);
            sqlite3_clear_bindings(handle_);
            if (code != SQLITE_ROW && code != SQLITE_DONE) throw std::runtime_error(owner_.file + ": " + why);
            return found;
        }

    private:
        state& owner_;
        sqlite3_stmt* handle_ = nullptr;
    };

    struct connection {  // closed after the statements, also when the constructor throws half way
        sqlite3*& handle;
        ~connection() { sqlite3_close(handle); }
    };

    state(const std::string& name, unsigned keep_hours) : file(name), keep(std::chrono::hours(keep_hours)) {
        if (sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                            nullptr) != SQLITE_OK)
            fail("open");
        sqlite3_busy_timeout(db, busy_timeout_ms);
        execute("PRAGMA journal_mode=WAL");
        execute("PRAGMA synchronous=FULL");
        execute(
            "CREATE TABLE IF NOT EXISTS foz_outbox (key TEXT PRIMARY KEY, outbox BLOB NOT NULL,"
            " at INTEGER NOT NULL, sent INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID");
        execute("CREATE INDEX IF NOT EXISTS foz_outbox_at ON foz_outbox (at) WHERE sent");
        begin.emplace(*this, "BEGIN IMMEDIATE");
        commit.emplace(*this, "COMMIT");
        find.emplace(*this, "SELECT outbox FROM foz_outbox WHERE key = ?1");
        find_sent.emplace(*this, "SELECT key FROM foz_outbox WHERE key = ?1 AND sent");
        insert.emplace(*this, "INSERT INTO foz_outbox (key, outbox, at) VALUES (?1, ?2, ?3)");
        mark.emplace(*this, "UPDATE foz_outbox SET sent = 1 WHERE key = ?1");
        forget.emplace(*this, "DELETE FROM foz_outbox WHERE sent AND at < ?1");
    }

    [[noreturn]] void fail(const std::string& what) const {
        throw std::runtime_error(file + ": " + what + ": " + (db ? sqlite3_errmsg(db) : "out of memory"));
    }
    void execute(const char* sql) {
        if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(sql);
    }

    // What was sent and is old. What was not is kept: its message is still in its queue, however long that is stopped.
    void purge() {
        const auto now = std::chrono::steady_clock::now();
        if (now < next_purge) return;
        next_purge = now + purge_interval;
        forget->number(1, unix_seconds() - keep.count()).run();
    }

    const std::string file;
    const std::chrono::seconds keep;
    sqlite3* db = nullptr;
    connection closer{db};
    std::mutex mutex;  // held through a transaction: a connection has one
    std::chrono::steady_clock::time_point next_purge{};
    std::optional<statement> begin, commit, find, find_sent, insert, mark, forget;
};

sqlite_store::sqlite_store(const std::string& file, unsigned keep_hours)
    : state_(std::make_unique<state>(file, keep_hours)) {}
sqlite_store::~sqlite_store() = default;

sqlite3* sqlite_store::database() const noexcept {
    return state_->db;
}

dedupe_store::memory sqlite_store::once(const std::string& key, const std::function<std::string()>& work) {
    state& s = *state_;
    const std::lock_guard lock(s.mutex);
    struct transaction {  // rolls back unless it was committed; SQLite may have done so by itself
        state& s;
        explicit transaction(state& all) : s(all) { s.begin->run(); }
        ~transaction() {
            if (!sqlite3_get_autocommit(s.db)) sqlite3_exec(s.db, "ROLLBACK", nullptr, nullptr, nullptr);
        }
    } const open(s);
    // Read within the transaction: another process may share the file.
    if (auto known = s.find->text(1, key).run())
        return {*std::move(known), s.find_sent->text(1, key).run().has_value()};
    std::string outbox = work();
    if (sqlite3_get_autocommit(s.db)) throw std::logic_error("the transaction of the store ended within the handler");
    s.insert->text(1, key).blob(2, outbox).number(3, unix_seconds()).run();
    s.purge();
    s.commit->run();
    return {std::move(outbox)};
}

void sqlite_store::sent(const std::string& key) {
    state& s = *state_;
    const std::lock_guard lock(s.mutex);
    // Need not survive a crash, so it waits for no disk: forgotten, it only keeps the key longer.
    struct relaxed {
        state& s;
        explicit relaxed(state& all) : s(all) { s.execute("PRAGMA synchronous=NORMAL"); }
        ~relaxed() { sqlite3_exec(s.db, "PRAGMA synchronous=FULL", nullptr, nullptr, nullptr); }
    } const guard(s);
    s.mark->text(1, key).run();
}

}  // namespace foz::service
