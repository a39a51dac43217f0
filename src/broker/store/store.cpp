#include "broker/store/store.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace foz::broker {
namespace {

constexpr std::chrono::milliseconds retry_interval{500};

}  // namespace

// An erased queue's log stays in the batches that name it; the object is gone.
class store::log final : public queue_log {
public:
    log(store& home, queue_number number, const log_summary& summary)
        : home_(home), number_(number), summary_(summary) {}
    ~log() override {
        if (const auto at = home_.open_->logs.find(number_); at != home_.open_->logs.end())
            at->second.summary = summary_;
        home_.logs_.erase(number_);
    }

    void put(const stored_entry& entry) override {
        const std::size_t bytes = entry.what->octets().size();
        changes().puts.push_back(entry);
        ++summary_.count;
        summary_.bytes += bytes;
        summary_.next = entry.at + 1;
        home_.open_bytes_ += bytes;
    }

    void remove(position at, std::size_t bytes) override {
        log_changes& now = changes();
        --summary_.count;
        summary_.bytes -= bytes;
        const auto put = std::ranges::lower_bound(now.puts, at, {}, &stored_entry::at);
        if (put != now.puts.end() && put->at == at) {
            put->what = {};
            home_.open_bytes_ -= std::min(home_.open_bytes_, bytes);
        } else {
            now.removes.push_back(at);
        }
    }

    void remove_below(position end, std::uint64_t count, std::uint64_t bytes) override {
        log_changes& now = changes();
        now.remove_below = end;
        for (stored_entry& one : now.puts)
            if (one.at < end) one.what = {};
        summary_.count -= count;
        summary_.bytes -= bytes;
    }

    void returned(position at, std::uint32_t returns) override { changes().returned.emplace_back(at, returns); }

    void delivered(position at) override {
        if (at < summary_.delivered_end) return;
        summary_.delivered_end = at + 1;
        changes();
    }

    void erase() override {
        log_changes& now = changes();
        now = {};
        now.erased = true;
    }

    std::vector<stored_entry> read(position from, std::size_t count_max, std::size_t bytes_max) override {
        // What is being written may or may not be on disk by now: it is taken from here.
        const log_changes* const newer[] = {find(home_.writing_), find(home_.open_)};
        position end = summary_.next;
        for (const log_changes* const one : {newer[1], newer[0]})
            if (one && !one->puts.empty()) end = one->puts.front().at;
        std::vector<stored_entry> out;
        if (from < end) out = home_.disk_->read(number_, from, end, count_max, bytes_max);
        std::size_t bytes = 0;
        for (const stored_entry& one : out) bytes += one.what->octets().size();
        for (const log_changes* const changes : newer) {
            if (!changes) continue;
            for (auto at = std::ranges::lower_bound(changes->puts, from, {}, &stored_entry::at);
                 at != changes->puts.end(); ++at) {
                if (out.size() >= count_max || (!out.empty() && bytes >= bytes_max)) return out;
                if (!at->what) continue;
                bytes += at->what->octets().size();
                out.push_back(*at);
            }
        }
        return out;
    }

    const log_summary& summary() const noexcept override { return summary_; }

private:
    log_changes& changes() { return home_.changes_of(number_); }
    const log_changes* find(const std::unique_ptr<batch>& in) const {
        if (!in) return nullptr;
        const auto at = in->logs.find(number_);
        return at == in->logs.end() ? nullptr : &at->second;
    }

    store& home_;
    const queue_number number_;
    log_summary summary_;
};

store::store(std::unique_ptr<engine> disk, poster post, store_events& events)
    : disk_(std::move(disk)), post_(std::move(post)), events_(events), open_(std::make_unique<batch>()) {
    open_->number = 1;
    disk_->summaries([this](queue_number queue, const log_summary& summary) { known_.emplace(queue, summary); });
    writer_ = std::thread([this] { write(); });
}

store::~store() {
    link_->alive = false;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    writer_.join();  // it has written, or given up on, what it had
    if (writing_ && in_trouble_) return;
    for (auto& [number, changes] : open_->logs)
        if (const auto at = logs_.find(number); at != logs_.end()) changes.summary = at->second->summary();
    if (!open_->empty()) (void)disk_->apply(*open_);
}

log_changes& store::changes_of(queue_number queue) {
    changed();
    return open_->logs[queue];
}

void store::changed() {
    if (writing_ || std::exchange(seal_posted_, true)) return;
    post_([this, alive = link_] {
        if (!alive->alive) return;
        seal_posted_ = false;
        seal();
    });
}

void store::put_definition(std::string key, std::string value) {
    changed();
    open_->definitions.insert_or_assign(std::move(key), std::move(value));
}

void store::remove_definition(std::string key) {
    changed();
    open_->definitions.insert_or_assign(std::move(key), std::nullopt);
}

void store::definitions(const std::function<void(std::string_view key, std::string_view value)>& each) {
    disk_->definitions(each);
}

std::unique_ptr<queue_log> store::open(queue_number number, bool) {
    log_summary summary;
    if (const auto at = known_.find(number); at != known_.end()) {
        summary = at->second;
        known_.erase(at);
    }
    auto made = std::make_unique<log>(*this, number, summary);
    logs_.emplace(number, made.get());
    return made;
}

void store::erase_unopened() {
    for (const auto& [number, summary] : known_) changes_of(number).erased = true;
    known_.clear();
}

commit_number store::pending_commit() const noexcept {
    if (!open_->empty()) return open_->number;
    return writing_ ? writing_->number : committed_;
}

void store::seal() {
    if (writing_ || open_->empty()) return;
    for (auto& [number, changes] : open_->logs)
        if (const auto at = logs_.find(number); at != logs_.end()) changes.summary = at->second->summary();
    const commit_number number = open_->number;
    writing_ = std::exchange(open_, std::make_unique<batch>());
    open_->number = number + 1;
    writing_bytes_ = std::exchange(open_bytes_, 0);
    {
        const std::lock_guard lock(mutex_);
        next_ = writing_.get();
    }
    wake_.notify_one();
}

void store::finished(const std::string& why) {
    if (!why.empty()) {
        in_trouble_ = true;
        return events_.on_trouble(why);
    }
    if (std::exchange(in_trouble_, false)) events_.on_trouble({});
    committed_ = writing_->number;
    writing_.reset();
    writing_bytes_ = 0;
    seal();
    events_.on_committed();
}

// On the writer's thread.
void store::write() {
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return next_ || stopping_; });
        if (!next_) return;
        const batch& what = *next_;
        for (;;) {
            lock.unlock();
            const auto done = disk_->apply(what);
            lock.lock();
            if (done) next_ = nullptr;
            lock.unlock();
            post_([this, alive = link_, why = done ? std::string() : done.error()] {
                if (alive->alive) finished(why);
            });
            lock.lock();
            if (done) break;
            if (stopping_ || wake_.wait_for(lock, retry_interval, [this] { return stopping_; })) return;
        }
    }
}

}  // namespace foz::broker
