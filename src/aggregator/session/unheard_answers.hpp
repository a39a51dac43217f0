// Answers, receipts and errors that a client may not have heard, since they went into a socket that was dead, or came
// when it had none. No I/O.
#pragma once

#include "aggregator/session/client_error.hpp"
#include "base/clock.hpp"
#include "base/strong.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace foz::aggregator {

// It names its request: whoever does not know that one ignores it.
struct told_answer {
    std::string request_id;  // primus-responder's; empty: a plain event, which carries the message's id
    std::string json;
    friend bool operator==(const told_answer&, const told_answer&) = default;
};

inline bool names_its_request(const reply_context& context) {
    return !context.request_id.empty() || !context.id.empty();
}

// What one socket was told since it last showed life. The oldest are forgotten first.
class unheard_answers {
public:
    static constexpr std::size_t answers_max = 256;
    static constexpr std::size_t octets_max = 64 * 1024;

    void add(told_answer one) {
        if (has(one)) return;
        octets_ += one.json.size();
        answers_.push_back(std::move(one));
        while (answers_.size() > answers_max || (octets_ > octets_max && answers_.size() > 1)) {
            octets_ -= answers_.front().json.size();
            answers_.pop_front();
        }
    }
    bool has(const told_answer& one) const { return std::ranges::find(answers_, one) != answers_.end(); }
    std::size_t octets() const noexcept { return octets_; }
    // In the order in which they were told.
    const std::deque<told_answer>& all() const noexcept { return answers_; }

private:
    std::deque<told_answer> answers_;
    std::size_t octets_ = 0;
};

// What clients may not have heard, for a minute: each socket with which they come back is told, since another one may
// be another page's. Who was added first is forgotten first when there are too many.
class left_behind {
public:
    static constexpr std::size_t clients_max = 10'000;
    static constexpr std::size_t octets_max = 16 * 1024 * 1024;
    static constexpr std::chrono::seconds kept{60};

    void add(const client_id& client, told_answer one, steady_time now) {
        const auto [at, fresh] = clients_.try_emplace(client);
        if (fresh) order_.push_back({client, now});
        octets_ -= at->second.octets();
        at->second.add(std::move(one));
        octets_ += at->second.octets();
        while (clients_.size() > clients_max || (octets_ > octets_max && clients_.size() > 1)) forget_oldest();
    }
    const unheard_answers* find(const client_id& client) const {
        const auto at = clients_.find(client);
        return at == clients_.end() ? nullptr : &at->second;
    }
    void expire(steady_time now) {
        while (!order_.empty() && now - order_.front().since >= kept) forget_oldest();
    }
    std::size_t clients() const noexcept { return clients_.size(); }

private:
    struct place {
        client_id client;
        steady_time since;
    };

    void forget_oldest() {
        const auto at = clients_.find(order_.front().client);
        octets_ -= at->second.octets();
        clients_.erase(at);
        order_.pop_front();
    }

    std::unordered_map<client_id, unheard_answers> clients_;
    std::deque<place> order_;
    std::size_t octets_ = 0;
};

}  // namespace foz::aggregator
