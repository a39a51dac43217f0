#include "aggregator/feed/catch_up.hpp"

#include "aggregator/feed/catch_up_reader.hpp"
#include "aggregator/feed/stream_delivery.hpp"
#include "contract/stream_cursor.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace foz::aggregator {
namespace {

// Who is so near behind is worth beginning earlier for: a reader of its own would cost more.
constexpr std::uint64_t near_entries = 10'000;
constexpr std::uint64_t near_ms = 60'000;

using kind = envelope::resume_from::kind;

// Whether a reader that begins for `front` begins for this one too.
bool goes_with(const envelope::resume_from& front, const envelope::resume_from& other) {
    if (front.what != other.what) return false;
    if (front.what == kind::at)
        return other.where.offset <= front.where.offset && front.where.offset - other.where.offset <= near_entries;
    if (front.what == kind::since)
        return other.since_ms <= front.since_ms && front.since_ms - other.since_ms <= near_ms;
    return true;
}

bool begins_before(const shared_reading& a, const shared_reading& b) {
    const auto &left = a->what.from, &right = b->what.from;
    return left.what == kind::at ? left.where.offset < right.where.offset : left.since_ms < right.since_ms;
}

}  // namespace

catch_up::catch_up(amqp::client& streams, amqp::publisher& markers, const settings& all, std::size_t channel,
                   feed_sink& sink)
    : client_(streams), markers_(markers), settings_(all), channel_(channel), sink_(sink) {}

catch_up::~catch_up() {
    *alive_ = false;
}

void catch_up::add(const page_request& request) {
    assert(request.who.channel == channel_ && request.from.what != kind::now);
    auto reading = std::make_shared<catch_up_reading>(catch_up_reading{.what = request, .gap = {}});
    if (request.from.what == kind::at && request.from.where.offset > contract::stream_offset_max)
        reading->begin_anew(envelope::gap_cause::recreated);
    const auto [at, fresh] = readings_.try_emplace(request.who, reading);
    assert(fresh);
    // Of each session the latest counts.
    const reading_id& who = request.who;
    for (auto other = readings_.lower_bound({who.channel, who.shard, who.session, 0}); other != at; ++other)
        other->second->stale = true;
    put_back(std::move(reading));
    serve();
}

void catch_up::put_back(shared_reading reading) {
    reading->by = nullptr;
    if (reading->stale) {
        readings_.erase(reading->what.who);
        return;
    }
    // The next reader looks whether that place is still what it was.
    reading->joined = false;
    waiting_.push_back(std::move(reading));
}

void catch_up::serve() {
    if (readers_.size() >= settings_.catch_up_readers_max) return;
    std::erase_if(waiting_, [this](const shared_reading& reading) {
        if (reading->stale) readings_.erase(reading->what.who);
        return reading->stale;
    });
    for (; !waiting_.empty() && readers_.size() < settings_.catch_up_readers_max; ++counters_.readers)
        readers_.push_back(std::make_unique<catch_up_reader>(*this, client_, settings_, channel_, next_group()));
}

std::vector<shared_reading> catch_up::next_group() {
    std::vector<shared_reading> group;
    const envelope::resume_from front = waiting_.front()->what.from;
    std::erase_if(waiting_, [&](const shared_reading& other) {
        if (!goes_with(front, other->what.from)) return false;
        group.push_back(other);
        return true;
    });
    if (front.what != kind::first) std::sort(group.begin(), group.end(), begins_before);
    return group;
}

void catch_up::take_along(std::uint64_t first, std::uint64_t last, std::vector<shared_reading>& into) {
    std::erase_if(waiting_, [&](const shared_reading& other) {
        const envelope::resume_from& from = other->what.from;
        if (from.what != kind::at || from.where.offset < first || from.where.offset > last) return false;
        into.push_back(other);
        return true;
    });
}

void catch_up::send(const shared_reading& reading, page what) {
    assert(!reading->waiting);
    reading->waiting = true;
    ++counters_.pages;
    sink_.on_page(reading->what.who, std::move(what));
}

void catch_up::taken(const reading_id& who, bool more) {
    const auto at = readings_.find(who);
    if (at == readings_.end() || !at->second->waiting) return;
    const shared_reading reading = at->second;
    reading->waiting = false;
    if (!more) readings_.erase(at);
    if (catch_up_reader* const reader = reading->by) {
        if (!more) reader->drop(reading);
        return reader->go_on();
    }
    if (!more) return;
    put_back(reading);
    serve();
}

void catch_up::publish_marker(const std::string& id) {
    // Without it there is silence, which asks again.
    markers_.publish(stream_marker(settings_.channels[channel_].out_queue(), id, client_.home().time().wall_now()),
                     settings_.publish_timeout, [](amqp::outcome) {});
}

void catch_up::on_ended(const catch_up_reader& reader) {
    client_.home().post([this, alive = alive_, &reader] {
        if (!*alive) return;
        std::erase_if(readers_, [&](const auto& one) { return one.get() == &reader; });
        serve();
    });
}

}  // namespace foz::aggregator
