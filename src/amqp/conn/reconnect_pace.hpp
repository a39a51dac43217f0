// How long to wait before the next attempt to connect. Pure.
#pragma once

#include "base/clock.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

namespace foz::amqp {

// How an attempt to connect, or a connection, ended.
enum class link_end {
    unanswered,    // nobody said a word of AMQP: refused, timed out, or closed at once by a proxy
    turned_down,   // the broker spoke, and did not let us in
    lost_early,    // it was open, and not for long
    lost,          // it was good, and broke
    lost_by_sick,  // the broker closed it for one channel's sake, which has pauses of its own
};

// Says the longest pause; the caller takes a random part of it, which spreads those who lost the same broker.
//
// While nobody answers, the pause is a tenth of the time that has passed so: a broker that restarts is met soon,
// however quickly it was, a cluster that was away for long is met a little later, by as many as there are over a longer
// time, and a refused connection costs next to nothing. Whoever answers and does not keep the connection has work with
// each attempt: those pauses double.
class reconnect_pace {
public:
    reconnect_pace(std::chrono::milliseconds min, std::chrono::milliseconds max) : min_(min), max_(max) {}

    std::chrono::milliseconds longest_after(link_end what, steady_time now) {
        if (what == link_end::unanswered) {
            if (!unanswered_since_) unanswered_since_ = now;
            const auto tenth = std::chrono::floor<std::chrono::milliseconds>((now - *unanswered_since_) / 10);
            return std::clamp(tenth, min_, max_);
        }
        unanswered_since_.reset();
        if (what == link_end::lost || what == link_end::lost_by_sick) in_vain_ = 0;
        return std::min(max_, min_ * (1U << std::min(in_vain_++, doublings_max)));
    }

private:
    static constexpr unsigned doublings_max = 10;

    const std::chrono::milliseconds min_, max_;
    std::optional<steady_time> unanswered_since_;
    unsigned in_vain_ = 0;  // answered attempts in a row
};

}  // namespace foz::amqp
