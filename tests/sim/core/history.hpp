// What happened: a hash always, a text that a person can read when it is wanted.
#pragma once

#include "base/clock.hpp"

#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace foz::sim {

class history {
public:
    explicit history(const clock& time) : time_(time) {}

    // Keeps the last so many lines; 0: none.
    void record(std::size_t lines_max) { lines_max_ = lines_max; }
    bool recording() const noexcept { return lines_max_ > 0; }

    // Into the hash of the trace: two runs of one seed have the same.
    void mix(std::uint64_t value) noexcept {
        hash_ ^= value + 0x9e3779b97f4a7c15 + (hash_ << 6) + (hash_ >> 2);
        hash_ *= 0xff51afd7ed558ccd;
        hash_ ^= hash_ >> 32;
    }
    void mix(std::string_view octets) noexcept {
        std::uint64_t sum = octets.size();
        while (octets.size() >= 8) {
            std::uint64_t word;
            std::memcpy(&word, octets.data(), sizeof word);
            sum = (sum ^ word) * 0x9fb21c651e98df25;
            sum ^= sum >> 29;
            octets.remove_prefix(8);
        }
        for (const char octet : octets) sum = (sum ^ static_cast<unsigned char>(octet)) * 0x100000001b3;
        mix(sum);
    }

    template <class... Args>
    void say(std::string_view who, fmt::format_string<Args...> text, Args&&... args) {
        if (lines_max_ == 0) return;
        keep(who, fmt::format(text, std::forward<Args>(args)...));
    }

    std::uint64_t hash() const noexcept { return hash_; }
    const std::deque<std::string>& lines() const noexcept { return lines_; }

private:
    void keep(std::string_view who, const std::string& text) {
        const auto ms = std::chrono::duration_cast<std::chrono::microseconds>(time_.now().time_since_epoch() -
                                                                              std::chrono::hours(1));
        lines_.push_back(fmt::format("{:11.6f}  {:<10} {}", static_cast<double>(ms.count()) / 1e6, who, text));
        if (lines_.size() > lines_max_) lines_.pop_front();
    }

    const clock& time_;
    std::size_t lines_max_ = 0;
    std::deque<std::string> lines_;
    std::uint64_t hash_ = 0x243f6a8885a308d3;
};

}  // namespace foz::sim
