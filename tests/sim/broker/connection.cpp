#include "broker/connection.hpp"

#include "amqp/codec/property_view.hpp"
#include "broker/broker_process.hpp"
#include "contract/names.hpp"

#include <algorithm>
#include <utility>

namespace foz::sim {
namespace {

constexpr std::size_t method_octets = 32;

bool is_stream(const broker::queue& one) {
    return one.settings().kind == broker::queue_kind::stream;
}

}  // namespace

// The broker's end of a channel: a publisher's, or one consumer's.
struct connection::channel_end final : broker::consumer {
    channel_end(connection& c, std::uint32_t n) : home(c), number(n) {}
    ~channel_end() = default;

    bool can_take() const noexcept override {
        return !closed && unsettled.size() < prefetch && home.down_->has_room() && home.server_open_ &&
               !home.broker_.holds_deliveries();
    }
    void take(const std::shared_ptr<broker::queue>& queue, broker::entry taken) override {
        home.server_deliver(*this, queue, std::move(taken));
    }
    void on_queue_gone() override {
        from.reset();
        gone = true;
        home.down(method_octets, [n = number](connection_events& events) { events.on_channel_closed(n); });
    }

    connection& home;
    const std::uint32_t number;
    std::shared_ptr<broker::queue> from;
    std::size_t prefetch = 0;
    std::uint64_t tags = 0;
    std::deque<unacked> unsettled;
    std::uint64_t published = 0;
    std::deque<unconfirmed> waiting;
    bool closed = false;
    bool gone = false;  // the queue was deleted
};

connection::connection(scheduler& time, rng& random, process& owner, broker_process& to, connection_events& events,
                       pipe_options options)
    : time_(time),
      owner_(owner),
      broker_(to),
      events_(events),
      up_(pipe::make(time, random, to, options)),
      down_(pipe::make(time, random, owner, options)),
      owner_incarnation_(owner.incarnation()) {}

connection::~connection() {
    down_->on_room = nullptr;
}

void connection::open() {
    down_->on_room = [this] { server_wake(); };
    if (!broker_.up()) {
        owner_.after(std::chrono::milliseconds(1), [self = shared_from_this()] { self->owner_lost(); });
        return;
    }
    up_->send(method_octets, [self = shared_from_this()] { self->server_accept(); });
}

void connection::server_accept() {
    if (ended_) return;
    id_ = broker_.model().new_owner();
    server_open_ = true;
    broker_.attach(shared_from_this());
    const bool blocked = broker_.blocked();
    down_->send(method_octets, [self = shared_from_this(), blocked] {
        if (self->ended_) return;
        self->client_open_ = true;
        self->events_.on_connected();
        if (blocked && self->client_open_) self->events_.on_blocked(true);
    });
}

void connection::up(std::size_t octets, std::move_only_function<void(connection&)> work) {
    if (!client_open_) return;
    up_->send(octets, [self = shared_from_this(), work = std::move(work)]() mutable {
        if (!self->server_open_) return;
        work(*self);
        self->broker_.changed();
    });
}

void connection::down(std::size_t octets, std::move_only_function<void(connection_events&)> tell) {
    if (!server_open_) return;
    down_->send(octets, [self = shared_from_this(), tell = std::move(tell)]() mutable {
        if (self->client_open_ && self->owner_incarnation_ == self->owner_.incarnation()) tell(self->events_);
    });
}

void connection::close() {
    if (ended_) return;
    ended_ = true;
    client_open_ = false;
    down_->cut();
    up_->cut();
    // The broker sees the end of the connection, when it runs.
    broker_.after(std::chrono::milliseconds(1), [self = shared_from_this()] { self->server_close(); });
}

void connection::owner_lost() {
    if (owner_incarnation_ != owner_.incarnation()) return;
    const bool told = !std::exchange(ended_, true) || std::exchange(client_open_, false);
    client_open_ = false;
    if (told) events_.on_disconnected();
}

void connection::cut(duration owner_notices, duration broker_notices) {
    if (ended_) return;
    up_->cut();
    down_->cut();
    if (owner_.incarnation() == owner_incarnation_)
        owner_.after(owner_notices, [self = shared_from_this()] { self->owner_lost(); });
    broker_.after(broker_notices, [self = shared_from_this()] { self->server_close(); });
}

void connection::stall(duration span) {
    up_->stall(span);
    down_->stall(span);
}

void connection::broker_died() {
    server_open_ = false;
    ends_.clear();
    up_->cut();
    down_->cut();
    if (owner_.incarnation() == owner_incarnation_)
        owner_.after(std::chrono::milliseconds(2), [self = shared_from_this()] { self->owner_lost(); });
}

void connection::tell_blocked(bool is) {
    if (is && !publishes_) return;
    up_->pause(is);
    down(method_octets, [is](connection_events& events) { events.on_blocked(is); });
}

// --- The owner's verbs.

std::uint32_t connection::open_channel() {
    const std::uint32_t number = ++channels_;
    publishes_ = true;
    up(method_octets, [number](connection& self) {
        self.ends_.emplace(number, std::make_unique<channel_end>(self, number));
        self.down(method_octets, [number](connection_events& events) { events.on_channel_open(number); });
        if (self.broker_.blocked()) self.tell_blocked(true);
    });
    return number;
}

std::uint32_t connection::consume(consume_wish wish) {
    const std::uint32_t number = ++channels_;
    up(method_octets, [number, wish = std::move(wish)](connection& self) { self.server_consume(number, wish); });
    return number;
}

void connection::close_channel(std::uint32_t channel) {
    up(method_octets, [channel](connection& self) {
        if (channel_end* const one = self.find(channel)) self.server_close_channel(*one, false);
    });
}

void connection::publish(std::uint32_t channel, const amqp::publication& what) {
    up(method_octets + what.body.size(), [channel, what](connection& self) { self.server_publish(channel, what); });
}

void connection::ack(std::uint32_t channel, std::uint64_t tag, bool multiple) {
    up(method_octets, [=](connection& self) { self.server_settle(channel, tag, multiple, true, false); });
}

void connection::nack(std::uint32_t channel, std::uint64_t tag, bool requeue) {
    up(method_octets, [=](connection& self) { self.server_settle(channel, tag, false, false, requeue); });
}

void connection::count_consumers(const std::string& queue) {
    up(method_octets, [queue](connection& self) {
        const auto found = self.broker_.host().find_queue(queue, self.id_);
        const std::size_t count = found ? (*found)->consumer_count() : 0;
        self.down(method_octets, [queue, count](connection_events& events) { events.on_consumers(queue, count); });
    });
}

void connection::declare() {
    up(method_octets, [](connection& self) { self.broker_.declare_topology(); });
}

// --- The broker's side.

connection::channel_end* connection::find(std::uint32_t channel) {
    const auto at = ends_.find(channel);
    return at == ends_.end() ? nullptr : at->second.get();
}

void connection::server_close() {
    ended_ = true;
    if (!std::exchange(server_open_, false)) return;
    while (!ends_.empty()) server_close_channel(*ends_.begin()->second, false);
    broker_.host().leave(id_);
    broker_.changed();
    broker_.detach(this);
}

void connection::server_close_channel(channel_end& one, bool told) {
    one.closed = true;
    const std::shared_ptr<broker::queue> from = one.from;
    if (from && !one.gone) {
        // What it had comes first, before the next one takes anything.
        for (unacked& back : one.unsettled) back.from->give_back(std::move(back.what));
        from->cancel(one);
        from->deliver();
    }
    const std::uint32_t number = one.number;
    ends_.erase(number);
    if (told) down(method_octets, [number](connection_events& events) { events.on_channel_closed(number); });
}

void connection::server_consume(std::uint32_t channel, const consume_wish& wish) {
    const auto refuse = [&] {
        down(method_octets, [channel](connection_events& events) { events.on_channel_closed(channel); });
    };
    if (wish.length_max > 0) {
        amqp::table arguments{{"x-max-length", wish.length_max}, {"x-overflow", "drop-head"}};
        if (!wish.dropped_to.empty()) {
            arguments.set("x-dead-letter-exchange", "");
            arguments.set("x-dead-letter-routing-key", wish.dropped_to);
        }
        const auto made = broker_.host().declare(
            {.name = wish.queue, .flags = {.exclusive = true}, .arguments = std::move(arguments)}, id_);
        if (!made) return refuse();
    }
    if (!wish.bind_key.empty()) {
        const auto bound = broker_.host().bind({.source = std::string(contract::outbound_exchange),
                                                .destination = wish.queue,
                                                .routing_key = wish.bind_key},
                                               id_);
        if (!bound) return refuse();
    }
    const auto found = broker_.host().find_queue(wish.queue, id_);
    if (!found || (is_stream(**found) && broker_.recovers_streams())) return refuse();
    auto made = std::make_unique<channel_end>(*this, channel);
    made->prefetch = wish.prefetch;
    made->owner = id_;
    channel_end& end = *made;
    ends_.emplace(channel, std::move(made));
    const auto done = (*found)->consume(end, {.stream_offset = wish.arguments.find("x-stream-offset")});
    if (!done) {
        ends_.erase(channel);
        return refuse();
    }
    end.from = (*found)->shared_from_this();
    down(method_octets, [channel](connection_events& events) { events.on_channel_open(channel); });
    end.from->wake(end);
}

void connection::server_publish(std::uint32_t channel, const amqp::publication& what) {
    channel_end* const on = find(channel);
    if (!on) return;
    const std::uint64_t tag = ++on->published;
    if (broker_.refusing()) {
        on->waiting.push_back({tag, 0, false, {}});
        return;
    }
    broker_.watcher().on_published(what, owner_);
    const auto encoded = amqp::encode_properties(what.properties);
    const auto made = encoded ? broker::message::make({.exchange = what.exchange,
                                                       .routing_key = what.routing_key,
                                                       .properties = *encoded,
                                                       .body = what.body})
                              : std::unexpected(amqp::wire_error{});
    const auto to = broker_.host().find_exchange(what.exchange);
    if (!made || !to) return server_close_channel(*on, true);
    broker::result<broker::publish_outcome> put;
    if (!broker_.recovers_streams() || !broker_.routes_to_stream(what)) put = broker_.host().publish(**to, *made);
    if (!put) return server_close_channel(*on, true);
    if (!put->routed && what.mandatory) {
        down(method_octets + what.body.size(), [channel, what](connection_events& events) {
            amqp::basic_return back;
            back.reply_code = 312;  // NO_ROUTE
            back.exchange = what.exchange;
            back.routing_key = what.routing_key;
            events.on_return(channel, back, what.properties, what.body);
        });
    }
    on->waiting.push_back({tag, broker_.pending_commit(), !put->rejected,
                           put->routed ? what.properties.message_id.value_or("") : std::string()});
}

void connection::server_settle(std::uint32_t channel, std::uint64_t tag, bool multiple, bool ack, bool requeue) {
    channel_end* const on = find(channel);
    if (!on) return;
    const auto end = std::ranges::upper_bound(on->unsettled, tag, {}, &unacked::tag);
    auto begin = multiple ? on->unsettled.begin() : std::ranges::lower_bound(on->unsettled, tag, {}, &unacked::tag);
    std::vector<unacked> settled(std::make_move_iterator(begin), std::make_move_iterator(end));
    on->unsettled.erase(begin, end);
    for (unacked& one : settled) {
        if (ack) {
            one.from->ack(one.what);
        } else if (requeue) {
            one.from->requeue(std::move(one.what));
            one.from->deliver();
        } else {
            one.from->reject(std::move(one.what));
        }
    }
    if (on->from && !on->gone) on->from->wake(*on);
}

void connection::server_deliver(channel_end& to, const std::shared_ptr<broker::queue>& from, broker::entry taken) {
    const bool stream = is_stream(*from);
    delivered one{.tag = ++to.tags,
                  .redelivered = taken.redelivered,
                  .returns = taken.returns,
                  .offset = stream ? std::optional(taken.at) : std::nullopt,
                  .what = taken.what};
    to.unsettled.push_back({one.tag, from, std::move(taken)});
    const std::size_t octets = method_octets + one.what->body().size();
    down(octets, [n = to.number, one = std::move(one)](connection_events& events) { events.on_delivery(n, one); });
}

void connection::server_wake() {
    if (!server_open_ || !broker_.running()) return;
    std::vector<std::uint32_t> numbers;
    for (const auto& [number, end] : ends_) numbers.push_back(number);
    for (const std::uint32_t number : numbers)
        if (channel_end* const end = find(number); end && end->from && !end->gone) end->from->wake(*end);
    broker_.changed();
}

void connection::flush_confirms(broker::commit_number committed) {
    for (auto& [number, end] : ends_) {
        while (!end->waiting.empty() && end->waiting.front().commit <= committed) {
            // One frame for all that share an outcome.
            unconfirmed last = std::move(end->waiting.front());
            end->waiting.pop_front();
            bool multiple = false;
            if (last.positive && !last.message_id.empty()) broker_.watcher().on_confirmed(last.message_id);
            while (!end->waiting.empty() && end->waiting.front().commit <= committed && last.positive &&
                   end->waiting.front().positive) {
                last = std::move(end->waiting.front());
                end->waiting.pop_front();
                multiple = true;
                if (!last.message_id.empty()) broker_.watcher().on_confirmed(last.message_id);
            }
            down(method_octets, [n = number, tag = last.tag, multiple, ok = last.positive](connection_events& events) {
                events.on_confirm(n, tag, multiple, ok);
            });
        }
    }
}

}  // namespace foz::sim
