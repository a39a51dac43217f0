#include "aggregator/catch_up.hpp"

#include "aggregator/hub.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::uint16_t page_entries = 256;  // also the prefetch: the broker stops until a page has been taken
constexpr std::chrono::milliseconds flush_within{50};
// A stream that has nothing to give at the place that was asked for is silent.
constexpr std::chrono::milliseconds silence_max{1500};
// So many entries are read before the place that was asked for, so that what its publisher repeated is known.
constexpr std::uint64_t read_back = 500;

amqp::basic_qos page_qos() {
    amqp::basic_qos method;
    method.prefetch_count = page_entries;
    return method;
}

using kind = envelope::resume_from::kind;

}  // namespace

catch_up::catch_up(amqp::client& streams, const settings& all, std::size_t channel)
    : client_(streams), settings_(all), channel_(channel) {}

catch_up::~catch_up() {
    *alive_ = false;
    if (link_) link_->close();
}

void catch_up::add(const catch_up_job& job) {
    waiting_.push_back(job);
    if (jobs_.empty()) begin_round();
}

void catch_up::begin_round() {
    if (waiting_.empty()) return;
    ++round_;
    const auto join = [this](const catch_up_job& job) { jobs_.push_back({.what = job}); };
    if (waiting_.front().from.what == kind::at) {
        std::erase_if(waiting_, [&](const catch_up_job& job) {
            if (job.from.what != kind::at) return false;
            join(job);
            return true;
        });
        std::sort(jobs_.begin(), jobs_.end(), [](const reader_job& a, const reader_job& b) {
            return a.what.from.where.offset < b.what.from.where.offset;
        });
    } else {
        join(waiting_.front());
        waiting_.pop_front();
    }
    seen_ = std::make_unique<recent_ids>(settings_.deduplication_window);
    last_offset_.reset();
    paging_ = false;
    link_ = client_.open_channel(*this);
}

void catch_up::end_round() {
    flush_timer_.cancel();
    silence_timer_.cancel();
    jobs_.clear();
    page_ = std::make_shared<std::vector<shared_outbound>>();
    std::exchange(link_, nullptr)->close();
    begin_round();
}

amqp::basic_consume catch_up::consume_from_here() const {
    amqp::basic_consume method;
    method.queue = settings_.channels[channel_].out_queue();
    const envelope::resume_from& from = jobs_.front().what.from;
    if (last_offset_) {
        method.arguments.set("x-stream-offset", static_cast<std::int64_t>(*last_offset_));
    } else if (from.what == kind::at) {
        const std::uint64_t offset = from.where.offset;
        method.arguments.set("x-stream-offset", static_cast<std::int64_t>(offset - std::min(offset, read_back)));
    } else if (from.what == kind::since) {
        method.arguments.set("x-stream-offset", amqp::timestamp{from.since_ms / 1000});
    } else {
        method.arguments.set("x-stream-offset", "first");
    }
    return method;
}

boost::asio::awaitable<amqp::result<void>> catch_up::set_up(amqp::channel& self) {
    auto limited = co_await self.call(page_qos());
    if (!limited) co_return std::unexpected(limited.error());
    auto consuming = co_await self.call(consume_from_here());
    if (!consuming) co_return std::unexpected(consuming.error());
    co_return amqp::result<void>{};
}

void catch_up::on_ready(amqp::channel&) {
    silence_timer_.start(client_.home().wheel(), silence_max);
}

void catch_up::on_lost(amqp::channel&, const amqp::error&) {
    // Opened anew it goes on behind what was read last; what is in the page stays good.
    unacknowledged_ = 0;
    silence_timer_.cancel();
}

void catch_up::on_delivery(amqp::channel&, const amqp::delivery& message) {
    silence_timer_.cancel();
    last_delivery_ = message.id;
    ++unacknowledged_;
    const amqp::table* const headers = message.properties.headers ? &*message.properties.headers : nullptr;
    const auto offset = amqp::as_int64(headers ? headers->find("x-stream-offset") : nullptr);
    const bool repeated = !offset || (last_offset_ && static_cast<std::uint64_t>(*offset) <= *last_offset_);
    if (!repeated) {
        last_offset_ = static_cast<std::uint64_t>(*offset);
        const auto& config = settings_.channels[channel_];
        auto made = make_outbound(message,
                                  {.channel = channel_,
                                   .channel_name = config.name,
                                   .durable = true,
                                   .not_json = config.not_json,
                                   .offset = *last_offset_},
                                  client_.home().time().wall_now());
        const auto& id = message.properties.message_id;
        if (id && !seen_->insert(*id)) {
            // Said twice, heard once; its place counts all the same.
            made.message.routes.clear();
            made.message.answer.reset();
        }
        for (reader_job& job : jobs_) place(job, made.message, page_->size());
        page_->push_back(std::make_shared<const outbound>(std::move(made.message)));
    }
    if (unacknowledged_ >= page_entries) return flush(false);
    if (!flush_timer_.active()) flush_timer_.start(client_.home().wheel(), flush_within);
}

// Where in the page this job begins.
void catch_up::place(reader_job& job, const outbound& entry, std::size_t index) {
    if (job.joined || job.over) return;
    job.begin = index;
    if (job.what.from.what != kind::at) {
        job.joined = true;
        return;
    }
    const envelope::position& wanted = job.what.from.where;
    if (entry.where->offset < wanted.offset) {
        job.begin = index + 1;
        return;
    }
    job.joined = true;
    if (entry.where->offset > wanted.offset) {
        job.gap = envelope::gap_cause::retention;
    } else if (entry.where->check != wanted.check) {
        job.gap = envelope::gap_cause::recreated;
    } else {
        job.begin = index + 1;
    }
}

void catch_up::flush(bool last) {
    if (paging_ || (page_->empty() && !last)) return;
    flush_timer_.cancel();
    paging_ = true;
    const auto entries = std::exchange(page_, std::make_shared<std::vector<shared_outbound>>());
    bool any = false;
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
        reader_job& job = jobs_[i];
        if (job.over || (!job.joined && !last)) continue;
        any = job.waiting = true;
        catch_up_page page{.job = job.what, .entries = entries, .begin = job.begin, .gap = job.gap, .last = last};
        page.taken = [this, alive = alive_, &home = client_.home(), round = round_, i](bool more) {
            home.post([this, alive, round, i, more] {
                if (*alive) on_taken(round, i, more);
            });
        };
        job.begin = 0;
        job.gap.reset();
        job.what.home->home().post([page = std::move(page)]() mutable {
            hub& there = *page.job.home;
            there.replay(std::move(page));
        });
    }
    if (!any) on_taken(round_, jobs_.size(), true);
}

void catch_up::on_taken(std::uint64_t round, std::size_t index, bool more) {
    if (round != round_) return;
    if (index < jobs_.size()) {
        jobs_[index].waiting = false;
        if (!more) jobs_[index].over = true;
    }
    if (std::any_of(jobs_.begin(), jobs_.end(), [](const reader_job& job) { return job.waiting; })) return;
    paging_ = false;
    for (reader_job& job : jobs_)
        if (!job.joined) job.begin = 0;
    if (std::all_of(jobs_.begin(), jobs_.end(), [](const reader_job& job) { return job.over; })) return end_round();
    if (std::exchange(unacknowledged_, 0) > 0) link_->ack(last_delivery_, true);
    if (!page_->empty()) return flush(false);
    silence_timer_.start(client_.home().wheel(), silence_max);
}

void catch_up::on_silence() {
    // Whatever else there is has come since, and is with the recent messages.
    for (reader_job& job : jobs_)
        if (!std::exchange(job.joined, true) && job.what.from.what == kind::at)
            job.gap = envelope::gap_cause::recreated;  // the place that it knows was in another stream
    flush(true);
}

}  // namespace foz::aggregator
