#include "cli/drill/figures.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace foz::cli::drill {
namespace {

// All runs of one drill on one broker.
struct row {
    std::string name, broker, wanted;
    findings sum;
    unsigned runs = 0;
};

void append(spans& to, const spans& from) {
    to.all.insert(to.all.end(), from.all.begin(), from.all.end());
}

void add(findings& to, const findings& from) {
    to.written += from.written;
    to.acknowledged += from.acknowledged;
    to.unknown += from.unknown;
    to.explained += from.explained;
    to.lost += from.lost;
    to.repeated += from.repeated;
    to.disordered += from.disordered;
    to.reruns += from.reruns;
    to.faults += from.faults;
    append(to.silences, from.silences);
    append(to.recoveries, from.recoveries);
    append(to.undisturbed, from.undisturbed);
}

std::string both(const spans& of) {
    if (of.all.empty()) return "";
    char out[64];
    std::snprintf(out, sizeof out, "%.2f / %.2f s", static_cast<double>(of.median().count()) / 1'000,
                  static_cast<double>(of.max().count()) / 1'000);
    return out;
}

std::string unknown_text(const findings& of) {
    const std::string out = std::to_string(of.unknown);
    return of.unknown == 0 ? out : out + " (" + std::to_string(of.explained) + " in flight at a cut)";
}

std::vector<row> rows_of(const std::vector<result>& all) {
    std::vector<row> out;
    for (const result& one : all) {
        if (one.how == result::state::skipped) continue;
        auto at = std::ranges::find_if(out, [&](const row& r) { return r.name == one.name && r.broker == one.broker; });
        if (at == out.end()) {
            out.push_back({.name = one.name, .broker = one.broker, .wanted = one.wanted, .sum = {}});
            at = out.end() - 1;
        }
        add(at->sum, one.found);
        ++at->runs;
    }
    return out;
}

}  // namespace

std::string figures_text(const std::vector<result>& all, const std::string& conditions) {
    const std::vector<row> rows = rows_of(all);
    findings total;
    unsigned runs = 0;
    for (const row& one : rows) {
        add(total, one.sum);
        runs += one.runs;
    }
    const auto number = [](std::uint64_t n) { return std::to_string(n); };
    std::string out =
        "# Failure drills: figures\n\n" + conditions + "\n\n" + number(total.faults) + " faults in " + number(runs) +
        " runs: " + number(total.written) + " messages written, " + number(total.acknowledged) + " acknowledged, " +
        number(total.lost) + " lost, " + number(total.repeated) + " repeated, " + number(total.disordered) +
        " out of order, " + number(total.unknown) + " without an outcome.\n\n" +
        "The silences are those of each client on each channel, median and maximum, as clients hear them: "
        "before the first fault (undisturbed), after a fault, and, where what nobody can do without was "
        "away, from the moment on at which it was back (beyond the outage).\n\n"
        "| drill | broker | faults | written | unknown | lost | repeated | out of order | undisturbed | "
        "after a fault | beyond the outage | wanted |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n";
    for (const row& one : rows) {
        const findings& f = one.sum;
        for (const std::string& cell : {one.name, one.broker, number(f.faults), number(f.written), unknown_text(f),
                                        number(f.lost), number(f.repeated), number(f.disordered), both(f.undisturbed),
                                        both(f.silences), both(f.recoveries), one.wanted})
            out += "| " + cell + " ";
        out += "|\n";
    }
    std::string broken;
    for (const result& one : all) {
        if (one.how != result::state::failed) continue;
        const std::string of = "- " + one.name + " on " + one.broker + ", seed " + number(one.seed) + ": ";
        if (!one.why.empty()) broken += of + one.why + "\n";
        for (const std::string& violation : one.found.violations) broken += of + violation + "\n";
    }
    return broken.empty() ? out : out + "\n## Broken promises\n\n" + broken;
}

}  // namespace foz::cli::drill
