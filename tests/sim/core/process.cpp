#include "core/process.hpp"

#include "core/pipe.hpp"

#include <utility>

namespace foz::sim {

void process::start() {
    if (up_) return;
    up_ = true;
    stopped_ = false;
    awake_since_ = time_.now();
    ++incarnation_;
    on_start();
}

void process::kill() {
    if (!up_) return;
    up_ = false;
    stopped_ = false;
    ++incarnation_;
    overdue_.clear();
    inputs_.clear();
    on_kill();
}

void process::stop() {
    if (up_) stopped_ = true;
}

void process::go_on() {
    if (!stopped()) return;
    stopped_ = false;
    awake_since_ = time_.now();
    std::erase_if(inputs_, [](const auto& one) { return one.expired(); });
    const auto inputs = inputs_;
    for (const auto& one : inputs)
        if (const auto input = one.lock()) input->pump();
    const std::uint32_t of = incarnation_;
    for (action& what : std::exchange(overdue_, {}))
        time_.after(std::chrono::microseconds(200),
                    [this, of, what = std::move(what)]() mutable { expire(of, std::move(what)); });
}

void process::after(duration span, action what) {
    time_.after(span, [this, of = incarnation_, what = std::move(what)]() mutable { expire(of, std::move(what)); });
}

void process::expire(std::uint32_t of, action what) {
    if (of != incarnation_) return;
    if (stopped_) {
        overdue_.push_back(std::move(what));
    } else {
        what();
    }
}

}  // namespace foz::sim
