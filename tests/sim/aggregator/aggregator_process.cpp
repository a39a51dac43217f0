#include "aggregator/aggregator_process.hpp"

#include "aggregator/socket.hpp"
#include "broker/broker_process.hpp"
#include "contract/names.hpp"
#include "oracle/oracle.hpp"
#include "ws/codec/writer.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace foz::sim {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

aggregator::session_settings make_settings(const parameters& with) {
    aggregator::session_settings made;
    made.channels = with.channels;
    made.publish_targets = {"INBOUND", "OUTBOUND"};
    made.ping_interval = duration_cast<milliseconds>(with.ping_interval);
    made.request_timeout = duration_cast<milliseconds>(with.request_timeout);
    made.publish_timeout = duration_cast<milliseconds>(with.publish_timeout);
    made.message_bytes_max = with.message_bytes_max;
    made.queue_bytes_max = with.queue_bytes_max;
    made.client.requests = with.requests_per_client_max;
    made.recent_bytes_max = with.recent_bytes_max;
    made.resume_entries_max = with.resume_entries_max;
    made.position_interval = duration_cast<milliseconds>(with.position_interval);
    made.outcomes_max = with.outcomes_max;
    made.drain_spread = milliseconds(500);
    return made;
}

}  // namespace

aggregator_process::life::life(aggregator_process& h)
    : home(h),
      wheel(h.around_.time),
      publishing(h.around_, h, h.name() + " publish", [&h] { h.end_turn(); }),
      consuming(h.around_, h, h.name() + " consume", [&h] { h.end_turn(); }),
      streaming(h.around_, h, h.name() + " streams", [&h] { h.end_turn_soon(); }),
      markers(h.around_, h, publishing, h.found_, h.name() + " markers", [&h] { h.end_turn(); }),
      dead(h.tools(*this, consuming, 0)),
      watch(h.tools(*this, consuming, 0)),
      older(h.around_, h, streaming, markers, h, [&h] { h.end_turn(); }),
      attached(h.settings_.channels.size(), false),
      hub(h.settings_, {.time = h.around_.time, .wheel = wheel, .random = h.around_.random.product, .out = h}) {
    for (std::size_t i = 0; i < h.settings_.channels.size(); ++i) {
        const auto& channel = h.settings_.channels[i];
        auto& made = publishers.emplace_back(std::make_unique<publisher>(
            h.around_, h, publishing, h.found_, h.name() + " " + channel.name, [&h] { h.end_turn(); },
            amqp::publisher_options{.in_flight_limit = h.around_.with.publish_window,
                                    .key_high_mark = h.around_.with.key_high_mark}));
        made->on_room = [this](const std::string& client) { hub.on_room(client_id(client)); };
        if (channel.delivery == contract::delivery_kind::durable) {
            streams.push_back(std::make_unique<stream_feed>(h.tools(*this, streaming, i)));
        } else {
            volatiles.push_back(std::make_unique<volatile_feed>(h.tools(*this, consuming, i)));
        }
    }
}

// The sockets are the hub's way out: they go after it, and it after what calls it.
aggregator_process::life::~life() = default;

aggregator_process::aggregator_process(environment& around, oracle& judge, unsigned number)
    : process(around.time, "agg" + std::to_string(number)),
      around_(around),
      oracle_(judge),
      found_(judge.found()),
      settings_(make_settings(around.with)) {}

aggregator_process::~aggregator_process() = default;

feed_tools aggregator_process::tools(life& of, broker_client& client, std::size_t channel) {
    return {.around = around_,
            .owner = *this,
            .client = client,
            .markers = of.markers,
            .listener = *this,
            .turn = [this] { end_turn(); },
            .channel = channel};
}

void aggregator_process::on_start() {
    around_.log.say(name(), "starts");
    run_ = std::make_unique<life>(*this);
    run_->publishing.start();
    run_->consuming.start();
    run_->streaming.start();
    run_->hub.start();
    after(net::timing_wheel::tick, [this] { tick(); });
}

void aggregator_process::on_kill() {
    around_.log.say(name(), "is killed");
    // The kernel resets its connections.
    for (const auto& one : around_.links) {
        const auto link = one.lock();
        if (!link || &link->of(ws_link::side::server) != this) continue;
        link->set(ws_link::side::server, nullptr);
        link->cut(milliseconds(1), {});
    }
    run_.reset();
}

void aggregator_process::tick() {
    run_->wheel.advance(around_.time.now());
    check_bounds();
    end_turn();
    after(net::timing_wheel::tick, [this] { tick(); });
}

// What a turn has brought is written, sent and told.
void aggregator_process::end_turn() {
    if (!run_) return;
    run_->hub.hand_out();
    do {
        run_->touched = false;
        for (const auto& one : run_->publishers) one->end_turn();
        run_->markers.end_turn();
    } while (run_->touched);
    for (const auto& one : std::exchange(run_->dirty, {})) one->write();
}

// One read of a socket may bring many deliveries: they are one turn.
void aggregator_process::end_turn_soon() {
    if (!run_ || std::exchange(run_->turn_ends, true)) return;
    after(around_.random.scheduling.between(std::chrono::microseconds(0), std::chrono::microseconds(2'000)), [this] {
        run_->turn_ends = false;
        end_turn();
    });
}

void aggregator_process::want_work() {
    if (std::exchange(run_->working, true)) return;
    after(around_.random.scheduling.between(std::chrono::microseconds(10), std::chrono::microseconds(500)),
          [this] { work(); });
}

void aggregator_process::work() {
    run_->working = false;
    if (run_->hub.work()) want_work();
    end_turn();
}

bool aggregator_process::ready() const noexcept {
    return run_ && !run_->draining && std::ranges::all_of(run_->attached, [](bool one) { return one; });
}

void aggregator_process::drain() {
    if (!run_) return;
    around_.log.say(name(), "drains");
    run_->draining = true;
    run_->hub.drain();
    end_turn();
}

void aggregator_process::end_drain() {
    if (!run_) return;
    around_.log.say(name(), "has drained for long enough");
    run_->drain_over = true;
    run_->hub.end_drain();
    end_turn();
}

void aggregator_process::accept(const std::shared_ptr<ws_link>& link, const handshake& asked,
                                handshake_listener& tell) {
    if (!ready()) {
        ++counters_.refused;
        link->call(ws_link::side::server, 100, [&tell] { tell.on_refused(); });
        link->close(ws_link::side::server);
        return;
    }
    ++counters_.accepted;
    link->call(ws_link::side::server, 100, [&tell] { tell.on_accepted(); });
    const auto made = std::make_shared<socket>(*this, link);
    // Unlike any other of this run.
    const std::string spark = "s" + std::to_string(++sparks_) + "-" + name();
    made->open({.client = client_id(asked.client),
                .id = session_id(spark),
                .bound_channel = {},
                .consume_at_open = asked.consume_at_open,
                .hello = asked.hello});
    end_turn();
}

std::size_t aggregator_process::queued() const noexcept {
    std::size_t sum = 0;
    if (run_)
        for (const auto& one : run_->sockets)
            if (one) sum += one->queued();
    return sum;
}

void aggregator_process::check_bounds() {
    // A socket's queue is bounded by the limit at which it is slow, what is beyond before that is noticed, and what
    // one turn adds.
    const std::size_t bound = 8 * settings_.queue_bytes_max + 1024 * 1024;
    for (const auto& one : run_->sockets) {
        if (!one) continue;
        found_.compared(invariant::bounded);
        if (one->queued() > bound)
            found_.add(invariant::bounded, "{} has {} octets queued for one socket, more than {}", name(),
                       one->queued(), bound);
    }
    const std::size_t waiting = run_->hub.requests_waiting();
    const std::size_t clients = around_.with.clients;
    if (waiting > 2 * clients * settings_.client.requests)
        found_.add(invariant::bounded, "{} has {} requests waiting", name(), waiting);
}

void aggregator_process::count_resumes(std::vector<std::size_t>& by_state) const {
    if (!run_) return;
    run_->hub.each_resume(
        [&](std::size_t, aggregator::resume_cursor::state state) { ++by_state[static_cast<std::size_t>(state)]; });
}

// --- hub_output

aggregator_process::socket* aggregator_process::socket_of(aggregator::member who) const {
    if (who.slot >= run_->sockets.size() || !run_->sockets[who.slot]) return nullptr;
    socket* const one = run_->sockets[who.slot].get();
    return one->self() == who ? one : nullptr;
}

void aggregator_process::send(aggregator::member to, const frame_ref& frames) {
    if (socket* const one = socket_of(to)) one->queue(frames.octets());
}

void aggregator_process::send_text(aggregator::member to, std::string_view text) {
    std::string frame;
    ws::append_frame(frame, ws::opcode::text, text);
    socket* const one = socket_of(to);
    if (!one) return;
    one->queue(frame);
    if (const std::int64_t number = oracle::number_answered(text)) one->told(number);
}

std::size_t aggregator_process::queued_bytes(aggregator::member to) const {
    const socket* const one = socket_of(to);
    return one ? one->queued() : 0;
}

bool aggregator_process::slow(aggregator::member to) {
    socket* const one = socket_of(to);
    return one && one->slow();
}

bool aggregator_process::resumes() const {
    bool any = false;
    run_->hub.each_resume([&any](std::size_t, aggregator::resume_cursor::state) { any = true; });
    return any;
}

void aggregator_process::shows_life(const std::vector<std::int64_t>& told) {
    for (const std::int64_t number : told) oracle_.may_have_heard(number);
}

bool aggregator_process::stuck(aggregator::member which, std::chrono::milliseconds span) const {
    const socket* const one = socket_of(which);
    return one && one->stuck_for(span);
}

bool aggregator_process::silent(aggregator::member on, std::chrono::milliseconds span) const {
    const socket* const one = socket_of(on);
    return one && one->silent_for(span);
}

void aggregator_process::close(aggregator::member which, ws::close_code code, std::string_view reason) {
    socket* const one = socket_of(which);
    if (!one) return;
    around_.log.say(name(), "closes the socket in slot {}: {} {}", which.slot, static_cast<int>(code), reason);
    if (code == ws::close_code(spec::close_too_slow)) {
        found_.compared(invariant::fair);
        if (!one->is_slow_by_right())
            found_.add(invariant::fair, "{} closes slot {} as slow although its socket takes what it is given", name(),
                       which.slot);
    }
    one->close(code, reason);
}

// Who is sent away has been answered before, unless the drain's limit is over.
void aggregator_process::send_away(aggregator::member which, ws::close_code code, std::string_view reason) {
    const socket* const one = socket_of(which);
    if (one && !run_->drain_over) {
        found_.compared(invariant::answered);
        if (const auto open = one->first_open(); open && !one->ended())
            found_.add(invariant::answered, "{} sends the socket in slot {} away, which waits for what became of {}",
                       name(), which.slot, *open);
    }
    close(which, code, reason);
}

void aggregator_process::abort(aggregator::member which) {
    around_.log.say(name(), "gives the socket in slot {} up", which.slot);
    if (socket* const one = socket_of(which)) one->abort();
}

void aggregator_process::pause_reading(aggregator::member from, bool paused) {
    if (paused) ++counters_.paused;
    if (socket* const one = socket_of(from)) one->pause(paused);
}

void aggregator_process::publish(std::size_t channel, const client_id& client, amqp::publication message,
                                 aggregator::publish_ticket ticket, steady_time deadline) {
    run_->touched = true;
    const std::string id = message.properties.message_id.value_or("");
    // What waits for an answer may be asked again when it has timed out.
    const bool plain = message.exchange == contract::inbound_exchange && !message.properties.reply_to;
    if (plain) check_not_done_again(id);
    amqp::on_outcome done = [this, ticket, id, plain, number = oracle::number_in(message.body)](amqp::outcome result) {
        if (result != amqp::outcome::confirmed) oracle_.given_up(number);
        if (ticket == 0) return;
        if (plain) settle_id(id, result);
        run_->hub.on_outcome(ticket, result);
    };
    const bool ordered = settings_.channels[channel].order == contract::order_kind::client;
    const bool has_queue = contract::stream_of(settings_.channels, message.exchange, message.routing_key) != nullptr;
    around_.log.say(name(), "publishes {} to {}", message.properties.message_id.value_or("-"), message.routing_key);
    run_->publishers[channel]->submit(
        std::move(message), {.key = client.str(), .ordered = ordered, .has_queue = has_queue, .deadline = deadline},
        std::move(done));
}

// A resend gets the original's outcome instead of being done again.
void aggregator_process::check_not_done_again(const std::string& id) {
    found_.compared(invariant::publishing);
    const auto [at, fresh] = run_->known.emplace(id, std::nullopt);
    if (fresh) return;
    if (!at->second || run_->outcomes - *at->second < settings_.outcomes_max / 2)
        found_.add(invariant::publishing, "{} publishes {} again, {}", name(), id,
                   at->second ? "whose outcome it should know" : "which is still on its way");
    at->second.reset();
}

void aggregator_process::settle_id(const std::string& id, amqp::outcome result) {
    ++run_->outcomes;
    if (result == amqp::outcome::confirmed) {
        run_->known[id] = run_->outcomes;
    } else {
        run_->known.erase(id);  // it may be tried again
    }
}

bool aggregator_process::crowded(std::size_t channel, const client_id& client) const {
    return run_->publishers[channel]->full(client.view());
}

// --- feed_listener

void aggregator_process::on_entry(const aggregator::entry_ref& what, bool history) {
    history ? run_->hub.remember(what) : run_->hub.collect(what);
}

void aggregator_process::on_attached(std::size_t channel, const std::string& reply_queue) {
    around_.log.say(name(), "hears channel {}", settings_.channels[channel].name);
    // What services have said meanwhile went nowhere. Who hears the channel by now is told before what comes next.
    const bool is_volatile = settings_.channels[channel].delivery == contract::delivery_kind::volatile_;
    if (run_->attached[channel] && is_volatile) on_gap(channel, envelope::gap_cause::lost, std::nullopt);
    run_->attached[channel] = true;
    run_->hub.set_reply_queue(channel, reply_queue);
}

void aggregator_process::on_detached(std::size_t channel) {
    if (settings_.channels[channel].delivery == contract::delivery_kind::volatile_) run_->hub.interrupt(channel);
}

void aggregator_process::on_gap(std::size_t channel, envelope::gap_cause cause,
                                const std::optional<envelope::position>& where) {
    ++counters_.gaps;
    around_.log.say(name(), "channel {} has a gap: {}", settings_.channels[channel].name, envelope::to_string(cause));
    if (cause == envelope::gap_cause::too_large) return;  // the entry itself tells the sessions
    run_->hub.gap(channel, cause, where);
}

void aggregator_process::on_history_void(std::size_t channel) {
    run_->hub.forget_history(channel);
}

void aggregator_process::on_service(std::size_t channel, bool there) {
    run_->hub.set_service(channel, there);
}

void aggregator_process::on_page(const aggregator::reading_id& to, aggregator::page what) {
    ++counters_.pages;
    run_->hub.on_page(to, std::move(what));
}

}  // namespace foz::sim
