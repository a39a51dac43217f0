#include "cli/drill/stage.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <unistd.h>

namespace foz::cli::drill {
namespace {

using std::chrono::steady_clock;

constexpr milliseconds step{20};
constexpr milliseconds progress_interval{200};
constexpr milliseconds begin_patience{60'000};
constexpr milliseconds quiet_patience{15'000};
constexpr milliseconds quiet_patience_in_brief{5'000};

std::atomic<bool> interrupt_seen = false;

}  // namespace

void catch_interrupts() {
    for (const int one : {SIGINT, SIGTERM, SIGHUP}) std::signal(one, [](int) { interrupt_seen = true; });
    std::signal(SIGPIPE, SIG_IGN);
}

stage::stage(std::string name, const drill_options& options)
    : name_(std::move(name)), options_(options), random_(options.seed ^ std::hash<std::string>()(name_)) {}

stage::~stage() = default;

void stage::open(plan what) {
    if (!options_.sabotage.empty()) {
        what.worker_flags.emplace_back("--sabotage");
        what.worker_flags.push_back(options_.sabotage);
    }
    system_ = std::make_unique<system_under_test>(
        folder_, what,
        system_options{.cluster = options_.cluster, .node_workers = options_.node_workers, .other = options_.other});
    note(options_.cluster ? "starting three RabbitMQ nodes, aggregators and workers" : "starting");
    system_->start();
    clients_setup how{.count = what.clients > 0 ? what.clients : options_.clients,
                      .sockets = options_.sockets,
                      .plugin = !options_.stock,
                      .library = options_.library,
                      .ports = system_->ports(),
                      .channels = what.channels};
    clients_ = options_.node_clients ? make_node_clients(how, folder_) : make_built_in_clients(how);
    clients_->start();
    if (!await_listening(begin_patience)) throw std::runtime_error("not every client could consume");
    history_.begun = steady_clock::now();
    clients_->set_writing(true);
    const instant end = steady_clock::now() + begin_patience;
    for (progress now; now.acknowledged < clients_->size() * what.channels.size();) {
        if (steady_clock::now() > end) throw std::runtime_error("the first messages were not answered");
        pause(step);
        now = clients_->look();
    }
    note("the load runs");
}

unsigned stage::faults(unsigned usual, unsigned in_brief) const {
    if (options_.faults > 0) return options_.faults;
    return brief() ? in_brief : usual;
}

std::size_t stage::choose(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
}

milliseconds stage::between(milliseconds min, milliseconds max) {
    return milliseconds(std::uniform_int_distribution<std::int64_t>(min.count(), max.count())(random_));
}

void stage::pause(milliseconds span) {
    const instant end = steady_clock::now() + span;
    for (;;) {
        if (interrupt_seen) throw interrupted{};
        const auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now());
        if (left <= milliseconds(0)) return;
        std::this_thread::sleep_for(std::min(left, step));
        show_progress();
    }
}

void stage::pause_between_faults() {
    pause(brief() ? between(milliseconds(300), milliseconds(700)) : between(milliseconds(1'500), milliseconds(3'500)));
}

void stage::fault(const std::string& what) {
    history_.faults.push_back({steady_clock::now(), what});
    note("fault " + std::to_string(history_.faults.size()) + ": " + what);
}

void stage::outage_over(const std::string& what) {
    history_.faults.back().over = steady_clock::now();
    note(what);
}

void stage::note(const std::string& what) {
    if (line_open_) std::fputs("\r\033[K", stderr);
    line_open_ = false;
    if (options_.quiet) return;
    const auto since = history_.begun == instant{}
                           ? milliseconds(0)
                           : std::chrono::duration_cast<milliseconds>(steady_clock::now() - history_.begun);
    std::fprintf(stderr, "  %6.2f s  %s\n", static_cast<double>(since.count()) / 1'000, what.c_str());
}

void stage::show_progress() {
    if (options_.quiet || !clients_ || !::isatty(STDERR_FILENO)) return;
    const instant now = steady_clock::now();
    if (now - shown_at_ < progress_interval) return;
    shown_at_ = now;
    const progress seen = clients_->look();
    std::fprintf(stderr, "\r\033[K  %s: %llu written, %llu acknowledged, %llu delivered, %zu of %zu clients listen",
                 name_.c_str(), static_cast<unsigned long long>(seen.written),
                 static_cast<unsigned long long>(seen.acknowledged), static_cast<unsigned long long>(seen.heard),
                 seen.listening, clients_->size());
    line_open_ = true;
}

bool stage::await_listening(milliseconds patience) {
    const instant end = steady_clock::now() + patience;
    while (clients_->look().listening < clients_->size()) {
        if (steady_clock::now() > end) return false;
        pause(step);
    }
    return true;
}

findings stage::finish(const audit_rules& rules, milliseconds drain) {
    history_.ended = steady_clock::now();
    clients_->set_writing(false);
    note("the load ends; what is under way is awaited");
    const instant end = steady_clock::now() + drain;
    // What has not come long after the last delivery, when nobody waits for an outcome any more, is lost.
    instant moved = steady_clock::now();
    std::uint64_t heard = 0;
    for (progress now = clients_->look(); !now.complete && steady_clock::now() < end; now = clients_->look()) {
        if (now.heard != heard || !now.settled) moved = steady_clock::now();
        heard = now.heard;
        if (steady_clock::now() - moved > either(quiet_patience, quiet_patience_in_brief)) break;
        pause(5 * step);
    }
    // What must not come would come now.
    pause(milliseconds(200));
    history_.lines = clients_->finish();
    clients_.reset();
    history_.runs = system_->read_runs();
    if (line_open_) std::fputs("\r\033[K", stderr);
    line_open_ = false;
    audit_rules all = rules;
    // What the plugin sends again by itself, the stock client's author decides about.
    if (options_.stock) all.refusals.insert({"unavailable", "unknown", "overloaded"});
    return audit(history_, all);
}

std::string stage::keep_logs() {
    folder_.keep();
    return folder_.path();
}

}  // namespace foz::cli::drill
