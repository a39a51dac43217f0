#include "command.hpp"

#include "base/planted.hpp"
#include "world.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string_view>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

namespace foz::sim {
namespace {

constexpr unsigned processes = 2;
constexpr std::uint64_t events_min = 1'000;
constexpr std::uint64_t faults_min = 3;
constexpr std::uint64_t runs_for_gates = 1'000;

// What the processes share. Plain words: each has its own part.
struct report {
    std::uint64_t seed = 0;  // that runs, for whoever finds out why the process has died
    std::uint64_t runs = 0, events = 0, operations = 0, faults = 0, thin = 0, before_healing = 0;
    std::uint64_t answers = 0, receipts = 0, messages = 0, entries = 0;
    std::uint64_t compared[invariants_count] = {};
    std::uint64_t struck[faults_count][resume_states] = {};
    std::uint64_t failed_seed = 0;
    std::uint64_t failed_what = 0;
    bool failed = false;
    char failed_text[480] = {};
    char names[6000] = {};  // of operations and of what was met, a line each: name, tab, count
};

report* mine = nullptr;

void print_history(const world& of, std::size_t lines) {
    const auto& all = of.around_.log.lines();
    const std::size_t begin = all.size() > lines ? all.size() - lines : 0;
    for (std::size_t i = begin; i < all.size(); ++i) std::puts(all[i].c_str());
}

void on_abort(int) {
    // An assertion of the product: the seed that runs is what matters.
    char text[100];
    const int size = std::snprintf(text, sizeof text, "foz_sim: seed %llu ends the process\n",
                                   static_cast<unsigned long long>(mine ? mine->seed : 0));
    (void)!::write(STDERR_FILENO, text, static_cast<std::size_t>(size));
    std::signal(SIGABRT, SIG_DFL);
    ::raise(SIGABRT);
}

void keep(const run_result& result) {
    report& r = *mine;
    ++r.runs;
    r.events += result.events;
    r.operations += result.operations;
    r.faults += result.faults;
    r.answers += result.answers;
    r.receipts += result.receipts;
    r.messages += result.messages;
    r.entries += result.entries;
    if (result.before_healing) ++r.before_healing;
    if (result.events < events_min || result.faults < faults_min) ++r.thin;
    for (std::size_t i = 0; i < invariants_count; ++i) r.compared[i] += result.compared[i];
    for (std::size_t i = 0; i < faults_count; ++i)
        for (std::size_t j = 0; j < resume_states; ++j) r.struck[i][j] += result.covered.struck[i][j];
}

void fail(std::uint64_t seed, invariant what, const std::string& text) {
    report& r = *mine;
    r.failed = true;
    r.failed_seed = seed;
    r.failed_what = static_cast<std::uint64_t>(what);
    std::snprintf(r.failed_text, sizeof r.failed_text, "%s", text.c_str());
}

// Each seed twice: what is not the same twice can't be repeated when it fails.
bool run_seed(std::uint64_t seed, bool once, coverage& covered) {
    mine->seed = seed;
    run_result first = world(seed).run();
    covered.add(first.covered);
    keep(first);
    if (first.found) {
        fail(seed, first.found->what, first.found->text);
        return false;
    }
    if (once) return true;
    const run_result second = world(seed).run();
    if (second.hash == first.hash) return true;
    fail(seed, invariant::determinism,
         fmt::format("the trace's hash is {:016x}, and the second time {:016x}", first.hash, second.hash));
    return false;
}

void print_finding(const report& one) {
    std::printf("seed %llu: %s: %s\n  to see it: foz_sim --seed %llu --history\n",
                static_cast<unsigned long long>(one.failed_seed),
                std::string(to_string(static_cast<invariant>(one.failed_what))).c_str(), one.failed_text,
                static_cast<unsigned long long>(one.failed_seed));
    std::fflush(stdout);
}

void work(const command& what, const std::vector<std::uint64_t>& kept, unsigned part, report* all) {
    report& into = all[part];
    mine = &into;
    std::signal(SIGABRT, on_abort);
    const auto begin = std::chrono::steady_clock::now();
    coverage covered;
    // The first finding of anybody ends all, unless all are wanted.
    const auto goes_on = [&](std::uint64_t seed) {
        if (run_seed(seed, what.once, covered))
            return what.go_on || !std::any_of(all, all + processes, [](const report& one) { return one.failed; });
        if (what.go_on) print_finding(into);
        return what.go_on;
    };
    for (std::size_t i = part; i < kept.size(); i += processes)
        if (!goes_on(kept[i])) return;
    for (std::uint64_t seed = what.from + part; seed < what.to; seed += processes) {
        if (what.seconds && std::chrono::steady_clock::now() - begin > std::chrono::seconds(*what.seconds)) break;
        if (!goes_on(seed)) break;
    }
    std::string names;
    for (const auto& [name, count] : covered.operations) names += "o" + name + '\t' + std::to_string(count) + '\n';
    for (const auto& [name, count] : covered.met) names += "m" + name + '\t' + std::to_string(count) + '\n';
    std::snprintf(into.names, sizeof into.names, "%s", names.c_str());
}

coverage read_coverage(const report& from) {
    coverage out;
    for (std::size_t i = 0; i < faults_count; ++i)
        for (std::size_t j = 0; j < resume_states; ++j) out.struck[i][j] = from.struck[i][j];
    std::string_view rest = from.names;
    while (!rest.empty()) {
        const std::size_t tab = rest.find('\t');
        const std::size_t end = rest.find('\n');
        if (tab == std::string_view::npos || end == std::string_view::npos) break;
        std::uint64_t count = 0;
        std::from_chars(rest.data() + tab + 1, rest.data() + end, count);
        (rest[0] == 'o' ? out.operations : out.met)[std::string(rest.substr(1, tab - 1))] += count;
        rest.remove_prefix(end + 1);
    }
    return out;
}

void record_seed(std::uint64_t seed, const std::string& folder) {
    world recorded(seed);
    std::vector<std::unique_ptr<std::ofstream>> files;
    for (const auto& one : recorded.clients) {
        if (!one->plugin()) continue;
        const std::string path = folder + "/" + std::to_string(seed) + "-" + one->name() + ".jsonl";
        std::ofstream& out = *files.emplace_back(std::make_unique<std::ofstream>(path));
        out << "{\"what\":\"begin\",\"prefix\":\"" << one->prefix() << "\"}\n";
        one->record = [&out](std::string_view what, std::string_view text) {
            out << "{\"what\":\"" << what << '"';
            if (what == "timer") {
                out << ",\"frame\":\"" << text << '"';
            } else if (!text.empty()) {
                out << ",\"frame\":" << text;
            }
            out << "}\n";
        };
    }
    recorded.run();
}

void show_seed(std::uint64_t seed, std::size_t lines) {
    world again(seed);
    again.around_.log.record(lines);
    const run_result result = again.run();
    std::printf("seed %llu\n%s", static_cast<unsigned long long>(seed), again.around_.with.describe().c_str());
    print_history(again, lines);
    if (result.found)
        std::printf("%s: %s\n", std::string(to_string(result.found->what)).c_str(), result.found->text.c_str());
    std::printf(
        "hash %016llx, %llu events, %llu operations, %llu faults; to repeat it: foz_sim --seed %llu --history\n",
        static_cast<unsigned long long>(result.hash), static_cast<unsigned long long>(result.events),
        static_cast<unsigned long long>(result.operations), static_cast<unsigned long long>(result.faults),
        static_cast<unsigned long long>(seed));
}

void print_summary(const report& sum, double seconds) {
    std::printf(
        "%llu seeds in %.1f s; %llu events, %llu operations, %llu faults; %llu seeds were well before healing\n",
        static_cast<unsigned long long>(sum.runs), seconds, static_cast<unsigned long long>(sum.events),
        static_cast<unsigned long long>(sum.operations), static_cast<unsigned long long>(sum.faults),
        static_cast<unsigned long long>(sum.before_healing));
    std::printf("%llu answers, %llu receipts, %llu messages to clients, %llu stream entries\ncompared:",
                static_cast<unsigned long long>(sum.answers), static_cast<unsigned long long>(sum.receipts),
                static_cast<unsigned long long>(sum.messages), static_cast<unsigned long long>(sum.entries));
    for (std::size_t i = 0; i < invariants_count; ++i)
        if (sum.compared[i] > 0)
            std::printf(" %s %llu;", std::string(to_string(static_cast<invariant>(i))).c_str(),
                        static_cast<unsigned long long>(sum.compared[i]));
    std::printf("\n");
}

// A run that compares nothing passes: over many seeds everything has to have been compared.
bool all_compared(const report& sum) {
    bool all = sum.answers > 0 && sum.receipts > 0 && sum.messages > 0;
    for (const invariant one : {invariant::lost, invariant::repeated, invariant::out_of_order, invariant::false_gap,
                                invariant::position_not_told, invariant::answered, invariant::acknowledged,
                                invariant::bounded, invariant::fair, invariant::publishing}) {
        if (sum.compared[static_cast<std::size_t>(one)] > 0) continue;
        std::printf("nothing was compared for \"%s\"\n", std::string(to_string(one)).c_str());
        all = false;
    }
    return all;
}

void add(report& sum, const report& one) {
    sum.runs += one.runs;
    sum.events += one.events;
    sum.operations += one.operations;
    sum.faults += one.faults;
    sum.thin += one.thin;
    sum.before_healing += one.before_healing;
    sum.answers += one.answers;
    sum.receipts += one.receipts;
    sum.messages += one.messages;
    sum.entries += one.entries;
    for (std::size_t i = 0; i < invariants_count; ++i) sum.compared[i] += one.compared[i];
}

}  // namespace

std::optional<command> read_command(int argc, char** argv) {
    command out;
    std::string wrong;
    for (int i = 1; i < argc && wrong.empty(); ++i) {
        const std::string_view name = argv[i];
        const auto value = [&]() -> std::string_view {
            if (i + 1 < argc) return argv[++i];
            wrong = std::string(name) + " needs a value";
            return {};
        };
        const auto number = [&](std::string_view text) {
            std::uint64_t n = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
            if (wrong.empty() && (error != std::errc() || end != text.data() + text.size()))
                wrong = std::string(name) + ": \"" + std::string(text) + "\" is no number";
            return n;
        };
        if (name == "--seed") {
            out.from = number(value());
            out.to = out.from + 1;
        } else if (name == "--seeds") {
            const std::string_view range = value();
            const std::size_t colon = std::min(range.find(':'), range.size());
            out.from = number(range.substr(0, colon));
            out.to = number(range.substr(std::min(colon + 1, range.size())));
            if (wrong.empty() && out.from >= out.to) wrong = "--seeds: FROM is not below TO";
        } else if (name == "--time") {
            out.seconds = number(value());
            if (out.to == 2) out.to = UINT64_MAX;
        } else if (name == "--history") {
            out.history = true;
        } else if (name == "--coverage") {
            out.covered = true;
        } else if (name == "--once") {
            out.once = true;
        } else if (name == "--go-on") {
            out.go_on = true;
        } else if (name == "--kept") {
            out.kept_seeds = value();
        } else if (name == "--record") {
            out.record = value();
        } else if (name == "--planted") {
            out.planted = value();
        } else if (name == "--lines") {
            out.lines = number(value());
        } else {
            wrong = "unknown argument " + std::string(name);
        }
    }
    if (wrong.empty()) return out;
    std::fprintf(stderr,
                 "foz_sim: %s\n"
                 "foz_sim [--seed N | --seeds FROM:TO] [--time SECONDS] [--go-on] [--once] [--history] [--lines N] "
                 "[--coverage]\n"
                 "        [--kept FILE] [--record FOLDER] [--planted BUG,BUG…|all]\n",
                 wrong.c_str());
    return std::nullopt;
}

namespace {

bool plant(std::string_view name) {
    const auto at = std::ranges::find(bug_names, name);
    if (at == bug_names.end()) return false;
    planted_bug = static_cast<bug>(at - bug_names.begin());
    return true;
}

// Every bug ("all"), or those of a list, one after the other, within so many seeds.
int find_all_planted(const command& what) {
    const auto listed = [list = "," + what.planted + ","](std::string_view name) {
        return list == ",all," || list.find("," + std::string(name) + ",") != std::string::npos;
    };
    int missed = 0;
    for (std::size_t i = 1; i < bug_names.size(); ++i) {
        if (!listed(bug_names[i])) continue;
        command one = what;
        one.planted = bug_names[i];
        std::printf("--- %s\n", std::string(bug_names[i]).c_str());
        std::fflush(nullptr);
        if (run(one) == 1) continue;
        std::printf("%s was not found\n", std::string(bug_names[i]).c_str());
        ++missed;
    }
    return missed;
}

bool read_kept(const std::string& path, std::vector<std::uint64_t>& into) {
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);)
        if (!line.empty() && line[0] != '#') into.push_back(std::stoull(line));
    return in.eof();
}

}  // namespace

int run(const command& what) {
    if (!what.record.empty()) {
        record_seed(what.from, what.record);
        return 0;
    }
    if (!what.planted.empty()) {
        if (what.planted == "all" || what.planted.contains(',')) return find_all_planted(what);
        if (!plant(what.planted)) {
            std::fprintf(stderr, "foz_sim: no bug is called %s\n", what.planted.c_str());
            return 2;
        }
    }
    std::vector<std::uint64_t> kept;
    if (!what.kept_seeds.empty() && !read_kept(what.kept_seeds, kept)) return 2;
    if (what.history) {
        show_seed(what.from, what.lines);
        return 0;
    }
    const std::size_t size = processes * sizeof(report);
    void* const shared = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    auto* const reports = static_cast<report*>(shared);
    for (unsigned i = 0; i < processes; ++i) new (&reports[i]) report();
    const auto begin = std::chrono::steady_clock::now();
    pid_t children[processes];
    std::fflush(nullptr);
    for (unsigned i = 0; i < processes; ++i) {
        children[i] = ::fork();
        if (children[i] != 0) continue;
        work(what, kept, i, reports);
        std::fflush(nullptr);
        ::_exit(0);
    }
    for (unsigned i = 0; i < processes; ++i) {
        int status = 0;
        ::waitpid(children[i], &status, 0);
        if (status == 0 || reports[i].failed) continue;
        reports[i].failed = true;
        reports[i].failed_seed = reports[i].seed;
        reports[i].failed_what = static_cast<std::uint64_t>(invariant::protocol);
        std::snprintf(reports[i].failed_text, sizeof reports[i].failed_text, "the process has died (an assertion?)");
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    report sum;
    coverage covered;
    for (unsigned i = 0; i < processes; ++i) {
        add(sum, reports[i]);
        covered.add(read_coverage(reports[i]));
    }
    print_summary(sum, took.count());
    if (what.covered) std::printf("%s", covered.describe().c_str());
    int result = 0;
    for (unsigned i = 0; i < processes; ++i) {
        const report& one = reports[i];
        if (!one.failed) continue;
        result = 1;
        if (!what.go_on) print_finding(one);
    }
    if (result == 0 && sum.thin > 0) {
        std::printf("%llu seeds were too thin: fewer than %llu events or %llu faults\n",
                    static_cast<unsigned long long>(sum.thin), static_cast<unsigned long long>(events_min),
                    static_cast<unsigned long long>(faults_min));
        result = 1;
    }
    return result == 0 && sum.runs >= runs_for_gates && !all_compared(sum) ? 1 : result;
}

}  // namespace foz::sim
