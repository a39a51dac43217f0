#include "broker/core/node.hpp"

#include <algorithm>
#include <charconv>

namespace foz::broker {
namespace {

// Queue numbers are not used twice, not even after their queue has gone. They are reserved a block at a time.
constexpr std::string_view numbers_end_key = "n";
constexpr queue_number numbers_block = 1024;

// Of messages that wait in queues, while a log could have them: of all queues together, and the bounds of one's share.
constexpr std::size_t queue_memory = 64 << 20;
constexpr std::size_t queue_memory_min = 64 << 10;
constexpr std::size_t queue_memory_max = 4 << 20;

}  // namespace

node::node(storage& disk, const clock& time, random_source& random) : disk_(disk), time_(time), random_(random) {}

node::~node() = default;

void node::start(const std::vector<std::string>& vhosts, const std::vector<policy>& policies) {
    for (const std::string& name : vhosts)
        vhosts_.emplace(name,
                        std::make_unique<vhost>(name, static_cast<vhost_home&>(*this), policy_list(policies, name)));
    std::vector<any_record> records;
    disk_.definitions([&](std::string_view key, std::string_view value) {
        if (key == numbers_end_key) std::from_chars(value.data(), value.data() + value.size(), numbers_end_);
        if (auto record = decode_definition(key, value)) records.push_back(std::move(*record));
    });
    last_number_ = numbers_end_;
    const auto restore = [&]<class Record>(const Record& record) {
        if (vhost* const there = find_vhost(record.vhost)) there->restore(record);
    };
    // Bindings last: they need both of their ends.
    for (const bool bindings : {false, true})
        for (const any_record& record : records)
            if (std::holds_alternative<binding_record>(record) == bindings) std::visit(restore, record);
}

vhost* node::find_vhost(std::string_view name) const {
    const auto at = vhosts_.find(name);
    return at == vhosts_.end() ? nullptr : at->second.get();
}

queue_number node::new_queue_number() {
    if (++last_number_ >= numbers_end_) {
        numbers_end_ = last_number_ + numbers_block;
        disk_.put_definition(std::string(numbers_end_key), std::to_string(numbers_end_));
    }
    return last_number_;
}

std::string node::new_queue_name() {
    return "amq.gen-" + random_.token();
}

std::int64_t node::now_ms() const {
    return unix_ms(time_.wall_now()).count();
}

void node::dead_letter(queue& from, entry dead, death why) {
    from.count_death();
    if (vhost* const home = find_vhost(from.identity().vhost)) home->dead_letter(from, std::move(dead), why);
}

void node::set_alarm(queue& whose, std::int64_t at_ms) {
    const auto known = alarm_of_.find(&whose);
    if (known != alarm_of_.end()) {
        if (known->second == at_ms) return;
        alarms_.erase({known->second, whose.identity().number, &whose});
        if (at_ms == 0) {
            alarm_of_.erase(known);
            return;
        }
        known->second = at_ms;
    } else {
        if (at_ms == 0) return;
        alarm_of_.emplace(&whose, at_ms);
    }
    const auto placed = alarms_.emplace(at_ms, whose.identity().number, &whose).first;
    if (placed == alarms_.begin() && nearer_) nearer_();
}

std::int64_t node::next_due() const noexcept {
    return alarms_.empty() ? 0 : std::get<0>(*alarms_.begin());
}

void node::run_due() {
    const std::int64_t now = now_ms();
    while (!alarms_.empty() && std::get<0>(*alarms_.begin()) <= now) {
        queue* const due = std::get<2>(*alarms_.begin());
        set_alarm(*due, 0);
        due->on_alarm();
    }
    remove_unused();
}

void node::remove_soon(queue& gone) {
    unused_.push_back(gone.weak_from_this());
}

void node::remove_unused() {
    while (!unused_.empty()) {
        const auto gone = unused_.back().lock();
        unused_.pop_back();
        // Somebody may have come to use it in the meantime: then it goes when the last of them does.
        if (!gone || gone->gone() || gone->consumer_count() > 0) continue;
        if (vhost* const home = find_vhost(gone->identity().vhost)) home->remove(*gone);
    }
}

std::size_t node::memory_share() const {
    std::size_t queues = 1;
    for (const auto& [name, home] : vhosts_) queues += home->queues().size();
    return std::clamp(queue_memory / queues, queue_memory_min, queue_memory_max);
}

void node::await_commit(queue& waiting, commit_number commit) {
    awaiting_.emplace(commit, waiting.weak_from_this());
}

void node::on_committed(commit_number committed) {
    while (!awaiting_.empty() && awaiting_.begin()->first <= committed) {
        const auto waiting = awaiting_.begin()->second.lock();
        awaiting_.erase(awaiting_.begin());
        if (waiting) waiting->on_committed(committed);
    }
}

}  // namespace foz::broker
