#include "faults/strike.hpp"

#include "contract/names.hpp"
#include "world.hpp"

#include <algorithm>

namespace foz::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

duration span_of(world& w, duration low = milliseconds(100)) {
    return w.around_.random.faults.between(low, w.around_.with.fault_span_max);
}

template <class T>
T* any_up(world& w, const std::vector<std::unique_ptr<T>>& all) {
    std::vector<T*> up;
    for (const auto& one : all)
        if (one->running()) up.push_back(one.get());
    return up.empty() ? nullptr : up[w.around_.random.faults.pick(up.size())];
}

service* any_service(world& w) {
    return any_up(w, w.services[w.around_.random.faults.pick(w.services.size())]);
}

// It is back after a while, or only when everything is healed.
bool kill(world& w, process* which, milliseconds at_most, unsigned for_good_permille) {
    if (!which || !which->up()) return false;
    which->kill();
    if (w.around_.random.faults.chance(for_good_permille)) return true;
    w.around_.time.after(w.around_.random.faults.between(milliseconds(20), at_most), [which] { which->start(); });
    return true;
}

bool stop(world& w, process* which) {
    if (!which || !which->running()) return false;
    w.around_.log.say(which->name(), "is stopped");
    which->stop();
    const duration most = w.around_.random.faults.chance(150) ? seconds(60) : w.around_.with.fault_span_max;
    w.around_.time.after(w.around_.random.faults.between(milliseconds(100), most), [which, &w] {
        if (which->stopped()) w.around_.log.say(which->name(), "goes on");
        which->go_on();
    });
    return true;
}

// It ends when its last socket has gone, or soon after the limit.
void finish_drain(world& w, aggregator_process* one, std::uint32_t of, steady_time limit) {
    w.around_.time.after(milliseconds(200), [&w, one, of, limit] {
        if (one->incarnation() != of) return;
        const bool over = w.around_.time.now() >= limit;
        if (one->sessions_left() > 0 && over && one->running()) one->end_drain();
        if (one->sessions_left() > 0 && !over) return finish_drain(w, one, of, limit);
        w.around_.time.after(milliseconds(300), [one, of] {
            if (one->incarnation() != of) return;
            one->kill();
            one->start();
        });
    });
}

client* any_open(world& w) {
    std::vector<client*> open;
    for (const auto& one : w.clients)
        if (one->open()) open.push_back(one.get());
    return open.empty() ? nullptr : open[w.around_.random.faults.pick(open.size())];
}

bool cut(world& w, bool half_open) {
    client* const who = any_open(w);
    if (!who) return false;
    w.around_.log.say(who->name(), "is cut off{}", half_open ? ", which its aggregator does not notice" : "");
    const duration server =
        half_open ? seconds(60) : w.around_.random.faults.between(milliseconds(1), milliseconds(50));
    who->link()->cut(w.around_.random.faults.between(milliseconds(1), milliseconds(200)), server);
    return true;
}

std::shared_ptr<connection> any_connection(world& w) {
    std::vector<std::pair<std::string, std::shared_ptr<connection>>> open;
    for (const auto& [label, one] : w.around_.connections)
        if (auto link = one.lock(); link && link->is_open()) open.emplace_back(label, std::move(link));
    if (open.empty()) return nullptr;
    auto& picked = open[w.around_.random.faults.pick(open.size())];
    w.around_.log.say("network", "the connection of {} is hit", picked.first);
    return picked.second;
}

bool cut_broker(world& w, bool half_open) {
    const auto one = any_connection(w);
    if (!one) return false;
    rng& random = w.around_.random.faults;
    // A side that does not notice learns it from its heartbeat.
    const duration late = random.between(seconds(3), seconds(20));
    const duration soon = random.between(milliseconds(1), milliseconds(100));
    const bool owner = random.chance(500);
    one->cut(half_open && owner ? late : soon, half_open && !owner ? late : soon);
    return true;
}

std::size_t any_durable(world& w) {
    return w.around_.random.faults.pick(2);  // chat, tickets
}

amqp::publication to_everybody(world& w, std::size_t channel, std::size_t octets) {
    amqp::publication out;
    out.exchange = contract::outbound_exchange;
    out.routing_key = w.around_.with.channels[channel].name;
    out.properties.delivery_mode = 2;
    out.properties.timestamp = static_cast<std::uint64_t>(unix_ms(w.around_.time.wall_now()).count() / 1000);
    out.properties.message_id = "said/" + std::to_string(w.oracle_.next_number());
    out.properties.headers.emplace().set(contract::header_broadcast, true);
    out.body = "{\"pad\":\"" + std::string(octets, 'y') + "\"}";
    return out;
}

bool say_much(world& w, std::size_t count, std::size_t octets, std::size_t channel) {
    service* const by = any_up(w, w.services[channel]);
    if (!by) return false;
    for (std::size_t i = 0; i < count; ++i) by->say(to_everybody(w, channel, octets));
    return true;
}

bool slow_reader(world& w) {
    client* const who = any_open(w);
    if (!who) return false;
    w.around_.log.say(who->name(), "reads nothing for a while");
    w.oracle_.disturb(*who);
    who->stop_reading(span_of(w, milliseconds(500)));
    return true;
}

bool stall_client(world& w) {
    client* const who = any_open(w);
    if (!who) return false;
    w.oracle_.disturb(*who);
    who->link()->stall(span_of(w));
    return true;
}

bool stop_client(world& w) {
    client* const who = any_open(w);
    if (!who) return false;
    w.oracle_.disturb(*who);
    return stop(w, who);
}

bool recreate(world& w) {
    if (!w.broker->running() || !w.around_.random.faults.chance(300)) return false;
    w.broker->recreate_stream(w.around_.with.channels[any_durable(w)].out_queue());
    return true;
}

bool pass_retention(world& w) {
    if (w.around_.with.retention_bytes == 0) return false;
    constexpr std::size_t octets = 2'000;
    const std::size_t channel = any_durable(w);
    return say_much(w, std::min<std::size_t>(w.around_.with.retention_bytes / octets + 2, 40), octets, channel);
}

}  // namespace

bool strike(world& w, fault which) {
    rng& random = w.around_.random.faults;
    switch (which) {
        case fault::kill_aggregator:
            return kill(w, any_up(w, w.aggregators), milliseconds(8'000), 200);
        case fault::stop_aggregator:
            w.oracle_.disturb();
            return stop(w, any_up(w, w.aggregators));
        case fault::drain_aggregator: {
            aggregator_process* const one = any_up(w, w.aggregators);
            if (!one || !one->ready()) return false;
            one->drain();
            finish_drain(w, one, one->incarnation(),
                         w.around_.time.now() + random.between(milliseconds(1'000), milliseconds(10'000)));
            return true;
        }
        case fault::kill_service:
            return kill(w, any_service(w), milliseconds(12'000), 100);
        case fault::stop_service:
            return stop(w, any_service(w));
        case fault::kill_broker:
            return kill(w, w.broker.get(), milliseconds(5'000), 0);
        case fault::stop_broker:
            w.oracle_.disturb();
            return stop(w, w.broker.get());
        case fault::cut_client:
            return cut(w, false);
        case fault::half_open_client:
            return cut(w, true);
        case fault::stall_client:
            return stall_client(w);
        case fault::slow_reader:
            return slow_reader(w);
        case fault::stop_client:
            return stop_client(w);
        case fault::cut_broker_link:
            return cut_broker(w, false);
        case fault::half_open_broker_link:
            w.oracle_.disturb();
            return cut_broker(w, true);
        case fault::stall_broker_link: {
            const auto one = any_connection(w);
            if (one) one->stall(span_of(w));
            w.oracle_.disturb();
            return one != nullptr;
        }
        case fault::refuse_publishes:
            w.broker->refuse_publishes(random.between(milliseconds(10), milliseconds(3'000)));
            return w.broker->up();
        case fault::hold_confirms:
            if (!w.broker->running()) return false;
            w.broker->hold_confirms(span_of(w));
            return true;
        // Those who come back hear nothing at first.
        case fault::hold_deliveries:
            if (!w.broker->running()) return false;
            w.oracle_.disturb();
            w.broker->hold_deliveries(span_of(w, milliseconds(2'000)));
            (void)cut_broker(w, false);
            return true;
        case fault::block_publishers:
            if (!w.broker->running() || w.broker->blocked()) return false;
            w.broker->block(span_of(w));
            return true;
        case fault::recreate_stream:
            return recreate(w);
        case fault::pass_retention:
            return pass_retention(w);
        case fault::large_entry:
            return say_much(w, 1, w.around_.with.stream_message_bytes_max + 10, any_durable(w));
        case fault::burst:
            return say_much(w, random.between(20, 120), random.between(10, 3'000),
                            random.pick(w.around_.with.channels.size()));
    }
    return false;
}

}  // namespace foz::sim
