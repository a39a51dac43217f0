#include "cli/top/view.hpp"

#include "cli/top/line.hpp"
#include "cli/top/table.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace foz::cli::top {
namespace {

constexpr std::array<std::string_view, 10> sort_words{"name",    "ready", "unacked",   "consumers", "publish",
                                                      "deliver", "ack",   "redeliver", "dead",      "bytes"};

// A number and what it is of.
struct fact {
    std::string number;
    const char* word;
    style as = style::bold;
};

constexpr std::size_t snapshot_head_width_max = 110;
constexpr std::size_t label_width = 8;
constexpr std::size_t number_width = 5;
constexpr std::size_t word_width = 11;
constexpr std::size_t fact_width = number_width + 1 + word_width + 1;

fact amount(double number, const char* word, style when_some = style::bold) {
    return {human(number), word, number > 0 ? when_some : style::dim};
}
fact rate(double per_second, const char* word, style when_some = style::bold) {
    return {human_rate(per_second), word, per_second > 0 ? when_some : style::dim};
}

// Facts in columns, in as few lines as the width allows, filled evenly.
void add_facts(std::vector<line>& to, const char* label, const std::vector<fact>& facts, std::size_t width) {
    const std::size_t fitting = std::max<std::size_t>((width + 1 - std::min(width, label_width)) / fact_width, 1);
    const std::size_t lines = (facts.size() + fitting - 1) / fitting;
    const std::size_t each = (facts.size() + lines - 1) / lines;
    for (std::size_t i = 0; i < facts.size(); ++i) {
        if (i % each == 0) to.emplace_back().add(fit_left(i == 0 ? label : "", label_width), style::dim);
        if (i % each > 0) to.back().add(" ");
        to.back().add(fit_right(facts[i].number, number_width), facts[i].as);
        to.back().add(" " + fit_left(facts[i].word, word_width), style::dim);
    }
}

line title(const picture& now, const surroundings& around, std::size_t width) {
    const double mean = now.uptime_s > 0 ? now.cpu_seconds / now.uptime_s : std::nan("");
    const double share = around.cpu_share.value_or(mean) * 100;
    const std::string cpu = std::isfinite(share) ? std::to_string(std::lround(share)) + "%" : "-";
    const std::string memory = human_bytes(now.memory_bytes);
    const std::string_view cpu_word = around.cpu_share ? "cpu " : "mean cpu ";
    line out;
    out.add("foz " + printable(now.version), style::bold).add("   up ", style::dim).add(human_time(now.uptime_s));
    out.add("   ");
    if (!around.lost.empty())
        out.add("lost", style::bad);
    else if (now.not_ready.empty())
        out.add("ready", style::good);
    else
        out.add("not ready", style::bad);
    const std::size_t right = 7 + memory.size() + 3 + cpu_word.size() + cpu.size();
    if (out.width() + 3 + right <= width)
        out.to(width - right);
    else
        out.add("   ");
    out.add("memory ", style::dim).add(memory).add("   ").add(std::string(cpu_word), style::dim).add(cpu);
    return out;
}

// Text in lines that are broken at spaces.
void add_wrapped(std::vector<line>& to, std::string_view text, std::size_t width, style as) {
    const std::string shown = printable(text);
    std::string_view rest = shown;
    while (!rest.empty()) {
        std::size_t end = rest.size();
        while (columns(rest.substr(0, end)) > width) {
            const std::size_t space = end == 0 ? std::string_view::npos : rest.rfind(' ', end - 1);
            if (space == std::string_view::npos || space == 0) break;
            end = space;
        }
        to.emplace_back().add(std::string(rest.substr(0, end)), as);
        rest.remove_prefix(std::min(rest.size(), end + 1));
    }
}

// What is wrong, each with its reason.
void add_troubles(std::vector<line>& to, const picture& now, const surroundings& around, std::size_t width) {
    const auto add = [&](const std::string& text, style as) { add_wrapped(to, text, width, as); };
    if (!around.lost.empty())
        return add(around.lost + "; trying again. What is shown is " + human_time(around.age_s) + " old.", style::bad);
    if (!now.not_ready.empty()) add("Not ready: " + now.not_ready, style::bad);
    if (now.aggregator && now.aggregator->broker_blocked)
        add("The broker takes no messages of clients (memory or disk alarm).", style::bad);
    if (now.broker && !now.broker->blocked.empty())
        add("The broker takes no messages: " + now.broker->blocked, style::bad);
}

std::vector<line> head(const picture& now, const surroundings& around, std::size_t width) {
    std::vector<line> out{title(now, around, width)};
    add_troubles(out, now, around, width);
    if (now.aggregator) {
        const aggregator_part& of = *now.aggregator;
        add_facts(out, "clients",
                  {amount(of.sessions, "sessions"), amount(of.connections, "connections"),
                   amount(of.requests_waiting, "waiting"), rate(of.frames_rate, "frames in/s"),
                   rate(of.published_rate, "published/s"), rate(of.outbound_rate, "outbound/s"),
                   rate(of.deliveries_rate, "delivered/s"), rate(of.answers_rate, "answers/s")},
                  width);
    }
    if (now.broker) {
        const broker_part& of = *now.broker;
        add_facts(
            out, "broker",
            {amount(of.connections, "connections"), amount(of.consumers, "consumers"), amount(of.queues, "queues"),
             amount(of.ready, "ready"), amount(of.unacknowledged, "unacked"), rate(of.publish_rate, "publish/s"),
             rate(of.deliver_rate, "deliver/s"), rate(of.ack_rate, "ack/s"),
             rate(of.redeliver_rate, "redeliver/s", style::warning), rate(of.dead_letter_rate, "dead/s", style::bad)},
            width);
    }
    out.emplace_back();
    return out;
}

// Keys at the left, where one is at the right.
line footer(const choices& chosen, std::size_t rows, std::size_t all, std::size_t width) {
    line out;
    const auto key = [&](const char* name, const std::string& does) {
        out.add(name, style::bold).add(" " + does + "   ", style::dim);
    };
    key("q", "quit");
    if (all == 0) return out;
    key("←→", "sort by " + std::string(word(chosen.sort)));
    key("r", "reverse");
    if (rows < all) key("↑↓ PgUp PgDn", "scroll");
    const std::string place = rows == 0 ? "0 of " + std::to_string(all)
                                        : std::to_string(chosen.first_row + 1) + "–" +
                                              std::to_string(chosen.first_row + rows) + " of " + std::to_string(all);
    if (out.width() + columns(place) <= width) out.to(width - columns(place)).add(place);
    return out;
}

void no_table(std::vector<line>& to, const picture& now, std::size_t width) {
    if (now.broker) return add_wrapped(to, "There is no queue yet.", width, style::dim);
    add_wrapped(to,
                "The broker is not in this process. RabbitMQ's queues are to be seen in its management; those of a foz "
                "broker at its own admin port.",
                width, style::dim);
}

}  // namespace

std::string_view word(sort_key key) {
    return sort_words[static_cast<std::size_t>(key)];
}

std::optional<sort_key> parse_sort_key(std::string_view said) {
    const auto at = std::find(sort_words.begin(), sort_words.end(), said);
    if (at == sort_words.end()) return std::nullopt;
    return static_cast<sort_key>(at - sort_words.begin());
}

std::string sort_keys() {
    std::string all;
    for (const std::string_view one : sort_words) all += (all.empty() ? "" : ", ") + std::string(one);
    return all;
}

drawn draw(const picture& now, const surroundings& around, choices& chosen, const frame& within) {
    // A snapshot may be as wide as its longest name; its sentences are not.
    const std::size_t head_width = within.height ? within.width : std::min(within.width, snapshot_head_width_max);
    std::vector<line> lines = head(now, around, head_width);
    drawn out;
    const queue_table table(now.queues, chosen, within);
    if (table.size() == 0) {
        no_table(lines, now, head_width);
    } else {
        lines.push_back(table.heading());
        const std::size_t taken = lines.size() + 1;  // the footer
        out.rows = table.size();
        if (within.height) out.rows = std::min(out.rows, *within.height - std::min(*within.height, taken));
        chosen.first_row = std::min(chosen.first_row, table.size() - out.rows);
        for (std::size_t i = 0; i < out.rows; ++i) lines.push_back(table.row(chosen.first_row + i));
    }
    if (within.height) {
        lines.resize(*within.height > 0 ? *within.height - 1 : 0);
        if (*within.height > 0) lines.push_back(footer(chosen, out.rows, table.size(), within.width));
    }
    for (const line& one : lines) out.lines.push_back(one.text(within.width, within.colours));
    return out;
}

}  // namespace foz::cli::top
