// A closed circle: so many publishes are on their way at most, and the next one leaves when one has reached everybody
// that it is for.
#pragma once

#include "crowd.hpp"
#include "dialect.hpp"
#include "publisher.hpp"
#include "usage.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace foz::load {

struct circle_options {
    std::size_t receivers = 1;  // of each publish
    measured_process server;
    double patience = 5;  // seconds without a delivery, and the measurement has failed
};

// What one measurement is told: `window`, `seconds`, `warm_up` and `at_least`.
struct circle_window {
    std::uint64_t window = 1;
    double seconds = 1;
    double warm_up = 0.3;
    std::uint64_t at_least = 0;  // so many deliveries: it takes longer for them, fifteen times as long at most
    explicit circle_window(const arguments& all);
};

class circle {
public:
    // Appends the frame of the next publish.
    using next_frame = std::function<void(std::string&)>;

    circle(crowd& clients, const dialect& words, publisher& says, circle_options options)
        : clients_(clients), words_(words), says_(says), options_(options), counts_(clients.size()) {}

    // Delivers as many as it can for this time, and then lets everything arrive. Throws std::runtime_error when it
    // stands still.
    json_line measure(const circle_window& how, const next_frame& next);

private:
    struct totals {
        std::uint64_t deliveries = 0;
        std::uint64_t octets = 0;  // of their frames
    };
    struct sample {
        std::uint64_t frames = 0;
        std::uint64_t segments = 0;
    };

    void measure_idle_poll();
    void turn_for(double seconds, std::uint64_t at_least);
    void refill();
    void one_poll();
    void let_arrive();
    sample look() const;

    crowd& clients_;
    const dialect& words_;
    publisher& says_;
    circle_options options_;
    std::vector<std::uint64_t> counts_;  // deliveries of each client
    totals seen_;
    std::uint64_t published_ = 0;
    std::uint64_t window_ = 0;
    const next_frame* next_ = nullptr;
    std::string out_;
    double moved_at_ = 0;  // when the last delivery came
    std::uint64_t idle_polls_ = 0;
    double idle_poll_cpu_ = 0;  // processor time of a poll that finds nothing
};

}  // namespace foz::load
