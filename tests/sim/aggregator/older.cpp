// Older entries, read from a stream with the product's stream_cursor: as its catch-up does, but with a reader for each
// reading instead of one for all who read near one place.
#include "aggregator/feeds.hpp"
#include "amqp/codec/property_view.hpp"

#include <deque>
#include <utility>

namespace foz::sim {
namespace {

using contract::attach_at;
using contract::cursor_event;
using from_kind = envelope::resume_from::kind;

attach_at beginning(const envelope::resume_from& from) {
    if (from.what == from_kind::at) return {.what = attach_at::kind::offset, .value = from.where.offset};
    if (from.what == from_kind::since) return {.what = attach_at::kind::time, .value = from.since_ms / 1000};
    return {.what = attach_at::kind::first};
}

}  // namespace

class older_entries::reader final : public channel_user {
public:
    reader(older_entries& home, aggregator::page_request asked)
        : home_(home),
          asked_(std::move(asked)),
          with_{home.around_, home.owner_, home.client_, home.markers_, home.listener_, home.turn_, asked_.who.channel},
          cursor_(options(asked_.from)) {
        with_.client.add(*this);
        if (with_.client.live()) attach();
    }
    ~reader() {
        with_.client.close_channel(number_);
        with_.client.remove(*this);
    }

    void taken() {
        paging_ = false;
        if (number_ != 0 && page_end_ != 0) with_.client.live()->ack(number_, std::exchange(page_end_, 0), true);
        cursor_.listen(with_.around.time.now());
        flush();
        arm();
    }

private:
    struct kept {
        aggregator::entry_ref what;
        std::uint64_t tag;
        bool gap_before;
    };
    enum class ending : std::uint8_t { none, caught_up, recreated };

    contract::stream_cursor_options options(const envelope::resume_from& from) const {
        return {.begin = beginning(from),
                .marker_prefix = "marker." + with_.around.random.product.token(),
                .marker_at_start = false,
                .ids_max = with_.around.with.ids_max,
                .history_entries = with_.around.with.ids_max,
                .silence_min = std::chrono::milliseconds(1'500),
                .silence_max = std::chrono::milliseconds(24'000)};
    }

    void begin() override { attach(); }
    void lost() override {
        number_ = 0;
        page_end_ = 0;
        for (kept& one : buffer_) one.tag = 0;
        cursor_.lost();
    }
    void on_open(std::uint32_t channel) override {
        if (channel != number_) return;
        cursor_.attached(with_.around.time.now(), events_);
        act(nullptr);
    }
    void on_closed(std::uint32_t channel) override {
        if (channel != number_) return;
        lost();
        with_.owner.after(std::chrono::milliseconds(500), [this, id = asked_.who, home = &home_] {
            const auto at = home->readers_.find(id);
            if (at != home->readers_.end() && at->second.get() == this && number_ == 0 && with_.client.live()) attach();
        });
    }
    void on_delivery(std::uint32_t channel, const delivered& one) override {
        if (channel != number_ || ending_ != ending::none) return;
        const auto properties = amqp::decode_properties(one.what->properties());
        cursor_.delivered(view_of(with_, one, properties), with_.around.time.now(), events_);
        act(&one);
    }

    void attach() {
        cursor_.attaching();
        number_ =
            with_.client.consume(*this, {.queue = with_.settings().out_queue(),
                                         .prefetch = static_cast<std::uint16_t>(2 * with_.around.with.page_entries),
                                         .arguments = contract::stream_arguments(cursor_.where())});
    }

    void act(const delivered* one) {
        using kind = cursor_event::kind;
        bool again = false;
        for (const cursor_event& event : std::exchange(events_, {})) {
            switch (event.what) {
                case kind::entry:
                case kind::duplicate:
                case kind::skipped:
                    event.history ? pass(one->tag) : keep(*one, event);
                    break;
                case kind::repeated:
                    pass(one->tag);
                    break;
                case kind::gap:
                    if (event.why == cursor_event::cause::recreated) {
                        ending_ = ending::recreated;
                    } else {
                        gap_ = true;
                    }
                    break;
                case kind::caught_up:
                    ending_ = ending::caught_up;
                    break;
                case kind::publish_marker:
                    with_.markers.submit(make_marker(with_, event.marker),
                                         {.deadline = with_.around.time.now() + with_.around.with.publish_timeout}, {});
                    break;
                case kind::ask_again:
                    again = true;
                    break;
                case kind::restarted:
                case kind::proven:
                    break;
            }
        }
        if (again && ending_ == ending::none) {
            with_.client.close_channel(number_);
            lost();
            attach();
        }
        flush();
        arm();
    }

    void pass(std::uint64_t tag) {
        if (!buffer_.empty()) {
            buffer_.back().tag = tag;
        } else if (paging_) {
            page_end_ = tag;
        } else {
            with_.client.live()->ack(number_, tag, true);
        }
    }

    void keep(const delivered& one, const cursor_event& what) {
        aggregator::entry_ref made;
        if (what.what == cursor_event::kind::entry) {
            made = make_entry(with_, one, one.offset);
        } else {
            made = std::make_shared<const aggregator::entry>(
                aggregator::entry{.channel = with_.channel,
                                  .where = envelope::position{.offset = *one.offset, .check = cursor_.last()->check},
                                  .too_large = what.why == cursor_event::cause::too_large});
        }
        buffer_.push_back({std::move(made), one.tag, std::exchange(gap_, false)});
    }

    // Where this reading begins among the entries; it has joined when that is known.
    std::size_t join(const std::vector<aggregator::entry_ref>& entries) {
        if (joined_) return 0;
        joined_ = true;
        if (asked_.from.what != from_kind::at) return 0;
        const envelope::position& from = asked_.from.where;
        std::size_t i = 0;
        while (i < entries.size() && entries[i]->where->offset < from.offset) ++i;
        if (i == entries.size()) {
            joined_ = false;
        } else if (entries[i]->where->offset > from.offset) {
            page_gap_ = envelope::gap_cause::retention;
        } else if (entries[i]->where->check != from.check) {
            page_gap_ = envelope::gap_cause::recreated;
        } else {
            return i + 1;
        }
        return i;
    }

    void flush() {
        if (paging_ || (buffer_.empty() && ending_ == ending::none)) return;
        auto entries = std::make_shared<std::vector<aggregator::entry_ref>>();
        if (!buffer_.empty() && buffer_.front().gap_before && joined_) page_gap_ = envelope::gap_cause::retention;
        while (!buffer_.empty() && entries->size() < with_.around.with.page_entries) {
            if (buffer_.front().gap_before && !entries->empty()) break;
            if (buffer_.front().tag != 0) page_end_ = buffer_.front().tag;
            entries->push_back(std::move(buffer_.front().what));
            buffer_.pop_front();
        }
        const std::size_t begin = join(*entries);
        const bool last = buffer_.empty() && ending_ != ending::none;
        if (last && (!joined_ || ending_ == ending::recreated) && !page_gap_)
            page_gap_ = envelope::gap_cause::recreated;
        if (begin >= entries->size() && !page_gap_ && !last) {
            if (page_end_ != 0) with_.client.live()->ack(number_, std::exchange(page_end_, 0), true);
            return;
        }
        paging_ = true;
        home_.around_.time.after(std::chrono::microseconds(100),
                                 [&home = home_, of = home_.owner_.incarnation(), owner = &home_.owner_,
                                  id = asked_.who, made = make_page(std::move(entries), begin, last)] {
                                     if (owner->incarnation() != of) return;
                                     owner->after({}, [&home, id, made] {
                                         home.listener_.on_page(id, made);
                                         home.turn_();
                                     });
                                 });
    }

    aggregator::page make_page(std::shared_ptr<std::vector<aggregator::entry_ref>> entries, std::size_t begin,
                               bool last) {
        return {.entries = entries,
                .index = std::make_shared<const aggregator::page_index>(*entries),
                .begin = begin,
                .gap = std::exchange(page_gap_, {}),
                .last = last};
    }

    void arm() {
        const auto deadline = cursor_.deadline();
        if (!deadline || armed_ || paging_) return;
        armed_ = true;
        const duration left = std::max<duration>(*deadline - with_.around.time.now(), std::chrono::milliseconds(1));
        with_.owner.after(left, [this, id = asked_.who, home = &home_] {
            const auto at = home->readers_.find(id);
            if (at == home->readers_.end() || at->second.get() != this) return;
            armed_ = false;
            if (paging_ || !buffer_.empty() || number_ == 0) return;
            cursor_.tick(with_.around.time.now(), events_);
            act(nullptr);
            with_.turn();
        });
    }

    older_entries& home_;
    aggregator::page_request asked_;
    feed_tools with_;
    contract::stream_cursor cursor_;
    std::vector<cursor_event> events_;
    std::deque<kept> buffer_;
    std::uint32_t number_ = 0;
    std::uint64_t page_end_ = 0;
    std::optional<envelope::gap_cause> page_gap_;
    ending ending_ = ending::none;
    bool gap_ = false;
    bool joined_ = false;
    bool paging_ = false;
    bool armed_ = false;
};

older_entries::older_entries(environment& around, process& owner, broker_client& client, publisher& markers,
                             feed_listener& listener, std::function<void()> turn)
    : around_(around), owner_(owner), client_(client), markers_(markers), listener_(listener), turn_(std::move(turn)) {}

older_entries::~older_entries() = default;

void older_entries::read(const aggregator::page_request& what) {
    // A session has one reading of a channel: another one replaces it.
    std::erase_if(readers_, [&](const auto& one) {
        return one.first.channel == what.who.channel && one.first.session == what.who.session;
    });
    readers_[what.who] = std::make_unique<reader>(*this, what);
}

void older_entries::taken(const aggregator::reading_id& which, bool more) {
    const auto at = readers_.find(which);
    if (at == readers_.end()) return;
    if (!more) {
        readers_.erase(at);
    } else {
        at->second->taken();
    }
}

}  // namespace foz::sim
