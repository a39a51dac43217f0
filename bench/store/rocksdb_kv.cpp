#include "rocksdb_kv.hpp"

#include <array>
#include <memory>
#include <rocksdb/db.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/write_batch_with_index.h>
#include <string>

namespace foz::broker {
namespace {

void check(const rocksdb::Status& status) {
    if (!status.ok()) throw kv_failure(status.ToString());
}

std::string_view view_of(const rocksdb::Slice& slice) {
    return {slice.data(), slice.size()};
}

// One key space: a table is the first octet.
std::string full_key(table in, std::string_view key) {
    return std::string(1, static_cast<char>(in)).append(key);
}

class rocks_change final : public kv_change {
public:
    rocks_change(rocksdb::DB& db, bool writes, bool durable) : db_(db), writes_(writes), durable_(durable) {
        options_.snapshot = db_.GetSnapshot();
    }
    ~rocks_change() override {
        for (auto& one : walks_) one.reset();
        db_.ReleaseSnapshot(options_.snapshot);
    }

    std::optional<std::string_view> get(table in, std::string_view key) override {
        std::string& value = values_[static_cast<std::size_t>(in)];
        const std::string k = full_key(in, key);
        const rocksdb::Status status =
            writes_ ? changes_.GetFromBatchAndDB(&db_, options_, k, &value) : db_.Get(options_, k, &value);
        if (status.IsNotFound()) return std::nullopt;
        check(status);
        return value;
    }
    std::optional<kv_record> at_or_before(table in, std::string_view key) override {
        rocksdb::Iterator& at = walk(in);
        at.SeekForPrev(full_key(in, key));
        return here(in, at);
    }
    std::optional<kv_record> at_or_after(table in, std::string_view key) override {
        rocksdb::Iterator& at = walk(in);
        at.Seek(full_key(in, key));
        return here(in, at);
    }
    std::optional<kv_record> next(table in) override {
        rocksdb::Iterator& at = *walks_[static_cast<std::size_t>(in)];
        at.Next();
        return here(in, at);
    }
    void put(table in, std::string_view key, std::string_view value) override {
        check(changes_.Put(full_key(in, key), rocksdb::Slice(value.data(), value.size())));
    }
    void erase(table in, std::string_view key) override { check(changes_.Delete(full_key(in, key))); }
    void commit() override {
        rocksdb::WriteOptions how;
        how.sync = durable_;
        check(db_.Write(how, changes_.GetWriteBatch()));
    }

private:
    rocksdb::Iterator& walk(table in) {
        auto& one = walks_[static_cast<std::size_t>(in)];
        if (!one)
            one.reset(writes_ ? changes_.NewIteratorWithBase(db_.NewIterator(options_)) : db_.NewIterator(options_));
        return *one;
    }
    static std::optional<kv_record> here(table in, rocksdb::Iterator& at) {
        if (!at.Valid()) {
            check(at.status());
            return std::nullopt;
        }
        const std::string_view key = view_of(at.key());
        if (key.front() != static_cast<char>(in)) return std::nullopt;
        return kv_record{key.substr(1), view_of(at.value())};
    }

    rocksdb::DB& db_;
    const bool writes_;
    const bool durable_;
    rocksdb::ReadOptions options_;
    rocksdb::WriteBatchWithIndex changes_{rocksdb::BytewiseComparator(), 0, true};
    std::array<std::string, tables> values_;
    std::array<std::unique_ptr<rocksdb::Iterator>, tables> walks_;
};

class rocks_kv final : public kv {
public:
    explicit rocks_kv(const std::string& folder) {
        rocksdb::Options options;
        options.create_if_missing = true;
        options.write_buffer_size = 16 << 20;
        options.max_background_jobs = 2;
        options.compression = rocksdb::kNoCompression;
        options.recycle_log_file_num = 2;
        options.enable_blob_files = true;
        options.min_blob_size = 4096;
        options.enable_blob_garbage_collection = true;
        rocksdb::BlockBasedTableOptions blocks;
        blocks.block_cache = rocksdb::NewLRUCache(4 << 20);
        options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(blocks));
        rocksdb::DB* made = nullptr;
        check(rocksdb::DB::Open(options, folder + "/rocks", &made));
        db_.reset(made);
    }

    std::unique_ptr<kv_change> change(bool durable) override {
        return std::make_unique<rocks_change>(*db_, true, durable);
    }
    std::unique_ptr<kv_look> look() override { return std::make_unique<rocks_change>(*db_, false, false); }

private:
    std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

std::unique_ptr<kv> open_rocksdb(const std::string& folder) {
    return std::make_unique<rocks_kv>(folder);
}

}  // namespace foz::broker
