#include "aggregator/feed/catch_up.hpp"

#include "aggregator/feed/catch_up_reader.hpp"
#include "aggregator/shard/hub.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::size_t readers_max = 4;
// Who is so near behind is worth beginning earlier for: a reader of its own would cost more.
constexpr std::uint64_t near_entries = 2'000;
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

catch_up::catch_up(amqp::client& streams, const settings& all, std::size_t channel)
    : client_(streams), settings_(all), channel_(channel) {}

catch_up::~catch_up() {
    *alive_ = false;
}

void catch_up::add(const catch_up_job& job) {
    auto reading = std::make_shared<catch_up_reading>(catch_up_reading{.what = job, .gap = {}});
    shared_reading& latest = latest_[{job.home, job.session}];
    if (latest) latest->stale = true;
    latest = reading;
    put_back(std::move(reading));
    serve();
}

void catch_up::put_back(shared_reading reading) {
    reading->by = nullptr;
    // The next reader looks whether that place is still what it was.
    reading->joined = false;
    waiting_.push_back(std::move(reading));
}

void catch_up::serve() {
    if (readers_.size() >= readers_max) return;
    std::erase_if(waiting_, [](const shared_reading& reading) { return reading->stale; });
    while (!waiting_.empty() && readers_.size() < readers_max)
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

void catch_up::send(const shared_reading& reading, catch_up_page page) {
    page.job = reading->what;
    reading->waiting = true;
    page.taken = [this, alive = alive_, &home = client_.home(), reading](bool more) {
        home.post([this, alive, reading, more] {
            if (*alive) on_taken(reading, more);
        });
    };
    reading->what.home->home().post([page = std::move(page)]() mutable {
        hub& there = *page.job.home;
        there.replay(std::move(page));
    });
}

void catch_up::on_taken(const shared_reading& reading, bool more) {
    reading->waiting = false;
    if (catch_up_reader* const reader = reading->by) {
        if (!more) {
            forget(reading);
            reader->drop(reading);
        }
        return reader->go_on();
    }
    if (!more) return forget(reading);
    put_back(reading);
    serve();
}

void catch_up::forget(const shared_reading& reading) {
    const auto at = latest_.find({reading->what.home, reading->what.session});
    if (at != latest_.end() && at->second == reading) latest_.erase(at);
}

void catch_up::on_ended(const catch_up_reader& reader) {
    client_.home().post([this, alive = alive_, &reader] {
        if (!*alive) return;
        std::erase_if(readers_, [&](const auto& one) { return one.get() == &reader; });
        serve();
    });
}

}  // namespace foz::aggregator
