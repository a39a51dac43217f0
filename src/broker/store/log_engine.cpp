#include "broker/store/log_engine.hpp"

#include "amqp/codec/wire.hpp"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

namespace foz::broker {
namespace {

// Of queues that are gone and of streams' old segments, in one batch: nobody who waits for it shall notice.
constexpr std::size_t trimmed_chunks_max = 256;
constexpr position no_end = std::numeric_limits<position>::max();
// Among the bodies, where no place has such a key.
constexpr std::string_view sync_key = "sync";

}  // namespace

log_engine::log_engine(std::unique_ptr<kv> records, std::optional<body_files> bodies, const chunk_limits& limits)
    : records_(std::move(records)), files_(std::move(bodies)), limits_(limits) {
    find_last_chunk();
    find_bodies();
}

void log_engine::find_last_chunk() {
    const auto look = records_->look();
    const auto last = look->at_or_before(table::chunks, number_key(std::numeric_limits<std::int64_t>::max()));
    if (last) last_chunk_ = amqp::load_big_endian<std::uint64_t>(last->key.data());
}

// A process that was killed may have left files that nothing refers to: written for a commit that has not come, or not
// removed after the last one.
void log_engine::find_bodies() {
    if (!read_references()) {
        all_known_ = rebuild_references();
        write_references();
    }
    if (!files_ || !all_known_) return;
    for (const body_number one : files_->found())
        if (!references_.contains(one)) files_->remove(one);
}

void log_engine::refer(const std::string& place, body_number to) {
    outside_.emplace(place, to);
    ++references_[to];
}

// One whose entry is not there is of a build from before, which has removed the entry and not the row: told as damaged,
// so that all are written anew.
bool log_engine::read_references() {
    bool whole = true;
    const auto look = records_->look();
    for (auto one = look->at_or_after(table::bodies, {}); one; one = look->next(table::bodies)) {
        if (one->key == sync_key) continue;
        const std::string place(one->key);
        const auto number = read_body_number(place, one->value);
        whole = whole && number && look->get(table::places, place);
        if (number) refer(place, *number);
    }
    return whole;
}

bool log_engine::rebuild_references() {
    outside_.clear();
    references_.clear();
    bool whole = true;
    const auto look = records_->look();
    for (auto one = look->at_or_after(table::places, {}); one; one = look->next(table::places)) {
        const auto where = read_place_key(one->key);
        const auto there = read_place(one->key, one->value);
        const auto record = where && there ? look->get(table::chunks, number_key(there->chunk)) : std::nullopt;
        auto chunk = record ? chunk_reader::open(where->queue, where->first, *record) : std::nullopt;
        const auto head = chunk ? chunk->next() : std::nullopt;
        whole = whole && head;
        if (!head || !head->outside) continue;
        const auto body = chunk->body_of(*head);
        whole = whole && body;
        if (body) refer(std::string(one->key), body->number);
    }
    return whole;
}

void log_engine::write_references() {
    const auto in = records_->change(true);
    while (const auto one = in->at_or_after(table::bodies, {})) in->erase(table::bodies, std::string(one->key));
    for (const auto& [place, number] : outside_) in->put(table::bodies, place, write_body_number(place, number));
    in->commit();
}

// Those that entries refer to count, too, if their files are gone: a number would lead to another body.
std::vector<body_number> log_engine::bodies() {
    std::vector<body_number> out = files_ ? files_->found() : std::vector<body_number>();
    for (const auto& [number, times] : references_) out.push_back(number);
    return out;
}

std::vector<body_number> log_engine::unreferenced() {
    return std::exchange(free_, {});
}

std::expected<void, disk_error> log_engine::keep_body(body_number number, std::string_view body) {
    if (!files_) return std::unexpected(disk_error{.text = "there is no place for large bodies", .final = true});
    return files_->write(number, body);
}

void log_engine::remove_body(body_number number) {
    if (files_) files_->remove(number);
}

// A file may go when it is certain that its last entry does not come back: after a commit that was waited for.
void log_engine::settle_references(const std::vector<body_number>& doubtful, bool durable) {
    for (const body_number one : doubtful)
        if (!references_.contains(one)) unreferenced_.insert(one);
    for (const reference& one : std::exchange(changed_references_, {})) {
        if (one.added) {
            refer(one.place, one.to);
            unreferenced_.erase(one.to);
            continue;
        }
        outside_.erase(one.place);
        if (--references_[one.to] != 0) continue;
        references_.erase(one.to);
        unreferenced_.insert(one.to);
    }
    if (!durable) return;
    if (all_known_) free_.insert(free_.end(), unreferenced_.begin(), unreferenced_.end());
    unreferenced_.clear();
}

std::expected<bool, disk_error> log_engine::apply(const batch& what) try {
    const bool later = records_->tidy(what.empty());
    const auto before = std::pair(last_chunk_, trimmed_);
    // When nobody waits, it is a moment to wait for the disk for the sake of files that may go.
    const bool syncs = what.empty() && !unreferenced_.empty();
    const bool durable = what.durable || syncs;
    const auto in = records_->change(durable);
    if (syncs) in->put(table::bodies, sync_key, "");  // without a change there would be no sync
    bool more = false;
    try {
        for (const auto& [key, value] : what.definitions) {
            if (value)
                in->put(table::definitions, key, seal(key, *value));
            else if (in->get(table::definitions, key))
                in->erase(table::definitions, key);
        }
        for (const auto& [queue, changes] : what.logs) apply(*in, queue, changes);
        more = trim(*in);
        in->commit();
    } catch (const kv_failure&) {
        std::tie(last_chunk_, trimmed_) = before;
        changed_references_.clear();
        throw;
    }
    settle_references(what.doubtful, durable);
    return more || later || !unreferenced_.empty();
} catch (const kv_failure& why) {
    return std::unexpected(disk_error{.text = why.what(), .final = why.final()});
}

void log_engine::apply(kv_change& in, queue_number queue, const log_changes& changes) {
    if (changes.erased) {
        trimmed_[queue] = no_end;
        notes_.erase(queue);
        return;
    }
    if (changes.remove_below) trimmed_[queue] = std::max(trimmed_[queue], *changes.remove_below);
    settle(in, queue, changes);
    put(in, queue, changes.puts);
    if (changes.note) notes_[queue] = *changes.note;
    const auto note = notes_.find(queue);
    in.put(table::logs, number_key(queue),
           write_log(queue, changes, note == notes_.end() ? std::string_view() : std::string_view(note->second)));
}

void log_engine::put(kv_change& in, queue_number queue, const std::vector<stored_entry>& entries) {
    chunk_writer chunk(queue);
    const auto finish = [&] {
        if (chunk.empty()) return;
        store_place(in, place_key(queue, chunk.first()),
                    {.chunk = ++last_chunk_, .span = chunk.span(), .live = chunk.count()});
        in.put(table::chunks, number_key(last_chunk_), chunk.finish());
    };
    for (const stored_entry& one : entries) {
        if (!one.what) continue;
        const body_number outside = one.what->body_file();
        if (!chunk.empty() && (outside != 0 || chunk.bytes() + one.what->octets().size() > limits_.bytes ||
                               one.at - chunk.first() >= limits_.span))
            finish();
        chunk.add(one);
        if (outside == 0) continue;
        finish();
        std::string key = place_key(queue, one.at);
        in.put(table::bodies, key, write_body_number(key, outside));
        changed_references_.push_back({.place = std::move(key), .to = outside, .added = true});
    }
    finish();
}

void log_engine::store_place(kv_change& in, std::string_view key, const place& what) {
    if (what.live > 0) return in.put(table::places, key, write_place(key, what));
    in.erase(table::chunks, number_key(what.chunk));
    erase_place(in, key);
}

void log_engine::erase_place(kv_change& in, std::string_view key) {
    in.erase(table::places, key);
    const auto outside = outside_.empty() ? outside_.end() : outside_.find(std::string(key));
    if (outside == outside_.end()) return;
    in.erase(table::bodies, key);
    changed_references_.push_back({.place = outside->first, .to = outside->second});
}

void log_engine::settle(kv_change& in, queue_number queue, const log_changes& changes) {
    std::vector<position> removes = changes.removes;
    std::ranges::sort(removes);
    auto returned = changes.returned;
    std::ranges::stable_sort(returned, {}, &std::pair<position, std::uint32_t>::first);
    auto gone = removes.begin();
    auto back = returned.begin();
    while (gone != removes.end() || back != returned.end()) {
        const position at =
            gone == removes.end() || (back != returned.end() && back->first < *gone) ? back->first : *gone;
        position end = at + 1;
        const auto found = in.at_or_before(table::places, place_key(queue, at));
        const auto where = found ? read_place_key(found->key) : std::nullopt;
        auto there = where && where->queue == queue ? read_place(found->key, found->value) : std::nullopt;
        if (there) end = std::max(end, where->first + there->span);
        for (; back != returned.end() && back->first < end; ++back)
            if (there) there->set_returns(static_cast<std::uint32_t>(back->first - where->first), back->second);
        for (; gone != removes.end() && *gone < end; ++gone)
            if (there) there->remove(static_cast<std::uint32_t>(*gone - where->first));
        if (there) store_place(in, place_key(queue, where->first), *there);
    }
}

std::size_t log_engine::remove_below(kv_change& in, queue_number queue, position end, std::size_t chunks_max) {
    std::size_t chunks = 0;
    for (; chunks < chunks_max; ++chunks) {
        const auto found = in.at_or_after(table::places, place_key(queue, 0));
        const auto where = found ? read_place_key(found->key) : std::nullopt;
        if (!where || where->queue != queue || where->first >= end) break;
        auto there = read_place(found->key, found->value);
        const std::string key = place_key(queue, where->first);
        if (!there) {  // damaged: what it pointed to stays behind, unreachable
            erase_place(in, key);
            continue;
        }
        if (where->first + there->span <= end) there->live = 0;
        for (position at = where->first; at < end && there->live > 0; ++at)
            there->remove(static_cast<std::uint32_t>(at - where->first));
        store_place(in, key, *there);
        if (there->live > 0) break;
    }
    return chunks;
}

bool log_engine::trim(kv_change& in) {
    std::size_t left = trimmed_chunks_max;
    while (!trimmed_.empty()) {
        const auto [queue, end] = *trimmed_.begin();
        left -= remove_below(in, queue, end, left);
        if (left == 0) return true;
        const std::string key = number_key(queue);
        if (end == no_end && in.get(table::logs, key)) in.erase(table::logs, key);
        trimmed_.erase(trimmed_.begin());
    }
    return false;
}

std::expected<read_entries, disk_error> log_engine::read(queue_number queue, position from,
                                                         const read_limits& limits) try {
    read_entries out{.end = from};
    const auto in = records_->look();
    auto found = in->at_or_before(table::places, place_key(queue, from));
    if (!found || read_place_key(found->key)->queue != queue)
        found = in->at_or_after(table::places, place_key(queue, from));
    for (; found; found = in->next(table::places)) {
        const auto where = read_place_key(found->key);
        if (!where || where->queue != queue || where->first >= limits.end) break;
        const auto there = read_place(found->key, found->value);
        if (!there) {
            if (where->first >= from) out.lost.push_back(where->first);
            continue;
        }
        if (where->first + there->span <= from) continue;
        if (!read_chunk(*in, *where, *there, from, limits, out)) return out;
    }
    out.end = limits.end;
    return out;
} catch (const kv_failure& why) {
    return std::unexpected(disk_error{.text = why.what(), .final = why.final()});
}

bool log_engine::read_chunk(kv_look& in, const place_address& where, const place& what, position from,
                            const read_limits& limits, read_entries& out) const {
    const auto record = in.get(table::chunks, number_key(what.chunk));
    auto chunk = record ? chunk_reader::open(where.queue, where.first, *record) : std::nullopt;
    if (!chunk) {
        // Nobody knows which of them were there: as many as are still counted.
        std::uint32_t left = what.live;
        for (std::uint32_t i = 0; i < what.span && left > 0; ++i) {
            if (what.has_gone(i)) continue;
            --left;
            if (where.first + i >= from && where.first + i < limits.end) out.lost.push_back(where.first + i);
        }
        return true;
    }
    while (const auto head = chunk->next()) {
        const position at = where.first + head->distance;
        if (at < from || what.has_gone(head->distance)) continue;
        if (at >= limits.end) break;
        if (out.entries.size() >= limits.count_max || (!out.entries.empty() && out.bytes >= limits.bytes_max))
            return false;
        out.end = at + 1;
        if (head->transient && at < limits.stale_end) {
            out.stale.push_back(at);
            continue;
        }
        auto made = entry_of(*chunk, *head);
        if (!made) {
            out.lost.push_back(at);
            continue;
        }
        made->returns = what.returns_of(head->distance);
        out.bytes += made->what->octets().size();
        out.entries.push_back(std::move(*made));
    }
    return true;
}

std::optional<stored_entry> log_engine::entry_of(const chunk_reader& chunk, const chunk_reader::head& head) const {
    if (!head.outside) return chunk.entry_of(head);
    const auto where = chunk.body_of(head);
    if (!where || !files_) return std::nullopt;
    const auto body = files_->read(where->number, where->size);
    if (!body) throw kv_failure(body.error().text, true);
    return *body ? chunk.entry_of(head, **body) : std::nullopt;
}

// Of a damaged log record: what the places say. Nobody knows how many octets these are.
log_record log_engine::rebuilt(kv_look& in, queue_number queue) {
    log_record out;
    for (auto found = in.at_or_after(table::places, place_key(queue, 0)); found; found = in.next(table::places)) {
        const auto where = read_place_key(found->key);
        if (!where || where->queue != queue) break;
        const auto there = read_place(found->key, found->value);
        out.summary.count += there ? there->live : 0;
        out.summary.next = where->first + (there ? there->span : 1);
    }
    return out;
}

std::expected<std::size_t, disk_error> log_engine::definitions(
    const std::function<void(std::string_view, std::string_view)>& each) try {
    std::size_t damaged = 0;
    const auto in = records_->look();
    for (auto found = in->at_or_after(table::definitions, {}); found; found = in->next(table::definitions)) {
        if (const auto value = unseal(found->key, found->value))
            each(found->key, *value);
        else
            ++damaged;
    }
    return damaged;
} catch (const kv_failure& why) {
    return std::unexpected(disk_error{.text = why.what(), .final = why.final()});
}

std::expected<std::size_t, disk_error> log_engine::logs(
    const std::function<void(queue_number, const recovered_log&)>& each) try {
    std::size_t damaged = 0;
    const auto in = records_->look();
    for (auto found = in->at_or_after(table::logs, number_key(0)); found; found = in->next(table::logs)) {
        const bool whole = found->key.size() == sizeof(queue_number);
        const auto queue = whole ? amqp::load_big_endian<queue_number>(found->key.data()) : 0;
        auto record = whole ? read_log(queue, found->value) : std::nullopt;
        if (!record) ++damaged;
        if (!whole) continue;
        if (!record) record = rebuilt(*in, queue);
        if (!record->note.empty()) notes_[queue] = record->note;
        record->summary.count -= std::min(record->summary.count, record->transient_count);
        record->summary.bytes -= std::min(record->summary.bytes, record->transient_bytes);
        each(queue, {.summary = record->summary, .note = std::move(record->note)});
    }
    return damaged;
} catch (const kv_failure& why) {
    return std::unexpected(disk_error{.text = why.what(), .final = why.final()});
}

}  // namespace foz::broker
