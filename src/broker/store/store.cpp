#include "broker/store/store.hpp"

#include "base/thread.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace foz::broker {
namespace {

constexpr std::chrono::milliseconds retry_interval{500};
constexpr int last_tidying_max = 64;  // batches, of a few milliseconds each
// Among the definitions; the model's keys begin with letters. It is there while no process uses the store, and was left
// by one that had written everything.
constexpr std::string_view clean_key("\0clean", 6);

// Of memory, until it is written.
std::size_t held_bytes(const stored_entry& entry) {
    return sizeof(stored_entry) + entry.what->bytes();
}

}  // namespace

// An erased queue's log stays in the batches that name it; the object is gone.
class store::log final : public queue_log {
public:
    log(store& home, queue_number number, recovered_log known)
        : home_(home),
          number_(number),
          summary_(known.summary),
          stale_end_(known.summary.next),
          note_(std::move(known.note)) {}
    ~log() override {
        if (const auto at = home_.open_->logs.find(number_); at != home_.open_->logs.end()) fill(at->second);
        home_.logs_.erase(number_);
    }

    void put(const stored_entry& entry) override {
        log_changes& now = changes();
        now.puts.push_back(entry);
        if (const body_number file = entry.what->body_file(); file != 0) {
            if (home_.bodies_->has(file))
                ++home_.open_bodies_[file];
            else  // it was removed with the last entry that referred to it
                entry.what.set_body_file(0);
        }
        const std::size_t bytes = entry.what->body().size();
        ++summary_.count;
        summary_.bytes += bytes;
        summary_.next = entry.at + 1;
        summary_.last_ms = entry.arrived_ms;
        if (entry.transient) {
            ++transient_count_;
            transient_bytes_ += bytes;
        } else {
            ++home_.open_->durable_puts;
        }
        home_.open_bytes_ += held_bytes(entry);
        home_.check_pressure();
    }

    void remove(const stored_entry& gone) override {
        log_changes& now = changes();
        const std::size_t bytes = gone.what->body().size();
        count_out(1, bytes);
        if (gone.transient) {
            --transient_count_;
            transient_bytes_ -= bytes;
        }
        const auto put = std::ranges::lower_bound(now.puts, gone.at, {}, &stored_entry::at);
        if (put != now.puts.end() && put->at == gone.at) {
            drop(*put);
        } else {
            now.removes.push_back(gone.at);
        }
    }

    void remove_below(position end, std::uint64_t count, std::uint64_t bytes) override {
        log_changes& now = changes();
        now.remove_below = end;
        for (stored_entry& one : now.puts) {
            if (one.at >= end) break;
            drop(one);
        }
        count_out(count, bytes);
    }

    void returned(position at, std::uint32_t returns) override { changes().returned.emplace_back(at, returns); }

    void delivered(position at) override {
        if (at < summary_.delivered_end) return;
        summary_.delivered_end = at + 1;
        changes();
    }

    void erase() override {
        log_changes& now = changes();
        for (stored_entry& one : now.puts) drop(one);
        now = {};
        now.erased = true;
    }

    log_page read(position from, std::size_t count_max, std::size_t bytes_max) override;

    void missing(std::uint64_t count) override {
        changes();
        count_out(count, 0);
        if (!home_.broken_) home_.events_.on_damage(number_, summary_.next, count);
    }
    const log_summary& summary() const noexcept override { return summary_; }
    void set_note(std::string note) override {
        note_ = std::move(note);
        changes().note = note_;
    }
    const std::string& note() const noexcept override { return note_; }

    void fill(log_changes& out) const {
        out.summary = summary_;
        out.transient_count = transient_count_;
        out.transient_bytes = transient_bytes_;
    }

private:
    log_changes& changes() { return home_.changes_of(number_); }
    const log_changes* find(const std::unique_ptr<batch>& in) const {
        if (!in) return nullptr;
        const auto at = in->logs.find(number_);
        return at == in->logs.end() ? nullptr : &at->second;
    }
    // It need not be written any more.
    void drop(stored_entry& put) {
        if (!put.what) return;
        home_.open_bytes_ -= held_bytes(put);
        if (!put.transient) --home_.open_->durable_puts;
        if (const body_number file = put.what->body_file(); file != 0 && --home_.open_bodies_[file] == 0)
            home_.doubt(file);
        put.what = {};
    }
    void count_out(std::uint64_t count, std::uint64_t bytes) {
        summary_.count -= std::min(summary_.count, count);
        summary_.bytes = summary_.count == 0 ? 0 : summary_.bytes - std::min(summary_.bytes, bytes);
    }
    void read_disk(position end, std::size_t count_max, std::size_t bytes_max, log_page& out);
    void lose(const std::vector<position>& lost, log_page& out);

    store& home_;
    const queue_number number_;
    log_summary summary_;
    const position stale_end_;  // transient entries before it are of a process that has ended
    std::uint64_t transient_count_ = 0;
    std::uint64_t transient_bytes_ = 0;
    std::string note_;
};

log_page store::log::read(position from, std::size_t count_max, std::size_t bytes_max) {
    // What is being written may or may not be on disk by now: it is taken from here.
    const log_changes* const newer[] = {find(home_.writing_), find(home_.open_)};
    position end = summary_.next;
    for (const log_changes* const one : {newer[1], newer[0]})
        if (one && !one->puts.empty()) end = one->puts.front().at;
    log_page out{.entries = {}, .end = from};
    read_disk(end, count_max, bytes_max, out);
    if (out.end < end) return out;
    std::size_t bytes = 0;
    for (const stored_entry& one : out.entries) bytes += one.what->octets().size();
    for (const log_changes* const changes : newer) {
        if (!changes) continue;
        for (auto at = std::ranges::lower_bound(changes->puts, from, {}, &stored_entry::at); at != changes->puts.end();
             ++at) {
            if (out.entries.size() >= count_max || (!out.entries.empty() && bytes >= bytes_max)) return out;
            out.end = at->at + 1;
            if (!at->what) continue;
            bytes += at->what->octets().size();
            out.entries.push_back(*at);
        }
    }
    return out;
}

// What is stale or damaged is passed over, however much of it there is.
void store::log::read_disk(position end, std::size_t count_max, std::size_t bytes_max, log_page& out) {
    while (out.entries.empty() && out.end < end && !home_.broken_) {
        const read_limits limits{.end = end, .stale_end = stale_end_, .count_max = count_max, .bytes_max = bytes_max};
        auto found = home_.disk_->read(number_, out.end, limits);
        if (!found) return home_.broken(found.error().text);
        if (!found->stale.empty()) {
            auto& removes = changes().removes;
            removes.insert(removes.end(), found->stale.begin(), found->stale.end());
        }
        if (!found->lost.empty()) lose(found->lost, out);
        out.entries = std::move(found->entries);
        out.end = found->end;
    }
}

void store::log::lose(const std::vector<position>& lost, log_page& out) {
    auto& removes = changes().removes;
    removes.insert(removes.end(), lost.begin(), lost.end());
    out.lost += lost.size();
    // How large they were is not known: as large as the others.
    count_out(lost.size(), summary_.count == 0 ? 0 : summary_.bytes / summary_.count * lost.size());
    home_.events_.on_damage(number_, lost.front(), lost.size());
}

store::store(std::unique_ptr<engine> disk, poster post, store_events& events, const store_limits& limits)
    : disk_(std::move(disk)),
      post_(std::move(post)),
      events_(events),
      limits_(limits),
      open_(std::make_unique<batch>()) {
    open_->number = 1;
    recover();
    bodies_ = std::make_unique<staged_bodies>(
        *disk_,
        [this](std::function<void()> work) {
            post_([alive = link_, work = std::move(work)] {
                if (alive->alive) work();
            });
        },
        [this](const std::string& why) { events_.on_staging_trouble(why); });
    writer_ = std::thread([this] {
        introduce_thread("store", true);
        write();
    });
}

void store::recover() {
    const auto require = [](auto done) {
        if (!done) throw std::runtime_error(done.error().text);
        return *done;
    };
    damaged_records_ += require(
        disk_->definitions([this](std::string_view key, std::string_view value) { definitions_.emplace(key, value); }));
    damaged_records_ +=
        require(disk_->logs([this](queue_number queue, const recovered_log& found) { known_.emplace(queue, found); }));
    const bool marked = definitions_.erase(std::string(clean_key)) > 0;
    was_clean_ = marked || (known_.empty() && definitions_.empty());
    if (marked) {
        batch first;
        first.durable = true;
        first.definitions.emplace(clean_key, std::nullopt);
        require(disk_->apply(first));
    }
    if (was_clean_) return;
    for (auto& [queue, one] : known_) one.summary.delivered_end = one.summary.next;
}

store::~store() {
    link_->alive = false;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    writer_.join();  // it has written, or given up on, what it had
    bodies_.reset();
    if (next_ || broken_) return;
    fill(*open_);
    open_->durable = true;
    open_->definitions.insert_or_assign(std::string(clean_key), std::string());
    auto done = disk_->apply(*open_);
    for (int i = 0; i < last_tidying_max && done.value_or(false); ++i) done = disk_->apply(batch{});
    for (const body_number one : disk_->unreferenced()) disk_->remove_body(one);
}

void store::stage(const message_ref& what, std::function<void()> done) {
    bodies_->stage(what, [this, done = std::move(done)](body_number number, bool kept) { staged(number, kept, done); });
}

void store::finish_staging() {
    bodies_->finish();
}

void store::staged(body_number number, bool kept, const std::function<void()>& done) {
    staged_ = number;
    done();
    staged_ = 0;
    if (kept && !open_bodies_.contains(number)) doubt(number);
}

// Nothing may refer to it any more: the engine knows.
void store::doubt(body_number number) {
    open_bodies_.erase(number);
    changed();
    open_->doubtful.push_back(number);
}

void store::let_go(const std::vector<body_number>& unreferenced) {
    for (const body_number one : unreferenced)
        if (one != staged_ && !open_bodies_.contains(one) && !writing_bodies_.contains(one)) bodies_->remove(one);
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
    open_->durable = true;
    open_->definitions.insert_or_assign(std::move(key), std::move(value));
}

void store::remove_definition(std::string key) {
    changed();
    open_->durable = true;
    open_->definitions.insert_or_assign(std::move(key), std::nullopt);
}

void store::definitions(const std::function<void(std::string_view key, std::string_view value)>& each) {
    for (const auto& [key, value] : definitions_) each(key, value);
}

// What is not durable has no definition: at the next start it is erase_unopened() that finds its log.
std::unique_ptr<queue_log> store::open(queue_number number, bool) {
    recovered_log found;
    if (const auto at = known_.find(number); at != known_.end()) {
        found = std::move(at->second);
        known_.erase(at);
    }
    auto made = std::make_unique<log>(*this, number, std::move(found));
    logs_.emplace(number, made.get());
    // That everything may have been delivered has to be known at the next start too.
    if (!was_clean_ && made->summary().count > 0) changes_of(number);
    return made;
}

void store::erase_unopened() {
    for (const auto& [number, one] : known_) changes_of(number).erased = true;
    known_.clear();
    definitions_.clear();
}

commit_number store::pending_commit() const noexcept {
    if (!open_->empty()) return open_->number;
    return writing_ ? writing_->number : committed_;
}

void store::fill(batch& what) const {
    for (auto& [number, changes] : what.logs)
        if (const auto at = logs_.find(number); at != logs_.end()) at->second->fill(changes);
}

void store::seal() {
    if (writing_ || open_->empty()) return;
    fill(*open_);
    if (open_->durable_puts > 0) open_->durable = true;
    const commit_number number = open_->number;
    writing_ = std::exchange(open_, std::make_unique<batch>());
    open_->number = number + 1;
    writing_bytes_ = std::exchange(open_bytes_, 0);
    writing_bodies_ = std::exchange(open_bodies_, {});
    {
        const std::lock_guard lock(mutex_);
        next_ = writing_.get();
    }
    wake_.notify_one();
}

void store::finished(const std::expected<bool, disk_error>& done) {
    if (!done) {
        if (done.error().final) return broken(done.error().text);
        const bool news = trouble_ != done.error().text;
        trouble_ = done.error().text;
        if (news) events_.on_trouble(trouble_);
        return;
    }
    if (!std::exchange(trouble_, {}).empty()) events_.on_trouble({});
    committed_ = writing_->number;
    writing_.reset();
    writing_bytes_ = 0;
    writing_bodies_.clear();
    seal();
    check_pressure();
    events_.on_committed();
}

void store::check_pressure() {
    if (pressed_ ? waiting_bytes() >= limits_.waiting_bytes_low : waiting_bytes() <= limits_.waiting_bytes_high) return;
    pressed_ = !pressed_;
    events_.on_pressure(pressed_);
}

void store::broken(const std::string& why) {
    if (!std::exchange(broken_, true)) events_.on_broken(why);
}

// On the writer's thread.
void store::write() {
    const batch nothing{.durable = false};
    bool more = false;
    const auto tell_unreferenced = [this] {
        if (auto bodies = disk_->unreferenced(); !bodies.empty())
            post_([this, alive = link_, bodies = std::move(bodies)] {
                if (alive->alive) let_go(bodies);
            });
    };
    std::unique_lock lock(mutex_);
    for (;;) {
        // What is left to tidy up is done when nobody wants anything.
        if (more && !next_ && !stopping_) {
            lock.unlock();
            more = disk_->apply(nothing).value_or(false);
            tell_unreferenced();
            lock.lock();
            continue;
        }
        wake_.wait(lock, [this] { return next_ || stopping_; });
        if (!next_) return;
        const batch& what = *next_;
        for (;;) {
            lock.unlock();
            const auto done = disk_->apply(what);
            more = done.value_or(false);
            lock.lock();
            if (done) next_ = nullptr;
            lock.unlock();
            tell_unreferenced();
            post_([this, alive = link_, done] {
                if (alive->alive) finished(done);
            });
            lock.lock();
            if (done) break;
            if (done.error().final) return;
            if (stopping_ || wake_.wait_for(lock, retry_interval, [this] { return stopping_; })) return;
        }
    }
}

}  // namespace foz::broker
