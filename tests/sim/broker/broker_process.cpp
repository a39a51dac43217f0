#include "broker/broker_process.hpp"

#include "broker/core/stream.hpp"
#include "contract/names.hpp"
#include "contract/topology.hpp"

#include <algorithm>
#include <utility>

namespace foz::sim {
namespace {

constexpr unsigned late_recovery_permille = 400;
constexpr std::chrono::milliseconds recovery_min{50};
constexpr std::chrono::milliseconds recovery_max{4'000};

}  // namespace

// Reads a stream for the watcher, synchronously with its commits.
struct broker_process::tap final : broker::consumer {
    tap(broker_process& h, std::string n) : home(h), name(std::move(n)) {}
    bool can_take() const noexcept override { return true; }
    void take(const std::shared_ptr<broker::queue>&, broker::entry taken) override {
        next = taken.at + 1;
        home.watcher_.on_entry(name, generation, taken.at, taken.what);
    }
    void on_queue_gone() override {
        attached = false;
        ++generation;
        next = 0;
    }

    broker_process& home;
    const std::string name;
    unsigned generation = 0;
    std::uint64_t next = 0;
    bool attached = false;
    std::pair<std::uint64_t, std::uint64_t> bounds{};  // when the broker was killed
};

broker_process::broker_process(scheduler& time, random_streams& random, history& l, broker_watcher& watcher,
                               options all)
    : process(time, "broker"), log(l), random_(random), watcher_(watcher), options_(std::move(all)) {
    for (const auto& channel : options_.channels)
        if (channel.delivery == contract::delivery_kind::durable)
            taps_.push_back(std::make_unique<tap>(*this, channel.out_queue()));
}

broker_process::~broker_process() {
    for (const auto& one : connections_) one->broker_died();
    model_.reset();
}

void broker_process::on_start() {
    log.say(name(), "starts");
    model_ = std::make_unique<broker::node>(disk_, time_, random_.product);
    model_->on_next_due([this] { arrange_due(); });
    broker::policy retention{
        .vhost = "/", .name = "retention", .pattern = "^OUT_", .apply_to = broker::policy_target::streams};
    retention.definition.set("stream-max-segment-size-bytes", static_cast<std::int64_t>(options_.segment_bytes));
    if (options_.retention_bytes > 0)
        retention.definition.set("max-length-bytes", static_cast<std::int64_t>(options_.retention_bytes));
    model_->start({"/"}, {retention});
    disk_.erase_unopened();
    due_ms_ = 0;
    committing_ = false;
    blocked_ = false;
    delivering_from_ = {};
    streams_from_ = {};
    if (incarnation() > 1 && random_.broker.chance(late_recovery_permille)) {
        streams_from_ = time_.now() + random_.broker.between(recovery_min, recovery_max);
        ++late_recoveries_;
        log.say(name(), "has not recovered its streams yet");
    }
    declare_topology();
    arrange_due();
    changed();
}

void broker_process::on_kill() {
    log.say(name(), "is killed");
    for (const auto& one : std::exchange(connections_, {})) one->broker_died();
    for (const auto& one : taps_) {
        one->attached = false;
        one->bounds = bounds(one->name);
    }
    model_.reset();
    disk_.restart();
}

void broker_process::declare_topology() {
    const contract::topology all = contract::make_topology(options_.channels);
    for (const auto& one : all.exchanges)
        (void)host().declare(
            {.name = one.exchange, .type = one.type, .durable = one.durable, .arguments = one.arguments});
    for (const auto& one : all.queues)
        (void)host().declare({.name = one.queue, .flags = {.durable = one.durable}, .arguments = one.arguments}, 1);
    for (const auto& one : all.bindings)
        (void)host().bind({.source = one.exchange,
                           .destination = one.queue,
                           .routing_key = one.routing_key,
                           .arguments = one.arguments},
                          1);
    attach_taps();
}

void broker_process::attach_taps() {
    for (const auto& one : taps_) {
        if (one->attached) continue;
        const auto found = host().find_queue(one->name, 1);
        if (!found) continue;
        const amqp::field_value offset(static_cast<std::int64_t>(one->next));
        one->attached = static_cast<bool>((*found)->consume(*one, {.stream_offset = &offset}));
        if (one->attached) (*found)->wake(*one);
    }
}

unsigned broker_process::generation(const std::string& stream) const {
    for (const auto& one : taps_)
        if (one->name == stream) return one->generation;
    return 0;
}

std::pair<std::uint64_t, std::uint64_t> broker_process::bounds(const std::string& name) {
    if (!model_) {
        const auto killed =
            std::ranges::find(taps_, name, [](const auto& one) -> const std::string& { return one->name; });
        return killed == taps_.end() ? std::pair<std::uint64_t, std::uint64_t>() : (*killed)->bounds;
    }
    const auto found = host().find_queue(name, 1);
    if (!found) return {};
    const auto& stream = static_cast<const broker::stream&>(**found);
    return {stream.first(), stream.end()};
}

bool broker_process::routes_to_stream(const amqp::publication& what) const {
    return contract::stream_of(options_.channels, what.exchange, what.routing_key) != nullptr;
}

std::size_t broker_process::ready(const std::string& queue) {
    if (!up()) return 0;
    const auto found = host().find_queue(queue, 1);
    return found ? (*found)->ready_count() : 0;
}

void broker_process::attach(const std::shared_ptr<connection>& one) {
    connections_.push_back(one);
}

void broker_process::detach(const connection* one) {
    std::erase_if(connections_, [one](const auto& other) { return other.get() == one; });
}

// Something may have been written, or be due.
void broker_process::changed() {
    if (model_->has_unused()) model_->remove_unused();
    if (std::exchange(committing_, true)) return;
    after(random_.scheduling.between(options_.commit_min, options_.commit_max), [this] { commit(); });
}

void broker_process::commit() {
    committing_ = false;
    disk_.commit();
    model_->on_committed(disk_.committed());
    if (model_->has_unused()) model_->remove_unused();
    look_at_dead();
    if (holding()) return;
    const auto all = connections_;
    for (const auto& one : all) one->flush_confirms(disk_.committed());
}

void broker_process::look_at_dead() {
    const auto found = host().find_queue(contract::dead_queue, 1);
    if (!found || (*found)->ready_count() == 0) return;
    for (;;) {
        const auto one = (*found)->get(true);
        if (!one || !*one) return changed();
        watcher_.on_dead((**one).what);
    }
}

void broker_process::arrange_due() {
    const std::int64_t next = model_->next_due();
    if (next == 0 || (due_ms_ != 0 && due_ms_ <= next)) return;
    due_ms_ = next;
    const std::int64_t left = std::max<std::int64_t>(0, next - unix_ms(time_.wall_now()).count());
    after(std::chrono::milliseconds(left + 1), [this, next] {
        if (due_ms_ != next) return;
        due_ms_ = 0;
        model_->run_due();
        changed();
        arrange_due();
    });
}

void broker_process::hold_confirms(duration span) {
    holding_until_ = time_.now() + span;
    after(span + std::chrono::milliseconds(1), [this] { changed(); });
}

void broker_process::hold_deliveries(duration span) {
    delivering_from_ = time_.now() + span;
    after(span, [this] {
        if (holds_deliveries()) return;
        const auto all = connections_;
        for (const auto& one : all) one->server_wake();
    });
}

void broker_process::block(duration span) {
    if (!up() || std::exchange(blocked_, true)) return;
    const auto all = connections_;
    for (const auto& one : all) one->tell_blocked(true);
    after(span, [this] {
        blocked_ = false;
        const auto now = connections_;
        for (const auto& one : now) one->tell_blocked(false);
    });
}

void broker_process::recreate_stream(const std::string& name) {
    if (!up()) return;
    (void)host().delete_queue(name, {}, 1);
    declare_topology();
    changed();
}

}  // namespace foz::sim
