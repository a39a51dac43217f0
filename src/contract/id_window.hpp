// Message ids seen lately. No I/O.
#pragma once

#include "base/planted.hpp"

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_set>

namespace foz::contract {

// A publisher that repeats itself after a failure is heard once. Bounded: the oldest id is forgotten first; with a
// capacity of 0 nothing is remembered.
class id_window {
public:
    explicit id_window(std::size_t capacity) : capacity_(capacity) {}
    id_window(const id_window&) = delete;
    id_window& operator=(const id_window&) = delete;

    // False when it is there already.
    bool insert(std::string_view id) {
        if (planted(bug::repetition_not_known)) return true;
        const auto [at, fresh] = seen_.emplace(id);
        if (!fresh) return false;
        order_.push_back(&*at);
        if (order_.size() > capacity_) {
            seen_.erase(*order_.front());
            order_.pop_front();
        }
        return true;
    }
    std::size_t size() const noexcept { return order_.size(); }

private:
    const std::size_t capacity_;
    std::unordered_set<std::string> seen_;
    std::deque<const std::string*> order_;
};

}  // namespace foz::contract
