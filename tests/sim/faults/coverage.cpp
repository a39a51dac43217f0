#include "faults/coverage.hpp"

#include "aggregator/channel/resume_cursor.hpp"

#include <fmt/format.h>

namespace foz::sim {

std::string_view to_string(fault which) noexcept {
    switch (which) {
        case fault::kill_aggregator:
            return "kill an aggregator";
        case fault::stop_aggregator:
            return "stop an aggregator";
        case fault::drain_aggregator:
            return "drain an aggregator";
        case fault::kill_service:
            return "kill a service";
        case fault::stop_service:
            return "stop a service";
        case fault::kill_broker:
            return "kill the broker";
        case fault::stop_broker:
            return "stop the broker";
        case fault::cut_client:
            return "cut a client off";
        case fault::half_open_client:
            return "half-open socket";
        case fault::stall_client:
            return "stall a client's link";
        case fault::slow_reader:
            return "slow reader";
        case fault::stop_client:
            return "stop a client";
        case fault::cut_broker_link:
            return "cut a broker link";
        case fault::half_open_broker_link:
            return "half-open broker link";
        case fault::stall_broker_link:
            return "stall a broker link";
        case fault::refuse_publishes:
            return "nack publishes";
        case fault::hold_confirms:
            return "hold confirms";
        case fault::hold_deliveries:
            return "hold deliveries";
        case fault::block_publishers:
            return "block publishers";
        case fault::recreate_stream:
            return "recreate a stream";
        case fault::pass_retention:
            return "pass retention";
        case fault::large_entry:
            return "too large an entry";
        case fault::burst:
            return "burst of messages";
    }
    return {};
}

std::string_view resume_state_name(std::size_t state) noexcept {
    if (state + 1 == resume_states) return "nobody";
    return aggregator::to_string(static_cast<aggregator::resume_cursor::state>(state));
}

void coverage::add(const coverage& other) {
    for (std::size_t i = 0; i < faults_count; ++i)
        for (std::size_t j = 0; j < resume_states; ++j) struck[i][j] += other.struck[i][j];
    for (const auto& [name, count] : other.operations) operations[name] += count;
    for (const auto& [name, count] : other.met) met[name] += count;
}

std::string coverage::describe() const {
    std::string out = fmt::format("{:<24}", "fault × resume state");
    for (std::size_t j = 0; j < resume_states; ++j) out += fmt::format("{:>13}", resume_state_name(j));
    out += '\n';
    std::string never;
    for (std::size_t i = 0; i < faults_count; ++i) {
        out += fmt::format("{:<24}", to_string(static_cast<fault>(i)));
        for (std::size_t j = 0; j < resume_states; ++j) {
            out += fmt::format("{:>13}", struck[i][j]);
            if (struck[i][j] == 0)
                never += fmt::format("  {} while a resume is in state {}\n", to_string(static_cast<fault>(i)),
                                     resume_state_name(j));
        }
        out += '\n';
    }
    out += "\noperations\n";
    for (const auto& [name, count] : operations) out += fmt::format("  {:<40}{:>12}\n", name, count);
    out += "\nmet\n";
    for (const auto& [name, count] : met) {
        out += fmt::format("  {:<40}{:>12}\n", name, count);
        if (count == 0) never += fmt::format("  {}\n", name);
    }
    out += "\nnever\n" + (never.empty() ? "  (nothing)\n" : never);
    return out;
}

}  // namespace foz::sim
