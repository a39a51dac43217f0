#include "broker/store/lmdb_engine.hpp"

#include "broker/store/records.hpp"

#include <lmdb.h>
#include <stdexcept>
#include <utility>

namespace foz::broker {
namespace {

// Address space, not disk: the file grows as it needs.
constexpr std::size_t map_size = std::size_t{1} << 40;
constexpr unsigned databases_max = 4;
constexpr int mode = 0600;

MDB_val value_of(std::string_view octets) {
    return {octets.size(), const_cast<char*>(octets.data())};
}

std::string_view view_of(const MDB_val& value) {
    return {static_cast<const char*>(value.mv_data), value.mv_size};
}

class failure : public std::runtime_error {
public:
    explicit failure(int code) : std::runtime_error(mdb_strerror(code)) {}
};

void check(int code) {
    if (code != MDB_SUCCESS) throw failure(code);
}

// True when it was there.
bool found(int code) {
    if (code != MDB_NOTFOUND) check(code);
    return code == MDB_SUCCESS;
}

class transaction {
public:
    transaction(MDB_env* env, unsigned flags) { check(mdb_txn_begin(env, nullptr, flags, &handle_)); }
    ~transaction() {
        if (handle_) mdb_txn_abort(handle_);
    }
    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;

    void commit() { check(mdb_txn_commit(std::exchange(handle_, nullptr))); }
    operator MDB_txn*() const noexcept { return handle_; }

private:
    MDB_txn* handle_ = nullptr;
};

class cursor {
public:
    cursor(MDB_txn* in, MDB_dbi database) { check(mdb_cursor_open(in, database, &handle_)); }
    ~cursor() { mdb_cursor_close(handle_); }
    cursor(const cursor&) = delete;
    cursor& operator=(const cursor&) = delete;

    operator MDB_cursor*() const noexcept { return handle_; }

private:
    MDB_cursor* handle_ = nullptr;
};

class lmdb_engine final : public engine {
public:
    explicit lmdb_engine(const std::string& folder) {
        check(mdb_env_create(&env_));
        try {
            check(mdb_env_set_mapsize(env_, map_size));
            check(mdb_env_set_maxdbs(env_, databases_max));
            check(mdb_env_open(env_, folder.c_str(), MDB_NOTLS, mode));
            transaction change(env_, 0);
            check(mdb_dbi_open(change, "definitions", MDB_CREATE, &definitions_));
            check(mdb_dbi_open(change, "logs", MDB_CREATE, &logs_));
            check(mdb_dbi_open(change, "entries", MDB_CREATE, &entries_));
            check(mdb_dbi_open(change, "returns", MDB_CREATE, &returns_));
            change.commit();
        } catch (const failure& why) {
            mdb_env_close(env_);
            throw std::runtime_error(folder + ": " + why.what());
        }
    }
    ~lmdb_engine() override { mdb_env_close(env_); }

    std::expected<void, std::string> apply(const batch& what) override try {
        transaction change(env_, 0);
        for (const auto& [key, value] : what.definitions) {
            MDB_val k = value_of(key);
            if (value) {
                MDB_val v = value_of(*value);
                check(mdb_put(change, definitions_, &k, &v, 0));
            } else {
                found(mdb_del(change, definitions_, &k, nullptr));
            }
        }
        for (const auto& [queue, changes] : what.logs) apply(change, queue, changes);
        change.commit();
        return {};
    } catch (const failure& why) {
        return std::unexpected(std::string(why.what()));
    }

    std::vector<stored_entry> read(queue_number queue, position from, position end, std::size_t count_max,
                                   std::size_t bytes_max) override {
        std::vector<stored_entry> out;
        transaction look(env_, MDB_RDONLY);
        MDB_stat counted{};
        check(mdb_stat(look, returns_, &counted));
        cursor at(look, entries_);
        const std::string first = entry_key(queue, from);
        MDB_val key = value_of(first);
        MDB_val value{};
        std::size_t bytes = 0;
        bool more = found(mdb_cursor_get(at, &key, &value, MDB_SET_RANGE));
        while (more && out.size() < count_max && (out.empty() || bytes < bytes_max)) {
            const char* const octets = static_cast<const char*>(key.mv_data);
            const position where = amqp::load_big_endian<position>(octets + sizeof(queue_number));
            if (amqp::load_big_endian<queue_number>(octets) != queue || where >= end) break;
            if (auto entry = read_entry(where, view_of(value))) {
                if (counted.ms_entries > 0) entry->returns = returns(look, key);
                bytes += value.mv_size;
                out.push_back(std::move(*entry));
            }
            more = found(mdb_cursor_get(at, &key, &value, MDB_NEXT));
        }
        return out;
    }

    void definitions(const std::function<void(std::string_view, std::string_view)>& each) override {
        for_each(definitions_, each);
    }

    void summaries(const std::function<void(queue_number, const log_summary&)>& each) override {
        for_each(logs_, [&](std::string_view key, std::string_view value) {
            each(amqp::load_big_endian<queue_number>(key.data()), read_summary(value));
        });
    }

private:
    void apply(MDB_txn* change, queue_number queue, const log_changes& changes) {
        char number[sizeof(queue_number)];
        amqp::store_big_endian(number, queue);
        MDB_val log_key{sizeof(number), number};
        if (changes.erased) {
            remove_range(change, queue, ~position{0});
            found(mdb_del(change, logs_, &log_key, nullptr));
            return;
        }
        if (changes.remove_below) remove_range(change, queue, *changes.remove_below);
        char octets[entry_key_size];
        MDB_val key{entry_key_size, octets};
        MDB_stat counted{};
        check(mdb_stat(change, returns_, &counted));
        for (const position at : changes.removes) {
            write_entry_key(octets, queue, at);
            found(mdb_del(change, entries_, &key, nullptr));
            if (counted.ms_entries > 0) found(mdb_del(change, returns_, &key, nullptr));
        }
        for (const stored_entry& entry : changes.puts) {
            if (!entry.what) continue;
            write_entry_key(octets, queue, entry.at);
            MDB_val value{entry_head_size + entry.what->octets().size(), nullptr};
            check(mdb_put(change, entries_, &key, &value, MDB_RESERVE));
            write_entry(static_cast<char*>(value.mv_data), entry);
        }
        for (const auto& [at, returns] : changes.returned) {
            write_entry_key(octets, queue, at);
            MDB_val value{sizeof(returns), const_cast<std::uint32_t*>(&returns)};
            check(mdb_put(change, returns_, &key, &value, 0));
        }
        const std::string summary = write_summary(changes.summary);
        MDB_val value = value_of(summary);
        check(mdb_put(change, logs_, &log_key, &value, 0));
    }

    // Everything of the queue before `end`.
    void remove_range(MDB_txn* change, queue_number queue, position end) {
        for (const MDB_dbi database : {entries_, returns_}) {
            cursor at(change, database);
            const std::string first = entry_key(queue, 0);
            MDB_val key = value_of(first);
            MDB_val value{};
            while (found(mdb_cursor_get(at, &key, &value, MDB_SET_RANGE))) {
                const char* const octets = static_cast<const char*>(key.mv_data);
                if (amqp::load_big_endian<queue_number>(octets) != queue ||
                    amqp::load_big_endian<position>(octets + sizeof(queue_number)) >= end)
                    break;
                check(mdb_cursor_del(at, 0));
                key = value_of(first);
            }
        }
    }

    std::uint32_t returns(MDB_txn* look, MDB_val key) {
        MDB_val value{};
        std::uint32_t out = 0;
        if (found(mdb_get(look, returns_, &key, &value)) && value.mv_size == sizeof(out))
            std::memcpy(&out, value.mv_data, sizeof(out));
        return out;
    }

    template <class Each>
    void for_each(MDB_dbi database, const Each& each) {
        transaction look(env_, MDB_RDONLY);
        cursor at(look, database);
        MDB_val key{};
        MDB_val value{};
        while (found(mdb_cursor_get(at, &key, &value, MDB_NEXT))) each(view_of(key), view_of(value));
    }

    MDB_env* env_ = nullptr;
    MDB_dbi definitions_ = 0;
    MDB_dbi logs_ = 0;
    MDB_dbi entries_ = 0;
    MDB_dbi returns_ = 0;
};

}  // namespace

std::unique_ptr<engine> open_lmdb(const std::string& folder) {
    return std::make_unique<lmdb_engine>(folder);
}

}  // namespace foz::broker
