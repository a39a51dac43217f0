#include "world.hpp"

#include "clients/plugin.hpp"
#include "clients/stock.hpp"
#include "faults/strike.hpp"
#include "operations/consume.hpp"
#include "operations/operation.hpp"

#include <algorithm>

namespace foz::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What clients have in common is few: most of what is said concerns several.
constexpr std::size_t groups = 3;
constexpr std::size_t topics = 4;

}  // namespace

world::world(std::uint64_t seed) : around_(seed) {
    make();
}

// What refers to others goes first.
world::~world() {
    for (auto& one : clients) one->kill();
    for (auto& one : aggregators) one->kill();
    for (auto& all : services)
        for (auto& one : all) one->kill();
    broker->kill();
}

std::string world::any_group() {
    const std::uint64_t drawn = around_.random.workload.pick(groups + 1);
    return drawn == groups ? "gx" : "g" + std::to_string(drawn);
}

std::string world::any_topic() {
    rng& random = around_.random.workload;
    std::string made = "t" + std::to_string(random.pick(topics));
    if (random.chance(300)) made += ".sub";
    return made;
}

std::string world::any_receivers() {
    rng& random = around_.random.workload;
    const std::uint64_t drawn = random.pick(10);
    if (drawn < 4) return "all";
    if (drawn < 7) return "group:" + any_group();
    return "client:" + any_client().identity();
}

void world::make() {
    const parameters& with = around_.with;
    broker = std::make_unique<broker_process>(
        around_.time, around_.random, around_.log, oracle_,
        broker_process::options{
            .channels = with.channels, .retention_bytes = with.retention_bytes, .segment_bytes = with.segment_bytes});
    around_.broker = broker.get();
    std::vector<aggregator_process*> all;
    for (unsigned i = 0; i < with.aggregators; ++i) {
        aggregators.push_back(std::make_unique<aggregator_process>(around_, oracle_, i));
        all.push_back(aggregators.back().get());
    }
    services.resize(with.channels.size());
    for (std::size_t channel = 0; channel < with.channels.size(); ++channel) {
        stores.push_back(std::make_unique<service_store>());
        for (unsigned i = 0; i < with.services_per_channel; ++i)
            services[channel].push_back(
                std::make_unique<service>(around_, oracle_, found_, channel, i, *stores.back()));
    }
    rng& random = around_.random.clients;
    for (unsigned i = 0; i < with.clients; ++i) {
        const bool same = i > 0 && random.chance(with.same_client_permille);
        const std::string identity = same ? clients.back()->identity() : "c" + std::to_string(i);
        if (random.chance(with.plugin_permille)) {
            clients.push_back(std::make_unique<plugin_client>(around_, oracle_, all, i, identity));
        } else {
            clients.push_back(std::make_unique<stock_client>(around_, oracle_, all, i, identity, random.chance(500)));
        }
    }
}

void world::begin() {
    broker->start();
    for (auto& one : aggregators) one->start();
    for (auto& all : services)
        for (auto& one : all) one->start();
    for (auto& one : clients) {
        for (std::size_t channel = 0; channel < around_.with.channels.size(); ++channel)
            if (around_.random.workload.chance(700)) one->consume(channel, op_consume::draw(*this));
        around_.time.after(around_.random.workload.between(milliseconds(0), milliseconds(1'500)),
                           [who = one.get()] { who->start(); });
    }
}

void world::arrange_operations() {
    if (operations_ >= around_.with.operations) return;
    const auto mean = around_.with.operation_pause;
    const duration pause =
        around_.random.workload.chance(200) ? duration(0) : around_.random.workload.between(duration(0), 2 * mean);
    around_.time.after(pause, [this] {
        const std::string_view done = operate(*this);
        ++operations_;
        ++covered.operations[std::string(done)];
        around_.log.mix(done);
        arrange_operations();
    });
}

void world::arrange_faults() {
    // A fifth of the operations follow at once: that long it takes, and no fault comes after the last of them.
    const auto span = around_.with.operations * around_.with.operation_pause * 7 / 10;
    rng& random = around_.random.faults;
    for (unsigned i = 0; i < around_.with.faults; ++i) {
        const duration when = random.between(duration(0), duration(span));
        around_.time.after(when, [this] { strike(); });
        // What follows shortly after meets those who are coming back.
        if (random.chance(500))
            around_.time.after(when + random.between(milliseconds(0), milliseconds(1'500)), [this] { strike(); });
    }
}

void world::strike() {
    if (no_more_strikes_) return;
    for (unsigned tries = 0; tries < 8; ++tries) {
        const auto which = static_cast<fault>(around_.random.faults.pick(faults_count));
        std::vector<std::size_t> states(resume_states);
        for (const auto& one : aggregators) one->count_resumes(states);
        if (!sim::strike(*this, which)) continue;
        ++strikes_;
        around_.log.mix(static_cast<std::uint64_t>(which));
        around_.log.say("FAULT", "{}", to_string(which));
        auto& row = covered.struck[static_cast<std::size_t>(which)];
        bool any = false;
        for (std::size_t i = 0; i + 1 < resume_states; ++i) {
            row[i] += states[i];
            any = any || states[i] > 0;
        }
        if (!any) ++row[resume_states - 1];
        return;
    }
}

bool world::run_for(duration span) {
    const steady_time end = around_.time.now() + span;
    while (around_.time.now() < end && !found_.any()) {
        if (!around_.time.run_until(std::min(end, around_.time.now() + milliseconds(100))))
            found_.add(invariant::livelock, "events of one instant do not end");
    }
    return !found_.any();
}

std::vector<client*> world::all_clients() const {
    std::vector<client*> all;
    for (const auto& one : clients) all.push_back(one.get());
    return all;
}

bool world::wait_until_well(duration at_most) {
    const steady_time end = around_.time.now() + at_most;
    while (around_.time.now() < end) {
        if (!run_for(milliseconds(1'000))) return false;
        if (!oracle_.unfinished(all_clients())) return true;
    }
    return false;
}

// Somebody of each kind is there.
bool world::can_be_well() const {
    const auto running = [](const auto& one) { return one->running(); };
    return broker->running() && !broker->blocked() && std::ranges::any_of(aggregators, running) &&
           std::ranges::all_of(clients, running) &&
           std::ranges::all_of(services, [&](const auto& all) { return std::ranges::any_of(all, running); });
}

void world::heal() {
    around_.log.say("world", "everything is healed");
    broker->start();
    broker->go_on();
    for (auto& one : aggregators) {
        one->start();
        one->go_on();
    }
    for (auto& all : services)
        for (auto& one : all) {
            one->start();
            one->go_on();
        }
    for (auto& one : clients) one->go_on();
}

run_result world::run() {
    begin();
    run_for(seconds(2));
    arrange_operations();
    arrange_faults();
    while (operations_ < around_.with.operations && run_for(milliseconds(500))) {
    }
    around_.with.service_crash_permille = 0;
    no_more_strikes_ = true;
    // Faults have their span, and end by themselves.
    run_for(around_.with.fault_span_max);
    const steady_time quiet = around_.time.now();
    run_result out;
    bool well = false;
    // Healing would hide what is wedged.
    if (!found_.any() && can_be_well()) {
        well = out.before_healing = wait_until_well(seconds(90));
        if (!well && !found_.any()) {
            const auto left = oracle_.unfinished(all_clients());
            found_.add(left->what, "{} (nothing is broken any more, and it does not mend by itself)", left->text);
        }
    }
    if (!found_.any()) {
        heal();
        well = wait_until_well(seconds(150));
        if (!well && !found_.any()) {
            const auto left = oracle_.unfinished(all_clients());
            found_.add(left->what, "{}", left->text);
        }
    }
    out.recovery = around_.time.now() - quiet;
    out.seed = around_.seed;
    around_.log.mix(around_.time.events());
    out.hash = around_.log.hash();
    out.events = around_.time.events();
    out.operations = operations_;
    out.faults = strikes_;
    out.found = found_.first();
    for (std::size_t i = 0; i < invariants_count; ++i) out.compared[i] = found_.compared_for(static_cast<invariant>(i));
    out.answers = oracle_.answers();
    out.receipts = oracle_.receipts();
    out.messages = oracle_.messages();
    out.entries = oracle_.entries();
    for (const auto& [cause, count] : oracle_.gaps) covered.met["gap " + cause] += count;
    for (const auto& [code, count] : oracle_.errors) covered.met["error " + code] += count;
    covered.met["streams recovered late"] += broker->late_recoveries();
    for (const auto& one : aggregators) {
        covered.met["socket would block"] += one->counters().blocked_writes;
        covered.met["socket drained"] += one->counters().drained;
        covered.met["client read more slowly"] += one->counters().paused;
        covered.met["page of older entries"] += one->counters().pages;
        covered.met["handshake refused"] += one->counters().refused;
    }
    out.covered = covered;
    return out;
}

}  // namespace foz::sim
