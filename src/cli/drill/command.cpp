// foz drill
#include "cli/commands.hpp"
#include "cli/drill/catalogue.hpp"
#include "cli/drill/plot.hpp"
#include "cli/drill/report.hpp"
#include "cli/print.hpp"

#include <algorithm>
#include <fstream>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
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
    std::string behaviour = "plugin";
    std::string plot;
    std::string json;
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

drill::result run_drill(const drill::drill& one, const drill_command& how) {
    drill::result out{.name = one.name, .seed = how.options.seed};
    const auto begun = std::chrono::steady_clock::now();
    print(std::string(one.name) + ": " + one.about + "\n");
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
        if (!how.plot.empty() && out.found.written > 0)
            write_file(plot_path(how, one.name), drill::plot_svg(on.all(), out));
        if (how.keep || out.how == drill::result::state::failed) logs = on.keep_logs();
    }
    print(drill::audit_text(out));
    if (!logs.empty()) print("  its logs: " + logs + "\n");
    std::fflush(stdout);
    return out;
}

int run_drills(drill_command how) {
    if (how.name == "list") {
        list_drills();
        return 0;
    }
    if (how.options.seed == 0) how.options.seed = std::random_device{}() % 1'000'000 + 1;
    how.options.cluster = how.broker == "cluster";
    how.options.stock = how.behaviour == "stock";
    how.options.node_clients = how.clients_from.empty() ? drill::have_node_clients() : how.clients_from == "node";
    drill::catch_interrupts();
    std::vector<drill::result> results;
    try {
        for (const drill::drill& one : catalogue())
            if (how.name == "all" || how.name == one.name) results.push_back(run_drill(one, how));
    } catch (const drill::interrupted&) {
        print("interrupted\n");
        return exit_interrupted;
    }
    if (!how.json.empty()) write_file(how.json, drill::audit_json(results));
    const auto count = [&](drill::result::state which) {
        return std::ranges::count(results, which, &drill::result::how);
    };
    const auto failed = count(drill::result::state::failed);
    const auto skipped = count(drill::result::state::skipped);
    if (results.size() > 1)
        print(std::to_string(count(drill::result::state::passed)) + " passed, " + std::to_string(failed) + " failed, " +
              std::to_string(skipped) + " skipped\n");
    if (failed > 0) return 1;
    return skipped == static_cast<std::ptrdiff_t>(results.size()) ? exit_skipped : 0;
}

void check_name(const std::string& name) {
    std::vector<std::string> names = {"list", "all"};
    for (const drill::drill& one : catalogue()) names.emplace_back(one.name);
    if (std::ranges::find(names, name) == names.end())
        throw wrong_usage("there is no drill \"" + name + "\"; foz drill list names them");
}

}  // namespace

void add_drill(CLI::App& app, run_command& chosen) {
    CLI::App* const command =
        app.add_subcommand("drill", "Kill real processes under load, and audit what clients were promised");
    const auto how = std::make_shared<drill_command>();
    command->add_option("NAME", how->name, "A drill; or list, or all")->required()->type_name("");
    command->add_option("--broker", how->broker, "embedded, or cluster: three RabbitMQ nodes")
        ->check(CLI::IsMember({"embedded", "cluster"}))
        ->type_name("KIND");
    command
        ->add_option("--sockets", how->options.sockets, "Of each client: 1 for everything, or 4, one for each channel")
        ->check(CLI::IsMember({1, 4}))
        ->type_name("N");
    const auto clients = command->add_option("--clients", how->options.clients, "How many; 8 unless said")
                             ->check(CLI::Range(1, 200))
                             ->type_name("N");
    command->add_option("--faults", how->options.faults, "How many; each drill knows its own number")
        ->check(CLI::Range(1, 10'000))
        ->type_name("N");
    command->add_option("--seed", how->options.seed, "Of what is left to chance; a new one unless said")
        ->check(CLI::Range(1, 1'000'000'000))
        ->type_name("N");
    command->add_option("--behaviour", how->behaviour, "Of clients: plugin, or stock: nothing is sent again or resumed")
        ->check(CLI::IsMember({"plugin", "stock"}))
        ->type_name("KIND");
    command
        ->add_option("--clients-from", how->clients_from,
                     "node, the real Primus client, where it is found; or built-in")
        ->check(CLI::IsMember({"built-in", "node"}))
        ->type_name("KIND");
    command->add_flag("--short", how->options.brief, "Fewer faults, shorter pauses: for a test suite");
    command->add_option("--plot", how->plot, "Draw what each client heard, and the faults")->type_name("FILE.svg");
    command->add_option("--json", how->json, "Write the audits")->type_name("FILE");
    command->add_option("--sabotage", how->options.sabotage, "The workers break this promise: the audit has to find it")
        ->check(CLI::IsMember({"lose", "repeat", "reorder"}))
        ->type_name("PROMISE");
    command->add_flag("--keep", how->keep, "Keep the logs of all processes, also when every promise was kept");
    command->add_flag("--quiet", how->options.quiet, "Only the audits");
    command->footer(
        "Ends with 0 when every promise was kept, 1 when one was broken, 77 when the drill can't run here. For "
        "example:\n"
        "  foz drill list\n"
        "  foz drill aggregator-dies --faults 20 --plot timeline.svg\n"
        "  foz drill all --broker cluster --sockets 4");
    command->callback([&chosen, how, clients] {
        check_name(how->name);
        if (how->options.brief && clients->empty()) how->options.clients = clients_in_brief;
        chosen = [how] { return run_drills(*how); };
    });
}

}  // namespace foz::cli
