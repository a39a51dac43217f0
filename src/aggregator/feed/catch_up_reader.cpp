#include "aggregator/feed/catch_up_reader.hpp"

#include "aggregator/feed/decode.hpp"
#include "aggregator/feed/stream_delivery.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {
namespace {

using contract::cursor_event;

constexpr std::uint16_t prefetch_max = 1024;   // the broker stops until a page has been taken
constexpr std::uint16_t prefetch_first = 256;  // while nobody knows how large the entries are
constexpr std::uint16_t prefetch_min = 8;
constexpr std::size_t acknowledge_every = 128;  // of what is of no interest
constexpr std::size_t page_entries_max = prefetch_max / 2;
constexpr std::size_t page_bytes_max = 256 * 1024;
constexpr std::size_t average_over = 16;
constexpr std::chrono::milliseconds flush_within{50};
// Whoever has not taken a page by then does not hold up anybody else.
constexpr std::chrono::milliseconds lag_max{250};
constexpr std::chrono::milliseconds silence_min{1'500};
constexpr std::chrono::milliseconds silence_max{24'000};
// After so many pages a reader gives way; more than what beginning anew costs.
constexpr std::size_t pages_max = 32;

amqp::basic_qos page_qos(std::uint16_t prefetch) {
    amqp::basic_qos method;
    method.prefetch_count = prefetch;
    return method;
}

amqp::basic_consume consume(const std::string& stream, const contract::attach_at& where) {
    amqp::basic_consume method;
    method.queue = stream;
    method.arguments = contract::stream_arguments(where);
    return method;
}

using kind = envelope::resume_from::kind;

contract::attach_at beginning(const envelope::resume_from& from) {
    using at = contract::attach_at::kind;
    if (from.what == kind::at) return {.what = at::offset, .value = from.where.offset};
    if (from.what == kind::since) return {.what = at::time, .value = from.since_ms / 1000};
    return {.what = at::first};
}

contract::stream_cursor_options cursor_options(const settings& all, const envelope::resume_from& from,
                                               random_source& random) {
    return {.begin = beginning(from),
            .marker_prefix = "marker." + random.token(),
            .marker_at_start = false,
            .ids_max = all.deduplication_window,
            // What its publisher said again is known when the window is full.
            .history_entries = all.deduplication_window,
            .silence_min = silence_min,
            .silence_max = silence_max};
}

// Where in the page this one begins; it has joined when that is known.
std::size_t join(catch_up_reading& reading, const std::vector<entry_ref>& entries) {
    if (reading.joined) return 0;
    const envelope::resume_from& from = reading.what.from;
    reading.joined = true;
    if (from.what != kind::at) return 0;  // what is older than was wanted the session passes over
    const auto at =
        std::lower_bound(entries.begin(), entries.end(), from.where.offset,
                         [](const entry_ref& entry, std::uint64_t offset) { return entry->where->offset < offset; });
    const auto index = static_cast<std::size_t>(at - entries.begin());
    if (at == entries.end()) {
        reading.joined = false;
    } else if ((*at)->where->offset > from.where.offset) {
        reading.gap = envelope::gap_cause::retention;
    } else if ((*at)->where->check != from.where.check) {
        reading.begin_anew(envelope::gap_cause::recreated);
    } else {
        return index + 1;
    }
    return index;
}

std::size_t buffer_bytes_max(const settings& all) {
    return std::max<std::size_t>(all.catch_up_bytes_max / all.catch_up_readers_max, 1);
}

}  // namespace

catch_up_reader::catch_up_reader(catch_up& owner, amqp::client& streams, const settings& all, std::size_t channel,
                                 std::vector<shared_reading> group)
    : owner_(owner),
      client_(streams),
      settings_(all),
      channel_(channel),
      cursor_(cursor_options(all, group.front()->what.from, streams.home().random())),
      readings_(std::move(group)) {
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
    tick_timer_.cancel();
    owner_.on_ended(*this);
}

std::uint16_t catch_up_reader::prefetch() const {
    if (average_octets_ == 0) return prefetch_first;
    return static_cast<std::uint16_t>(
        std::clamp<std::size_t>(buffer_bytes_max(settings_) / average_octets_, prefetch_min, prefetch_max));
}

boost::asio::awaitable<amqp::result<void>> catch_up_reader::set_up(amqp::channel& self) {
    // Made at once: when the broker has answered, the last session may have gone, and this reader with it.
    const amqp::basic_qos limit = page_qos(prefetch());
    amqp::basic_consume from_here = consume(settings_.channels[channel_].out_queue(), cursor_.where());
    cursor_.attaching();
    auto limited = co_await self.call(limit);
    if (!limited) co_return std::unexpected(limited.error());
    auto consuming = co_await self.call(std::move(from_here));
    if (!consuming) co_return std::unexpected(consuming.error());
    co_return amqp::result<void>{};
}

void catch_up_reader::on_ready(amqp::channel&) {
    if (ended_) return;
    cursor_.attached(client_.home().time().now(), events_);
    act(nullptr, 0);
}

void catch_up_reader::on_lost(amqp::channel&, const amqp::error&) {
    // Opened anew it goes on behind what was read last; what is in the buffer stays good. Without a broker whoever
    // comes back waits, as for what is new.
    cursor_.lost();
    tick_timer_.cancel();
    parked_ = false;
    passed_ = 0;
}

void catch_up_reader::on_delivery(amqp::channel&, const amqp::delivery& message) {
    const auto offset = stream_offset(message);
    if (!offset) return pass(message.id);  // not from a stream; the topology forbids it
    read(message, view_of(message, *offset));
}

void catch_up_reader::on_too_large(amqp::channel&, const amqp::delivery& message, const amqp::skipped_body& body) {
    const auto offset = stream_offset(message);
    if (!offset) return pass(message.id);  // not from a stream; the topology forbids it
    read(message, view_of(message, *offset, body));
}

void catch_up_reader::read(const amqp::delivery& message, const contract::delivery_view& view) {
    if (ended_ || parked_ || ending_ != ending::none) return;
    cursor_.delivered(view, client_.home().time().now(), events_);
    act(&message, view.at.offset);
}

void catch_up_reader::act(const amqp::delivery* message, std::uint64_t offset) {
    using what = cursor_event::kind;
    bool again = false;
    for (const cursor_event& event : events_) {
        switch (event.what) {
            case what::entry:
            case what::duplicate:
            case what::skipped:
                if (event.history) {
                    pass(message->id);
                } else {
                    keep(*message, offset, event);
                }
                break;
            case what::repeated:
                pass(message->id);
                break;
            case what::gap:
                if (event.why == cursor_event::cause::recreated) {
                    ending_ = ending::recreated;
                } else {
                    gap_ = true;
                }
                break;
            case what::caught_up:
                ending_ = ending::caught_up;
                break;
            case what::publish_marker:
                owner_.publish_marker(event.marker);
                break;
            case what::ask_again:
                again = true;
                break;
            case what::restarted:
            case what::proven:
                break;
        }
    }
    events_.clear();
    if (again && ending_ == ending::none)
        link_->reopen({amqp::errc::timed_out, 0, "asking " + settings_.channels[channel_].out_queue() + " again"});
    if (!paging_ && (has_page() || ending_ != ending::none)) return flush();
    if (!buffer_.empty() && !flush_timer_.active()) flush_timer_.start(client_.home().wheel(), flush_within);
    set_timer();
}

void catch_up_reader::keep(const amqp::delivery& message, std::uint64_t offset, const cursor_event& what) {
    const auto& config = settings_.channels[channel_];
    const decode_source source{.channel = channel_,
                               .channel_name = config.name,
                               .durable = true,
                               .not_json = config.not_json,
                               .offset = offset};
    const envelope::position where{.offset = offset, .check = cursor_.last()->check};
    entry_ref made;
    if (what.what == cursor_event::kind::entry) {
        made = std::make_shared<const entry>(decode(message, source).message);
    } else if (what.why == cursor_event::cause::too_large) {
        owner_.count_too_large();
        made = std::make_shared<const entry>(decode_skipped(message, source, where));
    } else {
        // Its place counts all the same.
        made = std::make_shared<const entry>(
            entry{.channel = channel_, .where = where, .timestamp_s = message.properties.timestamp.value_or(0)});
    }
    const std::size_t octets = made->bytes();
    if (average_octets_ == 0) average_octets_ = octets;
    average_octets_ += octets / average_over - average_octets_ / average_over;
    buffer_.push_back({std::move(made), message.id, std::exchange(gap_, false)});
    buffer_bytes_ += octets;
    parked_ = buffer_bytes_ >= buffer_bytes_max(settings_);
    if (parked_) owner_.count_parked();
}

void catch_up_reader::pass(amqp::delivery_id id) {
    if (!buffer_.empty()) {
        buffer_.back().delivery = id;
    } else if (paging_) {
        page_end_ = id;
    } else if (++passed_ >= acknowledge_every) {
        passed_ = 0;
        link_->ack(id, true);
    }
}

bool catch_up_reader::has_page() const {
    return buffer_.size() >= page_entries_max || buffer_bytes_ >= page_bytes_max;
}

std::shared_ptr<catch_up_reader::page_entries> catch_up_reader::take_page() {
    auto entries = std::make_shared<page_entries>();
    for (std::size_t bytes = 0; !buffer_.empty() && entries->size() < page_entries_max && bytes < page_bytes_max;) {
        if (buffer_.front().gap_before && !entries->empty()) break;
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
    if (paging_) return;
    if (buffer_.empty()) return finish();
    if (buffer_.front().gap_before) {
        for (const shared_reading& reading : readings_)
            if (reading->joined && !reading->gap) reading->gap = envelope::gap_cause::retention;
    }
    const auto entries = take_page();
    const std::size_t before = readings_.size();
    owner_.take_along(entries->front()->where->offset, entries->back()->where->offset, readings_);
    for (std::size_t i = before; i < readings_.size(); ++i) readings_[i]->by = this;
    ++pages_;
    hand_out(entries, buffer_.empty() && ending_ == ending::caught_up);
}

void catch_up_reader::hand_out(const std::shared_ptr<const page_entries>& entries, bool last) {
    const auto index = std::make_shared<const page_index>(*entries, said_s_);
    if (!entries->empty()) said_s_ = index->said_s(entries->size() - 1);
    paging_ = true;
    std::vector<shared_reading> anew;
    for (const shared_reading& reading : readings_) {
        const std::size_t begin = join(*reading, *entries);
        // The stream ends before the place that it knows: that was in another stream.
        if (last && !reading->joined && !reading->gap) reading->begin_anew(envelope::gap_cause::recreated);
        if (!reading->joined) {
            if (reading->gap) anew.push_back(reading);
            continue;
        }
        const bool something = begin < entries->size() || reading->gap;
        if (!something && !last) continue;
        const page sent{
            .entries = entries, .index = index, .begin = begin, .gap = std::exchange(reading->gap, {}), .last = last};
        owner_.send(reading, sent);
        if (!entries->empty()) reading->what.from = {.what = kind::at, .where = *entries->back()->where};
    }
    for (const shared_reading& reading : anew) {
        std::erase(readings_, reading);
        owner_.put_back(reading);
    }
    if (last) return leave();
    if (!anew.empty()) owner_.serve();
    lag_timer_.start(client_.home().wheel(), lag_max);
    go_on();
}

// The buffer is empty, and what follows is for another reader.
void catch_up_reader::finish() {
    if (ending_ == ending::none) return;
    if (ending_ == ending::caught_up) return hand_out(std::make_shared<page_entries>(), true);
    for (const shared_reading& reading : std::exchange(readings_, {})) {
        reading->begin_anew(envelope::gap_cause::recreated);
        owner_.put_back(reading);
    }
    end();
}

// Whoever wants more all the same is queued again when it says so.
void catch_up_reader::leave() {
    for (const shared_reading& reading : std::exchange(readings_, {})) reading->by = nullptr;
    end();
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
        owner_.count_gave_way();
        for (shared_reading& reading : std::exchange(readings_, {})) owner_.put_back(std::move(reading));
    }
    if (readings_.empty()) return end();
    if (!buffer_.empty() || ending_ != ending::none) return flush();
    // What came after the buffer was full was thrown away.
    if (parked_) return link_->reopen({amqp::errc::timed_out, 0, "there is room for more"});
    cursor_.listen(client_.home().time().now());
    set_timer();
}

// While a page is with the sessions the broker is kept from sending: that is no silence.
void catch_up_reader::set_timer() {
    const auto deadline = cursor_.deadline();
    if (!deadline || paging_ || parked_ || !buffer_.empty()) return tick_timer_.cancel();
    if (tick_timer_.active()) return;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - client_.home().time().now());
    tick_timer_.start(client_.home().wheel(), std::max(left, std::chrono::milliseconds(1)));
}

void catch_up_reader::on_tick() {
    if (paging_ || parked_ || !buffer_.empty()) return;
    cursor_.tick(client_.home().time().now(), events_);
    act(nullptr, 0);
}

void catch_up_reader::on_lag() {
    const bool others = owner_.anyone_waits() || !std::all_of(readings_.begin(), readings_.end(),
                                                              [](const auto& reading) { return reading->waiting; });
    if (!others) return lag_timer_.start(client_.home().wheel(), lag_max);
    const std::size_t before = readings_.size();
    std::erase_if(readings_, [](const shared_reading& reading) {
        if (reading->waiting) reading->by = nullptr;
        return reading->waiting;
    });
    owner_.count_left_behind(before - readings_.size());
    go_on();
}

}  // namespace foz::aggregator
