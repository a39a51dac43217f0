// A client that asks for one small thing after the other while others make noise, and notes how long it waits.
#pragma once

#include "arguments.hpp"
#include "crowd.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace foz::load {

class bystander {
public:
    // What it asks for: the receipt of a message to this channel, or (empty) only its session's id, which needs no
    // broker.
    bystander(crowd& clients, std::size_t index, std::string channel)
        : clients_(clients), index_(index), channel_(std::move(channel)) {}

    // Asks when it is time to; to be called in every turn.
    void tick(double now);
    void heard(std::string_view payload, double now);

    // Forgets what it knows; what it waits for begins now.
    void begin(double now);
    // Adds p50, p99, max (ms), count and failed, all prefixed with `name`. What it still waits for counts as it is.
    void add_to(json_line& line, const std::string& name, double now) const;
    std::uint64_t asked() const noexcept { return asked_; }  // ever
    bool waits() const noexcept { return waits_; }

private:
    crowd& clients_;
    std::size_t index_;
    std::string channel_;
    std::vector<double> waited_;  // seconds
    std::uint64_t asked_ = 0;
    std::uint64_t failed_ = 0;
    double since_ = 0;
    double next_at_ = 0;
    bool waits_ = false;
};

}  // namespace foz::load
