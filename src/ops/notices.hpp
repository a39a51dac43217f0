// Notices that may come by the thousand: the first of a kind is logged, then how many more there were.
#pragma once

#include "base/notice_limiter.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace foz::ops {

struct notices_options {
    std::chrono::milliseconds interval = std::chrono::seconds(10);
    // More kinds than this at a time share one limit.
    std::size_t kinds_max = 64;
};

// From any thread.
class notices {
public:
    using sink = std::function<void(const std::string& line)>;

    explicit notices(sink to, notices_options options = {}) : sink_(std::move(to)), options_(options) {}

    // Of one kind are notices with the same text up to their first comma: what differs from one to the next (a message
    // id, an address) stands behind it.
    void say(std::string_view text, steady_time now);
    // Says what has been kept back for an interval. To be called about once a second.
    void tick(steady_time now);
    // Notices that were said as a count alone.
    std::uint64_t kept_back() const noexcept { return kept_back_; }

private:
    struct kind {
        notice_limiter limit;
        std::string last;  // as it was kept back
    };
    void tell(const kind& of, std::uint64_t kept_back);

    const sink sink_;
    const notices_options options_;
    std::atomic<std::uint64_t> kept_back_ = 0;
    std::mutex mutex_;
    std::map<std::string, kind, std::less<>> kinds_;
};

}  // namespace foz::ops
