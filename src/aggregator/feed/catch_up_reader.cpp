#include "aggregator/feed/catch_up_reader.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::uint16_t prefetch = 256;  // the broker stops until a page has been taken
constexpr std::size_t page_entries_max = prefetch / 2;
constexpr std::size_t page_bytes_max = 256 * 1024;
constexpr std::chrono::milliseconds flush_within{50};
// Whoever has not taken a page by then does not hold up anybody else.
constexpr std::chrono::milliseconds lag_max{250};
// A stream that has nothing to give at the place that was asked for is silent. When it must have something, it is the
// broker that is slow: it is asked again, each time after longer.
constexpr std::chrono::milliseconds silence_min{1500};
constexpr std::chrono::milliseconds silence_max{24'000};
// So many entries are read before the place that was asked for, so that what its publisher repeated is known.
constexpr std::uint64_t read_back = 500;
// After so many pages a reader gives way; more than what beginning anew costs.
constexpr std::size_t pages_max = 32;

amqp::basic_qos page_qos() {
    amqp::basic_qos method;
    method.prefetch_count = prefetch;
    return method;
}

using kind = envelope::resume_from::kind;

// Where in the page this one begins; it has joined when that is known.
std::size_t place(catch_up_reading& reading, const std::vector<entry_ref>& entries) {
    if (reading.joined) return 0;
    const envelope::resume_from& from = reading.what.from;
    reading.joined = true;
    if (from.what != kind::at) return 0;  // what is older than was wanted the session passes over
    const auto at = std::find_if(entries.begin(), entries.end(),
                                 [&](const entry_ref& entry) { return entry->where->offset >= from.where.offset; });
    const auto index = static_cast<std::size_t>(at - entries.begin());
    if (at == entries.end()) {
        reading.joined = false;
    } else if ((*at)->where->offset > from.where.offset) {
        reading.gap = envelope::gap_cause::retention;
    } else if ((*at)->where->check != from.where.check) {
        reading.gap = envelope::gap_cause::recreated;
    } else {
        return index + 1;
    }
    return index;
}

// The stream has more than has been read: what the session has as recent messages.
bool more_to_come(const catch_up_reading& reading) {
    return reading.what.has_recent && reading.what.from.what != kind::since;
}

}  // namespace

catch_up_reader::catch_up_reader(catch_up& owner, amqp::client& streams, const settings& all, std::size_t channel,
                                 std::vector<shared_reading> group)
    : owner_(owner),
      client_(streams),
      settings_(all),
      channel_(channel),
      from_(group.front()->what.from),
      readings_(std::move(group)),
      seen_(all.deduplication_window),
      silence_(silence_min) {
    for (const shared_reading& reading : readings_) reading->by = this;
    link_ = client_.open_channel(*this);
}

catch_up_reader::~catch_up_reader() {
    link_->close();
}

void catch_up_reader::end() {
    ended_ = true;
    flush_timer_.cancel();
    lag_timer_.cancel();
    silence_timer_.cancel();
    owner_.on_ended(*this);
}

amqp::basic_consume catch_up_reader::consume_from_here() const {
    amqp::basic_consume method;
    method.queue = settings_.channels[channel_].out_queue();
    if (last_offset_) {
        method.arguments.set("x-stream-offset", static_cast<std::int64_t>(*last_offset_));
    } else if (from_.what == kind::at) {
        const std::uint64_t offset = from_.where.offset;
        method.arguments.set("x-stream-offset", static_cast<std::int64_t>(offset - std::min(offset, read_back)));
    } else if (from_.what == kind::since) {
        method.arguments.set("x-stream-offset", amqp::timestamp{from_.since_ms / 1000});
    } else {
        method.arguments.set("x-stream-offset", "first");
    }
    return method;
}

boost::asio::awaitable<amqp::result<void>> catch_up_reader::set_up(amqp::channel& self) {
    // Made at once: when the broker has answered, the last session may have gone, and this reader with it.
    amqp::basic_consume from_here = consume_from_here();
    auto limited = co_await self.call(page_qos());
    if (!limited) co_return std::unexpected(limited.error());
    auto consuming = co_await self.call(std::move(from_here));
    if (!consuming) co_return std::unexpected(consuming.error());
    co_return amqp::result<void>{};
}

void catch_up_reader::on_ready(amqp::channel&) {
    if (!ended_ && !paging_) listen();
}

void catch_up_reader::on_lost(amqp::channel&, const amqp::error&) {
    // Opened anew it goes on behind what was read last; what is in the buffer stays good. Without a broker whoever
    // comes back waits, as for what is new.
    silence_timer_.cancel();
}

void catch_up_reader::on_delivery(amqp::channel&, const amqp::delivery& message) {
    if (ended_) return;
    silence_timer_.cancel();
    silence_ = silence_min;
    const amqp::table* const headers = message.properties.headers ? &*message.properties.headers : nullptr;
    const auto offset = amqp::as_int64(headers ? headers->find("x-stream-offset") : nullptr);
    const bool repeated = !offset || (last_offset_ && static_cast<std::uint64_t>(*offset) <= *last_offset_);
    if (!repeated) read(message, static_cast<std::uint64_t>(*offset));
    if (paging_) return;
    if (buffer_.size() >= page_entries_max || buffer_bytes_ >= page_bytes_max) return flush();
    if (buffer_.empty()) return listen();
    if (!flush_timer_.active()) flush_timer_.start(client_.home().wheel(), flush_within);
}

void catch_up_reader::read(const amqp::delivery& message, std::uint64_t offset) {
    last_offset_ = offset;
    const auto& config = settings_.channels[channel_];
    auto made = decode(message,
                       {.channel = channel_,
                        .channel_name = config.name,
                        .durable = true,
                        .not_json = config.not_json,
                        .offset = offset},
                       client_.home().time().wall_now());
    const auto& id = message.properties.message_id;
    if (id && !seen_.insert(*id)) {
        // Said twice, heard once; its place counts all the same.
        made.message.routes.clear();
        made.message.answer.reset();
    }
    buffer_.push_back({std::make_shared<const entry>(std::move(made.message)), message.id});
    buffer_bytes_ += buffer_.back().message->bytes();
}

std::shared_ptr<catch_up_reader::page_entries> catch_up_reader::take_page() {
    auto entries = std::make_shared<page_entries>();
    for (std::size_t bytes = 0; !buffer_.empty() && entries->size() < page_entries_max && bytes < page_bytes_max;) {
        const std::size_t size = buffer_.front().message->bytes();
        bytes += size;
        buffer_bytes_ -= size;
        page_end_ = buffer_.front().delivery;
        entries->push_back(std::move(buffer_.front().message));
        buffer_.pop_front();
    }
    return entries;
}

void catch_up_reader::flush() {
    flush_timer_.cancel();
    if (buffer_.empty()) return;
    const auto entries = take_page();
    const std::size_t before = readings_.size();
    owner_.take_along(entries->front()->where->offset, entries->back()->where->offset, readings_);
    for (std::size_t i = before; i < readings_.size(); ++i) readings_[i]->by = this;
    hand_out(entries, false);
}

void catch_up_reader::hand_out(const std::shared_ptr<page_entries>& entries, bool silent) {
    paging_ = true;
    bool any = false;
    for (const shared_reading& reading : readings_) {
        const std::size_t begin = place(*reading, *entries);
        const bool something = reading->joined && (begin < entries->size() || reading->gap);
        if (!something && !silent) continue;
        any = true;
        catch_up_page page{.job = {},
                           .entries = entries,
                           .begin = begin,
                           .gap = std::exchange(reading->gap, {}),
                           .last = silent && !more_to_come(*reading),
                           .taken = {}};
        owner_.send(reading, std::move(page));
        if (!entries->empty()) reading->what.from = {.what = kind::at, .where = *entries->back()->where};
    }
    if (any && !silent) ++pages_;
    lag_timer_.start(client_.home().wheel(), lag_max);
    go_on();
}

void catch_up_reader::drop(const shared_reading& reading) {
    reading->by = nullptr;
    std::erase(readings_, reading);
}

void catch_up_reader::go_on() {
    if (ended_ || !paging_) return;
    if (std::any_of(readings_.begin(), readings_.end(), [](const auto& reading) { return reading->waiting; })) return;
    paging_ = false;
    lag_timer_.cancel();
    if (page_end_) link_->ack(*std::exchange(page_end_, {}), true);
    if (pages_ >= pages_max && owner_.anyone_waits()) {
        for (shared_reading& reading : std::exchange(readings_, {})) owner_.put_back(std::move(reading));
    }
    if (readings_.empty()) return end();
    if (!buffer_.empty()) return flush();
    listen();
}

void catch_up_reader::listen() {
    if (link_->ready()) silence_timer_.start(client_.home().wheel(), silence_);
}

void catch_up_reader::on_lag() {
    const bool others = owner_.anyone_waits() || !std::all_of(readings_.begin(), readings_.end(),
                                                              [](const auto& reading) { return reading->waiting; });
    if (!others) return lag_timer_.start(client_.home().wheel(), lag_max);
    std::erase_if(readings_, [](const shared_reading& reading) {
        if (reading->waiting) reading->by = nullptr;
        return reading->waiting;
    });
    go_on();
}

// Who has recent messages to meet is asked whether it still reads; for the others the stream has ended: whatever else
// there is has come since, and is with the recent messages.
void catch_up_reader::on_silence() {
    if (paging_ || !buffer_.empty()) return;
    bool more = false;
    for (const shared_reading& reading : readings_) {
        if (more_to_come(*reading)) {
            more = true;
        } else if (!reading->joined && reading->what.from.what == kind::at) {
            reading->gap = envelope::gap_cause::recreated;  // the place that it knows was in another stream
        }
    }
    if (more) {
        silence_ = std::min(silence_ * 2, silence_max);
        link_->reopen({amqp::errc::timed_out, 0, "the stream is silent before its end"});
    }
    hand_out(std::make_shared<page_entries>(), true);
}

}  // namespace foz::aggregator
