#include "cli/top/table.hpp"

#include <algorithm>
#include <string>

namespace foz::cli::top {
namespace {

constexpr std::size_t gap = 2;
constexpr std::size_t name_width_least = 8;
constexpr std::size_t name_width_wanted = 24;  // for which columns are left out
constexpr std::size_t vhost_width_max = 16;

style usual(double number) {
    return number > 0 ? style::plain : style::dim;
}

}  // namespace

// A column besides vhost and name.
struct queue_table::column {
    const char* title;
    std::size_t width;
    int worth;  // the least is left out first
    std::optional<sort_key> sort;
    double queue_row::* number;
    std::string (*show)(double);
    style (*look)(const queue_row&);
};

const std::vector<queue_table::column>& queue_table::all_columns() {
    using row = queue_row;
    static const std::vector<column> all{
        {"TYPE", 7, 3, std::nullopt, nullptr, nullptr, [](const row&) { return style::dim; }},
        // Messages that nobody takes are worth a look.
        {"READY", 5, 10, sort_key::ready, &row::ready, human,
         [](const row& of) {
             return of.ready > 0 && of.consumers == 0 && of.type != "stream" ? style::warning : usual(of.ready);
         }},
        {"UNACK", 5, 9, sort_key::unacked, &row::unacknowledged, human,
         [](const row& of) { return usual(of.unacknowledged); }},
        {"CONS", 5, 5, sort_key::consumers, &row::consumers, human, [](const row& of) { return usual(of.consumers); }},
        {"PUB/s", 5, 8, sort_key::publish, &row::publish_rate, human_rate,
         [](const row& of) { return usual(of.publish_rate); }},
        {"DLV/s", 5, 7, sort_key::deliver, &row::deliver_rate, human_rate,
         [](const row& of) { return usual(of.deliver_rate); }},
        {"ACK/s", 5, 4, sort_key::ack, &row::ack_rate, human_rate, [](const row& of) { return usual(of.ack_rate); }},
        // Totals; coloured while they grow.
        {"REDLV", 5, 0, sort_key::redeliver, &row::redelivered, human,
         [](const row& of) { return of.redeliver_rate > 0 ? style::warning : usual(of.redelivered); }},
        {"DEAD", 5, 2, sort_key::dead, &row::dead_lettered, human,
         [](const row& of) { return of.dead_letter_rate > 0 ? style::bad : usual(of.dead_lettered); }},
        {"BYTES", 7, 1, sort_key::bytes, &row::bytes, human_bytes, [](const row& of) { return usual(of.bytes); }},
    };
    return all;
}

queue_table::queue_table(const std::vector<queue_row>& queues, const choices& chosen, const frame& within)
    : queues_(queues), chosen_(chosen), width_(within.width) {
    choose_columns(within);
    sort();
}

void queue_table::choose_columns(const frame& within) {
    std::size_t longest = 4;
    for (const queue_row& one : queues_) {
        longest = std::max(longest, columns(printable(one.name)));
        if (one.vhost != queues_.front().vhost) vhost_width_ = 5;
    }
    if (vhost_width_ > 0)
        for (const queue_row& one : queues_)
            vhost_width_ = std::clamp(columns(printable(one.vhost)), vhost_width_, vhost_width_max);
    for (const column& one : all_columns()) shown_.push_back(&one);
    const std::size_t wanted = std::min(longest, name_width_wanted);
    const auto others = [&] {
        std::size_t sum = vhost_width_ > 0 ? vhost_width_ + gap : 0;
        for (const column* one : shown_) sum += one->width + gap;
        return sum;
    };
    while (!shown_.empty() && others() + wanted > within.width)
        shown_.erase(std::min_element(shown_.begin(), shown_.end(),
                                      [](const column* a, const column* b) { return a->worth < b->worth; }));
    if (others() + name_width_least > within.width) vhost_width_ = 0;
    // A name has its whole length only where that costs nothing else.
    name_width_ = std::min(longest, within.width - std::min(others(), within.width));
}

void queue_table::sort() {
    for (const queue_row& one : queues_) order_.push_back(&one);
    double queue_row::* number = nullptr;
    for (const column& one : all_columns())
        if (one.sort == chosen_.sort) number = one.number;
    const auto by_name = [](const queue_row* a, const queue_row* b) {
        return a->vhost != b->vhost ? a->vhost < b->vhost : a->name < b->name;
    };
    const bool around = chosen_.reversed;
    std::sort(order_.begin(), order_.end(), [&](const queue_row* a, const queue_row* b) {
        if (!number) return around ? by_name(b, a) : by_name(a, b);
        if (a->*number != b->*number) return (a->*number > b->*number) != around;
        return by_name(a, b);
    });
}

line queue_table::heading() const {
    line out;
    const auto arrow = [&](bool downwards) { return downwards != chosen_.reversed ? "▼" : "▲"; };
    const auto left = [&](const std::string& title, std::size_t width, style as) {
        out.add(fit_left(title, width), as);
    };
    if (vhost_width_ > 0) {
        left("VHOST", vhost_width_, style::heading);
        out.add(std::string(gap, ' '), style::heading);
    }
    const bool by_name = chosen_.sort == sort_key::name;
    left(by_name ? std::string("NAME") + arrow(false) : "NAME", name_width_, by_name ? style::marked : style::heading);
    for (const column* one : shown_) {
        if (!one->number) {
            out.add(std::string(gap, ' '), style::heading);
            left(one->title, one->width, style::heading);
            continue;
        }
        const bool marked = one->sort == chosen_.sort;
        out.add(fit_right((marked ? arrow(true) : "") + std::string(one->title), one->width + gap),
                marked ? style::marked : style::heading);
    }
    if (out.width() < width_) out.add(std::string(width_ - out.width(), ' '), style::heading);
    return out;
}

line queue_table::row(std::size_t index) const {
    const queue_row& of = *order_[index];
    line out;
    if (vhost_width_ > 0) out.add(fit_left(printable(of.vhost), vhost_width_), style::dim).add(std::string(gap, ' '));
    out.add(fit_left(printable(of.name), name_width_));
    for (const column* one : shown_) {
        out.add(std::string(gap, ' '));
        if (one->number)
            out.add(fit_right(one->show(of.*(one->number)), one->width), one->look(of));
        else
            out.add(fit_left(printable(of.type), one->width), one->look(of));
    }
    return out;
}

}  // namespace foz::cli::top
