#include "lmdb_kv.hpp"

#include <array>
#include <lmdb.h>
#include <string>
#include <utility>

namespace foz::broker {
namespace {

// Address space, not disk: the file grows as it needs.
constexpr std::size_t map_size = std::size_t{1} << 40;
constexpr int mode = 0600;
constexpr std::array<const char*, tables> names{"definitions", "logs", "places", "chunks", "bodies"};

MDB_val value_of(std::string_view octets) {
    return {octets.size(), const_cast<char*>(octets.data())};
}

std::string_view view_of(const MDB_val& value) {
    return {static_cast<const char*>(value.mv_data), value.mv_size};
}

void check(int code) {
    if (code != MDB_SUCCESS) throw kv_failure(mdb_strerror(code));
}

// True when it was there.
bool found(int code) {
    if (code != MDB_NOTFOUND) check(code);
    return code == MDB_SUCCESS;
}

class lmdb_change final : public kv_change {
public:
    lmdb_change(MDB_env* env, unsigned flags, const std::array<MDB_dbi, tables>& databases) : databases_(databases) {
        check(mdb_txn_begin(env, nullptr, flags, &handle_));
    }
    ~lmdb_change() override {
        for (MDB_cursor* const one : cursors_)
            if (one) mdb_cursor_close(one);
        if (handle_) mdb_txn_abort(handle_);
    }

    std::optional<std::string_view> get(table in, std::string_view key) override {
        MDB_val k = value_of(key);
        MDB_val v{};
        if (!found(mdb_get(handle_, database(in), &k, &v))) return std::nullopt;
        return view_of(v);
    }
    std::optional<kv_record> at_or_before(table in, std::string_view key) override {
        auto there = move(in, MDB_SET_RANGE, key);
        if (there && there->key == key) return there;
        return move(in, there ? MDB_PREV : MDB_LAST, {});
    }
    std::optional<kv_record> at_or_after(table in, std::string_view key) override {
        return move(in, MDB_SET_RANGE, key);
    }
    std::optional<kv_record> next(table in) override { return move(in, MDB_NEXT, {}); }
    void put(table in, std::string_view key, std::string_view value) override {
        MDB_val k = value_of(key);
        MDB_val v = value_of(value);
        check(mdb_cursor_put(at(in), &k, &v, in == table::chunks ? MDB_APPEND : 0));
    }
    void erase(table in, std::string_view key) override {
        MDB_val k = value_of(key);
        found(mdb_del(handle_, database(in), &k, nullptr));
    }
    void commit() override {
        for (MDB_cursor*& one : cursors_)
            if (one) mdb_cursor_close(std::exchange(one, nullptr));
        check(mdb_txn_commit(std::exchange(handle_, nullptr)));
    }

private:
    MDB_dbi database(table in) const noexcept { return databases_[static_cast<std::size_t>(in)]; }
    MDB_cursor* at(table in) {
        MDB_cursor*& one = cursors_[static_cast<std::size_t>(in)];
        if (!one) check(mdb_cursor_open(handle_, database(in), &one));
        return one;
    }
    std::optional<kv_record> move(table in, MDB_cursor_op how, std::string_view key) {
        MDB_val k = value_of(key);
        MDB_val v{};
        if (!found(mdb_cursor_get(at(in), &k, &v, how))) return std::nullopt;
        return kv_record{view_of(k), view_of(v)};
    }

    const std::array<MDB_dbi, tables>& databases_;
    MDB_txn* handle_ = nullptr;
    std::array<MDB_cursor*, tables> cursors_{};
};

class lmdb_kv final : public kv {
public:
    explicit lmdb_kv(const std::string& folder) {
        check(mdb_env_create(&env_));
        check(mdb_env_set_mapsize(env_, map_size));
        check(mdb_env_set_maxdbs(env_, tables));
        check(mdb_env_open(env_, folder.c_str(), MDB_NOTLS, mode));
        MDB_txn* change = nullptr;
        check(mdb_txn_begin(env_, nullptr, 0, &change));
        for (std::size_t i = 0; i < tables; ++i) check(mdb_dbi_open(change, names[i], MDB_CREATE, &databases_[i]));
        check(mdb_txn_commit(change));
    }
    ~lmdb_kv() override { mdb_env_close(env_); }

    std::unique_ptr<kv_change> change(bool durable) override {
        check(mdb_env_set_flags(env_, MDB_NOSYNC, durable ? 0 : 1));
        return std::make_unique<lmdb_change>(env_, 0, databases_);
    }
    std::unique_ptr<kv_look> look() override { return std::make_unique<lmdb_change>(env_, MDB_RDONLY, databases_); }

private:
    MDB_env* env_ = nullptr;
    std::array<MDB_dbi, tables> databases_{};
};

}  // namespace

std::unique_ptr<kv> open_lmdb(const std::string& folder) {
    return std::make_unique<lmdb_kv>(folder);
}

}  // namespace foz::broker
