#include "broker/store/records.hpp"

#include "amqp/codec/wire.hpp"

#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace foz::broker {
namespace {

constexpr std::size_t check_size = sizeof(std::uint32_t);
constexpr std::size_t entry_head_size = 4 + 1 + 8 + 4 + check_size;  // distance, flags, arrival, size
constexpr std::uint8_t transient_flag = 1;
constexpr std::uint8_t outside_flag = 2;
constexpr std::size_t outside_head_size = sizeof(body_number) + sizeof(std::uint64_t);  // number, size of the body

std::uint32_t check_of(std::string_view octets, std::uint64_t seed) {
    return static_cast<std::uint32_t>(XXH3_64bits_withSeed(octets.data(), octets.size(), seed));
}

std::uint64_t seed_of(std::string_view key) {
    return XXH3_64bits(key.data(), key.size());
}

std::uint64_t seed_of(queue_number queue, position at) {
    return seed_of(place_key(queue, at));
}

std::string sealed(std::uint64_t seed, std::string_view first, std::string_view second = {}) {
    std::string out(check_size, '\0');
    out.reserve(check_size + first.size() + second.size());
    out.append(first);
    amqp::store_big_endian(out.data(), check_of(std::string_view(out).substr(check_size), seed));
    out.append(second);
    return out;
}

std::optional<std::string_view> unsealed(std::uint64_t seed, std::string_view record, std::size_t size) {
    if (record.size() < check_size || record.size() - check_size < size) return std::nullopt;
    const std::string_view value = record.substr(check_size, size);
    if (amqp::load_big_endian<std::uint32_t>(record.data()) != check_of(value, seed)) return std::nullopt;
    return value;
}

}  // namespace

std::string seal(std::string_view key, std::string_view value) {
    return sealed(seed_of(key), value);
}

std::optional<std::string_view> unseal(std::string_view key, std::string_view record) {
    return unsealed(seed_of(key), record, record.size() - std::min(record.size(), check_size));
}

std::string number_key(std::uint64_t number) {
    std::string key(sizeof(number), '\0');
    amqp::store_big_endian(key.data(), number);
    return key;
}

std::string place_key(queue_number queue, position first) {
    std::string key(sizeof(queue) + sizeof(first), '\0');
    amqp::store_big_endian(key.data(), queue);
    amqp::store_big_endian(key.data() + sizeof(queue), first);
    return key;
}

std::optional<place_address> read_place_key(std::string_view key) {
    if (key.size() != sizeof(queue_number) + sizeof(position)) return std::nullopt;
    return place_address{.queue = amqp::load_big_endian<queue_number>(key.data()),
                         .first = amqp::load_big_endian<position>(key.data() + sizeof(queue_number))};
}

std::string write_body_number(std::string_view key, body_number number) {
    std::string out(sizeof(number), '\0');
    amqp::store_big_endian(out.data(), number);
    return seal(key, out);
}

std::optional<body_number> read_body_number(std::string_view key, std::string_view record) {
    const auto value = unseal(key, record);
    if (!value || value->size() != sizeof(body_number)) return std::nullopt;
    return amqp::load_big_endian<body_number>(value->data());
}

std::string write_log(queue_number queue, const log_changes& changes, std::string_view note) {
    std::string out;
    amqp::writer to(out);
    const log_summary& is = changes.summary;
    for (const std::uint64_t value :
         {is.count, is.bytes, is.next, is.delivered_end, static_cast<std::uint64_t>(is.last_ms),
          changes.transient_count, changes.transient_bytes})
        to.u64(value);
    to.octets(note);
    return seal(number_key(queue), out);
}

std::optional<log_record> read_log(queue_number queue, std::string_view record) {
    const auto value = unseal(number_key(queue), record);
    if (!value) return std::nullopt;
    amqp::reader in(*value);
    log_record out;
    out.summary.count = in.u64();
    out.summary.bytes = in.u64();
    out.summary.next = in.u64();
    out.summary.delivered_end = in.u64();
    out.summary.last_ms = static_cast<std::int64_t>(in.u64());
    out.transient_count = in.u64();
    out.transient_bytes = in.u64();
    if (in.failed()) return std::nullopt;
    out.note = value->substr(7 * sizeof(std::uint64_t));
    return out;
}

bool place::remove(std::uint32_t distance) {
    if (distance >= span || has_gone(distance)) return false;
    if (gone.empty()) gone.resize(span);
    gone[distance] = true;
    --live;
    return true;
}

std::uint32_t place::returns_of(std::uint32_t distance) const {
    const auto at = std::ranges::find(returns, distance, &std::pair<std::uint32_t, std::uint32_t>::first);
    return at == returns.end() ? 0 : at->second;
}

void place::set_returns(std::uint32_t distance, std::uint32_t times) {
    const auto at = std::ranges::find(returns, distance, &std::pair<std::uint32_t, std::uint32_t>::first);
    if (at == returns.end())
        returns.emplace_back(distance, times);
    else
        at->second = times;
}

std::string write_place(std::string_view key, const place& what) {
    std::string out;
    amqp::writer to(out);
    to.u64(what.chunk);
    to.u32(what.span);
    to.u32(what.live);
    to.u32(static_cast<std::uint32_t>(what.returns.size()));
    for (const auto& [distance, times] : what.returns) {
        to.u32(distance);
        to.u32(times);
    }
    for (std::size_t i = 0; i < what.gone.size(); i += 8) {
        unsigned bits = 0;
        for (std::size_t j = i; j < std::min(i + 8, what.gone.size()); ++j) bits |= what.gone[j] ? 1U << (j - i) : 0U;
        to.u8(static_cast<std::uint8_t>(bits));
    }
    return seal(key, out);
}

std::optional<place> read_place(std::string_view key, std::string_view record) {
    const auto value = unseal(key, record);
    if (!value) return std::nullopt;
    amqp::reader in(*value);
    place out;
    out.chunk = in.u64();
    out.span = in.u32();
    out.live = in.u32();
    for (std::uint32_t left = in.u32(); left > 0 && !in.failed(); --left) {
        const std::uint32_t distance = in.u32();
        out.returns.emplace_back(distance, in.u32());
    }
    if (in.failed()) return std::nullopt;
    if (in.at_end()) return out;
    out.gone.resize(out.span);
    for (std::size_t i = 0; i < out.gone.size(); i += 8) {
        const unsigned bits = in.u8();
        for (std::size_t j = i; j < std::min(i + 8, out.gone.size()); ++j) out.gone[j] = (bits >> (j - i) & 1U) != 0;
    }
    if (!in.finish()) return std::nullopt;
    return out;
}

void chunk_writer::add(const stored_entry& entry) {
    if (count_++ == 0) first_ = entry.at;
    const auto distance = static_cast<std::uint32_t>(entry.at - first_);
    span_ = distance + 1;
    const body_number file = entry.what->body_file();
    const std::size_t begin = octets_.size();
    if (file != 0) {
        amqp::writer outside(octets_);
        outside.u32(file);
        outside.u64(entry.what->body().size());
        octets_.append(entry.what->head());
    } else {
        octets_.append(entry.what->octets());
    }
    const std::string_view octets = std::string_view(octets_).substr(begin);
    amqp::writer head(heads_);
    head.u32(distance);
    head.u8(static_cast<std::uint8_t>((entry.transient ? transient_flag : 0) | (file != 0 ? outside_flag : 0)));
    head.u64(static_cast<std::uint64_t>(entry.arrived_ms));
    head.u32(static_cast<std::uint32_t>(octets.size()));
    head.u32(check_of(octets, first_ + distance));
}

// check, count, heads, octets: the check is of the count and the heads, each head has one of its octets.
std::string chunk_writer::finish() {
    std::string table(sizeof(count_), '\0');
    amqp::store_big_endian(table.data(), count_);
    table.append(heads_);
    std::string out = sealed(seed_of(queue_, first_), table, octets_);
    heads_.clear();
    octets_.clear();
    count_ = span_ = 0;
    return out;
}

std::optional<chunk_reader> chunk_reader::open(queue_number queue, position first, std::string_view record) {
    if (record.size() < check_size + sizeof(std::uint32_t)) return std::nullopt;
    const std::size_t count = amqp::load_big_endian<std::uint32_t>(record.data() + check_size);
    const std::size_t size = sizeof(std::uint32_t) + count * entry_head_size;
    const auto table = unsealed(seed_of(queue, first), record, size);
    if (!table) return std::nullopt;
    chunk_reader out;
    out.queue_ = queue;
    out.first_ = first;
    out.heads_ = table->substr(sizeof(std::uint32_t));
    out.octets_ = record.substr(check_size + size);
    return out;
}

std::optional<chunk_reader::head> chunk_reader::next() {
    if (heads_.empty()) return std::nullopt;
    amqp::reader in(heads_);
    head out;
    out.distance = in.u32();
    const std::uint8_t flags = in.u8();
    out.transient = (flags & transient_flag) != 0;
    out.outside = (flags & outside_flag) != 0;
    out.arrived_ms = static_cast<std::int64_t>(in.u64());
    const std::size_t size = in.u32();
    out.check = in.u32();
    heads_.remove_prefix(entry_head_size);
    out.octets = octets_.substr(0, size);
    octets_.remove_prefix(out.octets.size());
    return out;
}

std::optional<chunk_reader::outside_body> chunk_reader::body_of(const head& what) const {
    if (what.octets.size() < outside_head_size || what.check != check_of(what.octets, first_ + what.distance))
        return std::nullopt;
    amqp::reader in(what.octets);
    const body_number number = in.u32();
    return outside_body{.number = number, .size = in.u64()};
}

std::optional<stored_entry> chunk_reader::entry_of(const head& what, std::string_view body) const {
    if (what.check != check_of(what.octets, first_ + what.distance)) return std::nullopt;
    auto made = message::from_octets(what.outside ? what.octets.substr(outside_head_size) : what.octets, body);
    if (!made) return std::nullopt;
    if (what.outside) made->set_body_file(amqp::load_big_endian<body_number>(what.octets.data()));
    return stored_entry{.at = first_ + what.distance,
                        .what = std::move(*made),
                        .arrived_ms = what.arrived_ms,
                        .transient = what.transient};
}

}  // namespace foz::broker
