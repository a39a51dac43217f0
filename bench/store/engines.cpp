#include "engines.hpp"

#include "broker/store/records.hpp"
#include "broker/store/sqlite_kv.hpp"
#include "lmdb_kv.hpp"
#include "rocksdb_kv.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace foz::broker {
namespace {

// No engine: what is put and what is removed, one after the other in a file. Nothing can be read back and no space is
// ever reused; it is there to show what an engine costs above the disk itself.
class append_engine final : public engine {
public:
    append_engine(const std::string& folder, const chunk_limits& limits)
        : limits_(limits), file_(::open((folder + "/log").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600)) {}
    ~append_engine() override { ::close(file_); }

    std::expected<bool, disk_error> apply(const batch& what) override {
        std::string out;
        for (const auto& [queue, changes] : what.logs) {
            chunk_writer chunk(queue);
            for (const stored_entry& one : changes.puts) {
                if (!chunk.empty() && chunk.bytes() > limits_.bytes) out += chunk.finish();
                chunk.add(one);
            }
            if (!chunk.empty()) out += chunk.finish();
            for (const position at : changes.removes) out += number_key(at);
            out += write_log(queue, changes, {});
        }
        if (::write(file_, out.data(), out.size()) != static_cast<ssize_t>(out.size()) || ::fdatasync(file_) != 0)
            return std::unexpected(disk_error{.text = "the file can't be written"});
        return false;
    }
    std::expected<read_entries, disk_error> read(queue_number, position from, const read_limits&) override {
        return read_entries{.end = from};
    }
    std::expected<std::size_t, disk_error> definitions(
        const std::function<void(std::string_view, std::string_view)>&) override {
        return 0;
    }
    std::expected<std::size_t, disk_error> logs(
        const std::function<void(queue_number, const recovered_log&)>&) override {
        return 0;
    }

private:
    const chunk_limits limits_;
    const int file_;
};

}  // namespace

std::unique_ptr<engine> open_engine(const std::string& name, const std::string& folder, const chunk_limits& limits) {
    if (name == "append") return std::make_unique<append_engine>(folder, limits);
    if (name == "lmdb") return std::make_unique<log_engine>(open_lmdb(folder), std::nullopt, limits);
    if (name == "rocksdb") return std::make_unique<log_engine>(open_rocksdb(folder), std::nullopt, limits);
    return std::make_unique<log_engine>(open_sqlite(folder), std::nullopt, limits);
}

}  // namespace foz::broker
