#include "cli/drill/report.hpp"

#include "base/json.hpp"

#include <utility>

namespace foz::cli::drill {
namespace {

std::string seconds_text(milliseconds span) {
    const auto count = span.count();
    if (count < 1'000) return std::to_string(count) + " ms";
    return std::to_string(count / 1'000) + "." + std::to_string(count % 1'000 / 100) + " s";
}

std::string_view state_name(result::state how) {
    switch (how) {
        case result::state::passed:
            return "passed";
        case result::state::failed:
            return "failed";
        case result::state::skipped:
            return "skipped";
    }
    return "";
}

void append_field(std::string& out, std::string_view name, const std::string& json) {
    if (!out.ends_with('{')) out += ',';
    out += json_string(name) + ":" + json;
}

std::string json_array(const std::vector<std::string>& texts) {
    std::string out;
    for (const std::string& one : texts) out += (out.empty() ? "" : ",") + json_string(one);
    return "[" + out + "]";
}

}  // namespace

std::string audit_text(const result& one) {
    if (one.how == result::state::skipped) return "  skipped: " + one.why + "\n";
    if (one.found.written == 0) return "  failed: " + one.why + "\n";
    const findings& f = one.found;
    std::string out;
    const auto row = [&out](std::string name, const std::string& value) {
        name.resize(16, ' ');
        out += "  " + name + value + "\n";
    };
    const auto number = [](std::uint64_t n) { return std::to_string(n); };
    std::string refused = number(f.refused);
    for (const auto& [code, count] : f.refusals)
        refused += (&code == &f.refusals.begin()->first ? ": " : ", ") + code + " " + number(count);
    row("written", number(f.written));
    row("acknowledged", number(f.acknowledged));
    row("refused", refused);
    row("unknown",
        number(f.unknown) +
            (f.unknown == 0 ? "" : ", of these in flight when a stock client's socket ended: " + number(f.explained)));
    row("delivered", number(f.delivered));
    row("lost", number(f.lost));
    row("missed", number(f.missed) +
                      (f.missed == 0 ? "" : " (allowed: volatile, told as a gap, or a stock client that was away)"));
    row("repeated", number(f.repeated) + " in the application, " + number(f.again) + " kept from it by the plugin");
    row("out of order", number(f.disordered));
    row("gaps told", number(f.gaps));
    row("runs", number(f.runs) + ", of these reruns: " + number(f.reruns));
    row("faults", number(f.faults));
    const auto longest = [](const spans& of) {
        return seconds_text(of.max()) + ", median " + seconds_text(of.median());
    };
    row("longest silence",
        longest(f.silences) + (f.undisturbed.all.empty() ? "" : "; undisturbed " + longest(f.undisturbed)));
    if (!f.recoveries.all.empty()) row("after an outage", longest(f.recoveries));
    row("took", seconds_text(one.took) + ", seed " + number(one.seed));
    for (const std::string& violation : f.violations) out += "  BROKEN: " + violation + "\n";
    if (!one.why.empty()) out += "  BROKEN: " + one.why + "\n";
    out += one.how == result::state::passed ? "  every promise was kept\n" : "";
    return out;
}

std::string audit_json(const std::vector<result>& all) {
    std::string out = "[";
    for (const result& one : all) {
        if (out.size() > 1) out += ",\n";
        out += "{";
        append_field(out, "drill", json_string(one.name));
        append_field(out, "broker", json_string(one.broker));
        append_field(out, "result", json_string(state_name(one.how)));
        if (!one.why.empty()) append_field(out, "why", json_string(one.why));
        append_field(out, "seed", std::to_string(one.seed));
        append_field(out, "took_ms", std::to_string(one.took.count()));
        if (one.how != result::state::skipped) {
            const findings& f = one.found;
            const std::pair<const char*, std::uint64_t> counts[] = {
                {"written", f.written},
                {"acknowledged", f.acknowledged},
                {"refused", f.refused},
                {"unknown", f.unknown},
                {"explained", f.explained},
                {"delivered", f.delivered},
                {"lost", f.lost},
                {"missed", f.missed},
                {"repeated", f.repeated},
                {"again", f.again},
                {"out_of_order", f.disordered},
                {"gaps", f.gaps},
                {"runs", f.runs},
                {"reruns", f.reruns},
                {"faults", f.faults},
                {"silence_median_ms", static_cast<std::uint64_t>(f.silences.median().count())},
                {"silence_max_ms", static_cast<std::uint64_t>(f.silences.max().count())},
                {"recovery_median_ms", static_cast<std::uint64_t>(f.recoveries.median().count())},
                {"recovery_max_ms", static_cast<std::uint64_t>(f.recoveries.max().count())}};
            for (const auto& [name, count] : counts) append_field(out, name, std::to_string(count));
            append_field(out, "fault_log", json_array(one.faults));
            std::string codes = "{";
            for (const auto& [code, count] : f.refusals) append_field(codes, code, std::to_string(count));
            append_field(out, "refusals", codes + "}");
            append_field(out, "violations", json_array(f.violations));
        }
        out += "}";
    }
    return out + "]\n";
}

}  // namespace foz::cli::drill
