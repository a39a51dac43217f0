// foz drill
#include "cli/commands.hpp"
#include "cli/drill/catalogue.hpp"
#include "cli/drill/figures.hpp"
#include "cli/drill/plot.hpp"
#include "cli/drill/report.hpp"
#include "cli/print.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

namespace foz::cli {
namespace {

using drill::catalogue;

constexpr int exit_skipped = 77;
constexpr int exit_interrupted = 130;
constexpr unsigned clients_in_brief = 4;

struct drill_command {
    std::string name;
    drill::drill_options options;
    std::string broker = "embedded";
    std::string clients_from;
    std::string workers = "sdk";
    std::string behaviour = "plugin";
    unsigned faults_min = 0;  // over all rounds; 0: one round
    unsigned seconds = 0;     // no drill begins later; 0: no limit
    std::string plot;
    std::string json;
    std::string figures;
    bool keep = false;
};

void list_drills() {
    std::string out;
    for (const drill::drill& one : catalogue()) {
        std::string name = one.name;
        name.resize(26, ' ');
        out += name + one.about;
        if (*one.needs) out += std::string(" (needs ") + one.needs + ")";
        out += "\n";
    }
    print(out);
}

void write_file(const std::string& path, const std::string& text) {
    std::ofstream out(path, std::ios::trunc);
    out << text;
    if (!out.flush()) throw std::runtime_error(path + " can't be written");
}

// With several drills each has a picture of its own: name-DRILL.svg.
std::string plot_path(const drill_command& how, const std::string& name) {
    if (how.name != "all") return how.plot;
    const std::string suffix = ".svg";
    const bool named = how.plot.ends_with(suffix);
    return how.plot.substr(0, how.plot.size() - (named ? suffix.size() : 0)) + "-" + name + suffix;
}

// "12.345 s SIGKILL of worker 1, over after 1.200 s"
std::vector<std::string> fault_lines(const drill::history& all) {
    std::vector<std::string> out;
    const auto seconds = [](auto span) {
        std::array<char, 32> text{};
        std::snprintf(text.data(), text.size(), "%.3f s", std::chrono::duration<double>(span).count());
        return std::string(text.data());
    };
    for (const drill::fault& one : all.faults)
        out.push_back(seconds(one.at - all.begun) + " " + one.what +
                      (one.over ? ", over after " + seconds(*one.over - one.at) : ""));
    return out;
}

drill::result run_drill(const drill::drill& one, const drill_command& how) {
    const bool cluster = how.options.cluster;
    drill::result out{.name = one.name, .seed = how.options.seed};
    out.broker = cluster ? "cluster" : "embedded";
    out.wanted = cluster ? one.wanted_on_cluster : one.wanted;
    const auto begun = std::chrono::steady_clock::now();
    print(std::string(one.name) + (cluster ? " on a cluster: " : ": ") + one.about + "\n");
    std::fflush(stdout);
    std::string logs;
    {
        drill::stage on(one.name, how.options);
        try {
            out.found = one.run(on);
            if (!out.found.good()) out.how = drill::result::state::failed;
        } catch (const drill::skipped& needs) {
            out.how = drill::result::state::skipped;
            out.why = std::string("needs ") + needs.what();
        } catch (const std::runtime_error& error) {
            out.how = drill::result::state::failed;
            out.why = error.what();
        }
        out.took = std::chrono::duration_cast<drill::milliseconds>(std::chrono::steady_clock::now() - begun);
        out.faults = fault_lines(on.all());
        if (!how.plot.empty() && out.found.written > 0)
            write_file(plot_path(how, one.name), drill::plot_svg(on.all(), out));
        if (how.keep || out.how == drill::result::state::failed) logs = on.keep_logs();
    }
    print(drill::audit_text(out));
    if (!logs.empty()) print("  its logs: " + logs + "\n");
    std::fflush(stdout);
    return out;
}

std::string load_average() {
    std::array<double, 1> load{};
    std::array<char, 32> out{};
    if (::getloadavg(load.data(), 1) == 1) std::snprintf(out.data(), out.size(), "%.1f", load[0]);
    return out.data();
}

// As it was typed, but for where this program lies.
std::string own_command() {
    std::ifstream in("/proc/self/cmdline");
    std::string out = "foz";
    std::string one;
    std::getline(in, one, '\0');
    while (std::getline(in, one, '\0')) out += " " + one;
    return out;
}

// Drill after drill, round after round with another seed each, as long as more is wanted.
class drill_run {
public:
    explicit drill_run(drill_command how) : how_(std::move(how)), load_(load_average()) {}

    // Throws drill::interrupted.
    void run() {
        std::uint64_t faults = 0;
        do {
            faults = faults_;
            round();
            ++how_.options.seed;
        } while (more_wanted() && faults_ > faults);
    }
    int exit_code() const {
        const auto failed = count(drill::result::state::failed);
        const auto skipped = count(drill::result::state::skipped);
        if (results_.size() > 1)
            print(std::to_string(count(drill::result::state::passed)) + " passed, " + std::to_string(failed) +
                  " failed, " + std::to_string(skipped) + " skipped; " + std::to_string(faults_) + " faults\n");
        if (failed > 0) return 1;
        return skipped == static_cast<std::ptrdiff_t>(results_.size()) ? exit_skipped : 0;
    }

private:
    void round() {
        for (const drill::drill& one : catalogue()) {
            if (how_.name != "all" && how_.name != one.name) continue;
            for (const bool cluster : {false, true}) {
                if (how_.broker != "both" && (how_.broker == "cluster") != cluster) continue;
                if (time_is_over() || (how_.faults_min > 0 && faults_ >= how_.faults_min)) return;
                how_.options.cluster = cluster;
                results_.push_back(run_drill(one, how_));
                faults_ += results_.back().found.faults;
                write_results();
            }
        }
    }
    bool time_is_over() const {
        return how_.seconds > 0 && std::chrono::steady_clock::now() - begun_ >= std::chrono::seconds(how_.seconds);
    }
    bool more_wanted() const {
        if (time_is_over()) return false;
        return how_.faults_min > 0 ? faults_ < how_.faults_min : how_.seconds > 0;
    }
    // After each drill: a long run that is ended has told what it had.
    void write_results() const {
        if (!how_.json.empty()) write_file(how_.json, drill::audit_json(results_));
        if (how_.figures.empty()) return;
        const std::string conditions =
            "`" + own_command() + "`, version " FOZ_VERSION ", " + std::to_string(std::thread::hardware_concurrency()) +
            " cores; load average before the first drill " + load_ + ", after the last one " + load_average() + ".";
        write_file(how_.figures, drill::figures_text(results_, conditions));
    }
    std::ptrdiff_t count(drill::result::state which) const {
        return std::ranges::count(results_, which, &drill::result::how);
    }

    drill_command how_;
    const std::string load_;  // before the first drill
    const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
    std::vector<drill::result> results_;
    std::uint64_t faults_ = 0;
};

int run_drills(drill_command how) {
    if (how.name == "list") {
        list_drills();
        return 0;
    }
    if (how.options.seed == 0) how.options.seed = std::random_device{}() % 1'000'000 + 1;
    how.options.stock = how.behaviour == "stock";
    how.options.node_clients = how.clients_from.empty() ? drill::have_node() : how.clients_from == "node";
    how.options.node_workers = how.workers == "node";
    drill::catch_interrupts();
    drill_run all(std::move(how));
    try {
        all.run();
    } catch (const drill::interrupted&) {
        print("interrupted\n");
        return exit_interrupted;
    }
    return all.exit_code();
}

void check_name(const std::string& name) {
    std::vector<std::string> names = {"list", "all"};
    for (const drill::drill& one : catalogue()) names.emplace_back(one.name);
    if (std::ranges::find(names, name) == names.end())
        throw wrong_usage("there is no drill \"" + name + "\"; foz drill list names them");
}

void check_other(const drill_command& how) {
    if (!how.options.other.empty() && how.name != "rolling-restart")
        throw wrong_usage("--other is for rolling-restart");
    if (!how.options.library.empty() && (how.clients_from == "built-in" || how.behaviour == "stock"))
        throw wrong_usage("--plugin-from needs clients in Node, with the plugin");
}

// How much: returns the number of clients.
CLI::Option* add_amounts(CLI::App* command, drill_command& how) {
    command
        ->add_option("--sockets", how.options.sockets, "Of each client: 1 for everything, or 4, one for each channel")
        ->check(CLI::IsMember({1, 4}))
        ->type_name("N");
    command->add_option("--faults", how.options.faults, "The number of faults; each drill has its own default")
        ->check(CLI::Range(1, 10'000))
        ->type_name("N");
    command
        ->add_option("--faults-at-least", how.faults_min,
                     "Repeat everything with other seeds until this many faults have been made")
        ->check(CLI::Range(1, 1'000'000))
        ->type_name("N");
    command
        ->add_option("--seconds", how.seconds,
                     "Begin no drill after this time; without --faults-at-least, repeat everything until then")
        ->check(CLI::Range(1, 1'000'000))
        ->type_name("N");
    command
        ->add_option("--seed", how.options.seed, "For everything left to chance (default: a new one, which is printed)")
        ->check(CLI::Range(1, 1'000'000'000))
        ->type_name("N");
    command->add_flag("--short", how.options.brief, "Fewer faults, shorter pauses: for a test suite");
    return command->add_option("--clients", how.options.clients, "The number of clients (8; 4 with --short)")
        ->check(CLI::Range(1, 200))
        ->type_name("N");
}

// What clients and workers are, and what they break.
void add_roles(CLI::App* command, drill_command& how) {
    command->add_option("--behaviour", how.behaviour, "Of clients: plugin, or stock: nothing is sent again or resumed")
        ->check(CLI::IsMember({"plugin", "stock"}))
        ->type_name("KIND");
    command
        ->add_option("--clients-from", how.clients_from, "node, the real Primus client, where it is found; or built-in")
        ->check(CLI::IsMember({"built-in", "node"}))
        ->type_name("KIND");
    command
        ->add_option("--workers", how.workers,
                     "sdk: the C++ SDK's; node: without an SDK, on amqplib, which remember nothing")
        ->check(CLI::IsMember({"sdk", "node"}))
        ->type_name("KIND");
    command
        ->add_option("--other", how.options.other,
                     "rolling-restart: from the foz of another build to this one and back")
        ->check(CLI::ExistingFile)
        ->type_name("PROGRAM");
    command
        ->add_option("--plugin-from", how.options.library,
                     "Every other client uses this library: /primus/foz.js as an aggregator of another build serves it")
        ->check(CLI::ExistingFile)
        ->type_name("FILE");
    command->add_option("--sabotage", how.options.sabotage, "The workers break this promise: the audit has to find it")
        ->check(CLI::IsMember({"lose", "repeat", "reorder"}))
        ->type_name("PROMISE");
}

void add_results(CLI::App* command, drill_command& how) {
    command->add_option("--plot", how.plot, "Draw what each client heard, and the faults")->type_name("FILE.svg");
    command->add_option("--json", how.json, "Write the audits")->type_name("FILE");
    command->add_option("--figures", how.figures, "Write a table of silences and of what was kept")
        ->type_name("FILE.md");
    command->add_flag("--keep", how.keep, "Keep the logs of all processes, also when every promise was kept");
    command->add_flag("--quiet", how.options.quiet, "Only the audits");
    command->footer(
        "Ends with 0 when every promise was kept, 1 when one was broken, 77 when the drill can't run here. For "
        "example:\n"
        "  foz drill list\n"
        "  foz drill aggregator-dies --faults 20 --plot timeline.svg\n"
        "  foz drill all --broker cluster --sockets 4\n"
        "  foz drill all --broker both --faults-at-least 300 --figures figures.md");
}

}  // namespace

void add_drill(CLI::App& app, run_command& chosen) {
    CLI::App* const command =
        app.add_subcommand("drill", "Kill real processes under load, and audit what clients were promised");
    const auto how = std::make_shared<drill_command>();
    command->add_option("NAME", how->name, "A drill; or list, or all")->required()->type_name("");
    command->add_option("--broker", how->broker, "embedded; cluster: three RabbitMQ nodes; or both, in turn")
        ->check(CLI::IsMember({"embedded", "cluster", "both"}))
        ->type_name("KIND");
    const CLI::Option* const clients = add_amounts(command, *how);
    add_roles(command, *how);
    add_results(command, *how);
    command->callback([&chosen, how, clients] {
        check_name(how->name);
        check_other(*how);
        if (how->options.brief && clients->empty()) how->options.clients = clients_in_brief;
        chosen = [how] { return run_drills(*how); };
    });
}

}  // namespace foz::cli
