#include "aggregator/shard/gateway.hpp"

#include "aggregator/channel/give_back.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <utility>

namespace foz::aggregator {
namespace {

amqp::client_options publish_options(const settings& all, unsigned shard) {
    return {.urls = all.publish_urls,
            .connection_name = all.name + " publish " + std::to_string(shard),
            .tls = all.broker_tls,
            .content_bytes_max = all.content_bytes_max};
}

// Nobody outside can choose names that all fall together.
std::uint64_t fresh_seed(random_source& from) {
    std::array<std::uint8_t, sizeof(std::uint64_t)> octets{};
    from.fill(octets);
    return std::bit_cast<std::uint64_t>(octets);
}

// Beyond so many times queue_bytes_max a socket is slow although it takes something now and then.
constexpr std::size_t hard_queue_factor = 16;
constexpr std::size_t crowded_queue_divisor = 16;
// What a socket may hold when memory is needed at once.
constexpr std::size_t shed_octets = 16 * 1024;

}  // namespace

// A WebSocket and the session on it. Owned by its connection.
class gateway::client_socket final : public ws::socket_handler {
public:
    client_socket(gateway& home, session_options options)
        : home_(home), options_(std::make_unique<session_options>(std::move(options))) {}
    ~client_socket() override { leave(false); }

private:
    void on_open(ws::connection& socket) override {
        self_ = home_.hub_.opened(std::move(*std::exchange(options_, nullptr)));
        home_.attach(*self_, &socket);
        home_.hub_.begin(*self_);
    }
    void on_text(std::string_view text) override { home_.hub_.on_text(*self_, text); }
    void on_binary(std::string_view octets) override { home_.hub_.on_text(*self_, octets); }
    void on_closed(ws::close_code, std::string_view, bool clean) override { leave(clean); }
    void on_violation(ws::close_code) override { home_.hub_.on_violation(*self_); }
    void on_still_blocked() override { home_.hub_.on_still_blocked(*self_); }
    void on_drained() override { home_.hub_.on_drained(*self_); }

    void leave(bool clean) {
        const auto gone = std::exchange(self_, std::nullopt);
        if (!gone) return;
        home_.hub_.closed(*gone, clean);
        home_.attach(*gone, nullptr);
    }

    gateway& home_;
    std::unique_ptr<session_options> options_;  // until the session begins
    std::optional<member> self_;                // while there is a session
};

// When what was collected is handed out. A round is the time in which all sockets that have something write: what comes
// in the middle of one reaches those that are still to write with what they have, and the others later. Whoever waits
// for few messages at a time so waits half as long; what comes beyond a few is joined until the round is over, for the
// sake of those who want much.
class gateway::turn_end final {
public:
    turn_end(hub& to, net::shard& home) : to_(to), home_(home) {}
    ~turn_end() {
        soon_->owner = nullptr;
        after_round_->owner = nullptr;
    }

    void wait() {
        if (!std::exchange(soon_->waits, true)) home_.at_turn_end(soon_, net::write_line::first);
    }

private:
    static constexpr unsigned within_round_max = 4;

    struct listener final : net::turn_listener {
        listener(turn_end& o, void (turn_end::*c)()) : owner(&o), call(c) {}
        void on_turn_end(net::write_line) override {
            waits = false;
            if (owner) (owner->*call)();
        }
        turn_end* owner;  // null: it has gone
        void (turn_end::*call)();
        bool waits = false;
    };

    void on_turn_end() {
        if (within_round_ < within_round_max) {
            ++within_round_;
            to_.hand_out();
        }
        // Behind all sockets that have something by now.
        if (!std::exchange(after_round_->waits, true)) home_.at_turn_end(after_round_);
    }

    void on_round_end() {
        within_round_ = 0;
        to_.hand_out();
    }

    hub& to_;
    net::shard& home_;
    unsigned within_round_ = 0;
    std::shared_ptr<listener> soon_ = std::make_shared<listener>(*this, &turn_end::on_turn_end);
    std::shared_ptr<listener> after_round_ = std::make_shared<listener>(*this, &turn_end::on_round_end);
};

gateway::gateway(net::shard& home, const settings& all, older_entries& older, other_aggregators& others,
                 const token_gate& tokens, amqp::client_events* publishing)
    : home_(home),
      settings_(all),
      older_(older),
      others_(others),
      tokens_(tokens),
      waiting_{.max = all.publishing.pending_octets_limit},
      client_(home, publish_options(all, home.index()), publishing),
      hub_(all, {.time = home.time(),
                 .wheel = home.wheel(),
                 .random = home.random(),
                 .out = *this,
                 .shard = home.index(),
                 .hash_seed = fresh_seed(home.random())}),
      turn_end_(std::make_unique<turn_end>(hub_, home)) {
    for (std::size_t i = 0; i < all.channels.size(); ++i) publishers_.push_back(make_publisher());
    to_streams_.resize(all.channels.size());
}

std::unique_ptr<amqp::publisher> gateway::make_publisher() {
    amqp::publisher_options options = settings_.publishing;
    options.pool = &waiting_;
    auto made = std::make_unique<amqp::publisher>(client_, options);
    made->set_recipe([this](amqp::channel& on) { return settings_.topology->ensure(on); });
    made->on_room([this](const std::string& client) { hub_.on_room(client_id(client)); });
    return made;
}

// See contract::stream_of(). What one client says to a service and what it says past it are in no common order.
amqp::publisher& gateway::publisher_for(std::size_t channel, const amqp::publication& message) {
    if (!contract::stream_of(settings_.channels, message.exchange, message.routing_key)) return *publishers_[channel];
    auto& made = to_streams_[channel];
    if (!made) made = make_publisher();
    return *made;
}

gateway::published gateway::published_on(std::size_t channel) const {
    published all{.counters = publishers_[channel]->counters(), .pending = publishers_[channel]->pending()};
    if (const auto& more = to_streams_[channel]) {
        all.counters += more->counters();
        all.pending += more->pending();
    }
    return all;
}

gateway::~gateway() = default;

void gateway::start() {
    client_.start();
    hub_.start();
}

boost::asio::awaitable<void> gateway::stop() {
    hub_.stop();
    return client_.stop();
}

void gateway::collect(const entry_ref& item) {
    hub_.collect(item);
    turn_end_->wait();
}

std::unique_ptr<ws::socket_handler> gateway::make_socket(session_options options) {
    return std::make_unique<client_socket>(*this, std::move(options));
}

void gateway::attach(member who, ws::connection* to) {
    if (who.slot >= sockets_.size()) sockets_.resize(who.slot + 1);
    sockets_[who.slot] = to;
    while (!sockets_.empty() && !sockets_.back()) sockets_.pop_back();
    give_back_excess(sockets_);
}

std::size_t gateway::unconfirmed() const {
    std::size_t all = 0;
    for (std::size_t i = 0; i < publishers_.size(); ++i) all += published_on(i).pending;
    return all;
}

void gateway::send(member to, const frame_ref& frames) {
    if (auto* const socket = socket_of(to)) socket->send(frames);
}

void gateway::send_text(member to, std::string_view text) {
    if (auto* const socket = socket_of(to)) socket->send_text(text);
}

std::size_t gateway::queued_bytes(member to) const {
    const auto* const socket = socket_of(to);
    return socket ? socket->queued_bytes() : 0;
}

bool gateway::slow(member to) {
    auto* const socket = socket_of(to);
    // When all of them together have too much waiting, each has to be content with less.
    const bool crowded_out = home_.queued_bytes() > settings_.shard_queue_bytes_max;
    const std::size_t most = settings_.queue_bytes_max / (crowded_out ? crowded_queue_divisor : 1);
    return socket && socket->slow({.queued_bytes_max = most,
                                   .patience = settings_.queue_patience,
                                   .hard_bytes_max = hard_queue_factor * settings_.queue_bytes_max,
                                   .shard_bytes_max = settings_.shard_queue_bytes_max});
}

bool gateway::stuck(member which, std::chrono::milliseconds span) const {
    const auto* const socket = socket_of(which);
    return socket && socket->stuck_for(span);
}

bool gateway::silent(member on, std::chrono::milliseconds span) const {
    const auto* const socket = socket_of(on);
    return !socket || socket->silent_for(span);
}

bool gateway::taking(member which) {
    auto* const socket = socket_of(which);
    return socket && socket->taking();
}

void gateway::close(member which, ws::close_code code, std::string_view reason) {
    if (auto* const socket = socket_of(which)) socket->close(code, reason);
}

void gateway::send_away(member which, ws::close_code code, std::string_view reason) {
    if (auto* const socket = socket_of(which)) socket->close(code, reason, ws::connection::late_messages::taken);
}

void gateway::abort(member which) {
    if (auto* const socket = socket_of(which)) socket->abort();
}

std::size_t gateway::shed() {
    std::size_t closed = 0;
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
        ws::connection* const one = sockets_[i];
        if (!one || (one->octets_under_way() < shed_octets && one->queued_bytes() < shed_octets)) continue;
        one->abort();
        ++closed;
    }
    hub_.counters().shed += closed;
    return closed;
}

void gateway::pause_reading(member from, bool paused) {
    auto* const socket = socket_of(from);
    if (!socket) return;
    if (paused) {
        socket->pause_reading();
    } else {
        socket->resume_reading();
    }
}

void gateway::publish(std::size_t channel, const client_id& client, amqp::publication message, publish_ticket ticket,
                      steady_time deadline) {
    amqp::publisher::on_outcome done;
    if (ticket != 0) done = [this, ticket](amqp::outcome result) { hub_.on_outcome(ticket, result); };
    const bool ordered = settings_.channels[channel].order == contract::order_kind::client;
    const bool has_queue = contract::stream_of(settings_.channels, message.exchange, message.routing_key) != nullptr;
    amqp::publisher& to = publisher_for(channel, message);
    to.publish(std::move(message),
               {.key = client.str(), .ordered = ordered, .has_queue = has_queue, .deadline = deadline},
               std::move(done));
}

bool gateway::crowded(std::size_t channel, const client_id& client) const {
    const auto& past = to_streams_[channel];
    return publishers_[channel]->full(client.view()) || (past && past->full(client.view()));
}

// One portion of the hub's work in a turn, for as long as there is some.
void gateway::want_work() {
    if (std::exchange(working_, true)) return;
    home_.in_portions([this] { return working_ = hub_.work(); });
}

}  // namespace foz::aggregator
