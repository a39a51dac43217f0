// A storage without a disk: what was asked for is there at once and durable when the test says so. Holds queues to what
// storage.hpp asks of them.
#pragma once

#include "broker/core/storage.hpp"

#include <map>
#include <stdexcept>
#include <utility>

namespace foz::broker {

class memory_storage final : public storage {
public:
    struct kept {
        std::map<position, std::pair<std::string, stored_entry>> entries;  // octets; and the rest, without a message
        log_summary summary;
        std::string note;
        bool durable = false;
        bool open = false;
    };

    void put_definition(std::string key, std::string value) override {
        dirty_ = true;
        records.insert_or_assign(std::move(key), std::move(value));
    }
    void remove_definition(std::string key) override {
        dirty_ = true;
        records.erase(key);
    }
    void definitions(const std::function<void(std::string_view, std::string_view)>& each) override {
        for (const auto& [key, value] : records) each(key, value);
    }
    std::unique_ptr<queue_log> open(queue_number number, bool durable) override {
        kept& data = logs[number];
        require(!data.open, "a log is opened twice");
        data.open = true;
        data.durable = durable;
        return std::make_unique<log>(*this, data);
    }
    void erase_unopened() override {
        std::erase_if(logs, [](const auto& one) { return !one.second.open; });
    }
    commit_number pending_commit() const noexcept override { return dirty_ ? committed_ + 1 : committed_; }
    commit_number committed() const noexcept override { return committed_; }

    void commit() {
        if (std::exchange(dirty_, false)) ++committed_;
    }
    // The process has ended and a new one begins; nothing that was asked for is lost but what is transient.
    void restart() {
        commit();
        ++processes_;
        std::erase_if(logs, [](const auto& one) { return !one.second.durable; });
        for (auto& [number, data] : logs) {
            data.open = false;
            drop_transient(data);
        }
        committed_ = 0;
    }

    std::map<std::string, std::string, std::less<>> records;
    std::map<queue_number, kept> logs;
    std::size_t reads = 0;

private:
    static void drop_transient(kept& data) {
        for (auto at = data.entries.begin(); at != data.entries.end();) {
            if (!at->second.second.transient) {
                ++at;
                continue;
            }
            --data.summary.count;
            data.summary.bytes -= message::from_octets(at->second.first).value()->body().size();
            at = data.entries.erase(at);
        }
    }
    static void require(bool condition, const char* what) {
        if (!condition) throw std::logic_error(what);
    }

    class log final : public queue_log {
    public:
        log(memory_storage& home, kept& data) : home_(home), data_(data), process_(home.processes_) {}
        // Somebody may hold its queue longer than the process lives.
        ~log() override {
            if (process_ == home_.processes_) data_.open = false;
        }

        void put(const stored_entry& entry) override {
            require(!erased_ && entry.at >= data_.summary.next, "put: positions have to grow");
            home_.dirty_ = true;
            const std::string_view octets = entry.what->octets();
            stored_entry rest = entry;
            rest.what = {};
            data_.entries.emplace(entry.at, std::pair(std::string(octets), std::move(rest)));
            data_.summary.next = entry.at + 1;
            ++data_.summary.count;
            data_.summary.bytes += entry.what->body().size();
            data_.summary.last_ms = entry.arrived_ms;
        }
        void remove(const stored_entry& gone) override {
            const auto found = data_.entries.find(gone.at);
            require(!erased_ && found != data_.entries.end(), "remove: no such entry");
            require(found->second.first == gone.what->octets(), "remove: not what was put");
            require(found->second.second.transient == gone.transient, "remove: it was put in another way");
            home_.dirty_ = true;
            data_.entries.erase(found);
            --data_.summary.count;
            data_.summary.bytes -= gone.what->body().size();
        }
        void remove_below(position end, std::uint64_t count, std::uint64_t bytes) override {
            home_.dirty_ = true;
            std::uint64_t gone = 0;
            std::uint64_t gone_bytes = 0;
            while (!data_.entries.empty() && data_.entries.begin()->first < end) {
                ++gone;
                gone_bytes += message::from_octets(data_.entries.begin()->second.first).value()->body().size();
                data_.entries.erase(data_.entries.begin());
            }
            require(gone == count && gone_bytes == bytes, "remove_below: a wrong count");
            data_.summary.count -= count;
            data_.summary.bytes -= bytes;
        }
        void returned(position at, std::uint32_t returns) override {
            const auto found = data_.entries.find(at);
            require(found != data_.entries.end(), "returned: no such entry");
            home_.dirty_ = true;
            found->second.second.returns = returns;
        }
        void delivered(position at) override {
            home_.dirty_ = true;
            if (at >= data_.summary.delivered_end) data_.summary.delivered_end = at + 1;
        }
        void erase() override {
            home_.dirty_ = true;
            erased_ = true;
            data_ = {.open = true};
        }
        log_page read(position from, std::size_t count_max, std::size_t bytes_max) override {
            ++home_.reads;
            log_page out{.entries = {}, .end = from};
            std::size_t bytes = 0;
            for (auto at = data_.entries.lower_bound(from); at != data_.entries.end(); ++at) {
                if (!out.entries.empty() && (out.entries.size() >= count_max || bytes >= bytes_max)) break;
                stored_entry made = at->second.second;
                made.what = *message::from_octets(at->second.first);
                bytes += at->second.first.size();
                out.end = at->first + 1;
                out.entries.push_back(std::move(made));
            }
            return out;
        }
        void missing(std::uint64_t) override { require(false, "missing: all is there"); }
        void set_note(std::string note) override {
            home_.dirty_ = true;
            data_.note = std::move(note);
        }
        const std::string& note() const noexcept override { return data_.note; }
        const log_summary& summary() const noexcept override { return data_.summary; }

    private:
        memory_storage& home_;
        kept& data_;
        const int process_;
        bool erased_ = false;
    };

    int processes_ = 0;
    bool dirty_ = false;
    commit_number committed_ = 0;
};

}  // namespace foz::broker
