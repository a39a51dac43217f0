#include "bystander.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace foz::load {
namespace {

constexpr double pause = 0.002;  // seconds between an answer and the next question

double quantile(const std::vector<double>& sorted, double q) {
    if (sorted.empty()) return 0;
    return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(q * static_cast<double>(sorted.size())))];
}

}  // namespace

void bystander::tick(double now) {
    if (waits_ || now < next_at_) return;
    waits_ = true;
    since_ = now;
    ++asked_;
    if (channel_.empty())
        clients_.say(index_, R"("primus::id::")");
    else
        clients_.say(index_, fmt::format(R"({{"packet_action":"publish","channel":"{}","id":"by{}","message":0}})",
                                         channel_, asked_));
}

void bystander::heard(std::string_view payload, double now) {
    const bool good = payload.starts_with(channel_.empty() ? R"("primus::id::)" : R"({"event":"receipt")");
    const bool bad = payload.starts_with(R"({"event":"error")");
    if (!waits_ || (!good && !bad)) return;
    waits_ = false;
    next_at_ = now + pause;
    if (bad)
        ++failed_;
    else
        waited_.push_back(now - since_);
}

void bystander::begin(double now) {
    waited_.clear();
    failed_ = 0;
    if (waits_) since_ = now;
}

void bystander::add_to(json_line& line, const std::string& name, double now) const {
    std::vector<double> sorted = waited_;
    if (waits_) sorted.push_back(now - since_);
    std::ranges::sort(sorted);
    line.add(name + "_p50_ms", 1000 * quantile(sorted, 0.5))
        .add(name + "_p99_ms", 1000 * quantile(sorted, 0.99))
        .add(name + "_max_ms", sorted.empty() ? 0 : 1000 * sorted.back())
        .add(name + "_count", waited_.size())
        .add(name + "_failed", failed_);
}

}  // namespace foz::load
