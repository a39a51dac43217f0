// Answers, receipts and errors that a client may not have heard, since they went into a socket that was dead, or came
// when it had none. No I/O.
#pragma once

#include "aggregator/session/client_error.hpp"
#include "base/clock.hpp"
#include "base/strong.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
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
};

inline bool names_its_request(const reply_context& context) {
    return !context.request_id.empty() || !context.id.empty();
}

// What one socket was told since it last showed life. The oldest are forgotten first.
class unheard_answers {
public:
    static constexpr std::size_t answers_max = 64;
    static constexpr std::size_t octets_max = 64 * 1024;

    void add(told_answer one) {
        octets_ += one.json.size();
        answers_.push_back(std::move(one));
        while (answers_.size() > answers_max || (octets_ > octets_max && answers_.size() > 1)) {
            octets_ -= answers_.front().json.size();
            answers_.pop_front();
        }
    }
    bool empty() const noexcept { return answers_.empty(); }
    std::size_t octets() const noexcept { return octets_; }
    // In the order in which they were told.
    std::deque<told_answer> take() {
        octets_ = 0;
        return std::exchange(answers_, {});
    }

private:
    std::deque<told_answer> answers_;
    std::size_t octets_ = 0;
};

// What clients without a socket have not heard, until they come back, or for a minute. Who has been away for longest is
// forgotten first when there are too many.
class left_behind {
public:
    static constexpr std::size_t clients_max = 10'000;
    static constexpr std::size_t octets_max = 16 * 1024 * 1024;
    static constexpr std::chrono::seconds kept{60};

    void add(const client_id& client, told_answer one, steady_time now) {
        const auto [at, fresh] = clients_.try_emplace(client);
        if (fresh) {
            at->second.number = ++numbers_;
            order_.push_back({client, at->second.number, now});
        }
        octets_ -= at->second.what.octets();
        at->second.what.add(std::move(one));
        octets_ += at->second.what.octets();
        while (clients_.size() > clients_max || (octets_ > octets_max && clients_.size() > 1)) forget_oldest();
    }
    std::deque<told_answer> take(const client_id& client) {
        const auto at = clients_.find(client);
        if (at == clients_.end()) return {};
        octets_ -= at->second.what.octets();
        auto all = at->second.what.take();
        clients_.erase(at);
        return all;
    }
    void expire(steady_time now) {
        while (!order_.empty() && now - order_.front().since >= kept) forget_oldest();
    }
    std::size_t clients() const noexcept { return clients_.size(); }

private:
    struct absent {
        unheard_answers what;
        std::uint64_t number = 0;
    };
    struct place {
        client_id client;
        std::uint64_t number;  // one that was taken has another one when it is there again
        steady_time since;
    };

    void forget_oldest() {
        const auto at = clients_.find(order_.front().client);
        if (at != clients_.end() && at->second.number == order_.front().number) {
            octets_ -= at->second.what.octets();
            clients_.erase(at);
        }
        order_.pop_front();
    }

    std::unordered_map<client_id, absent> clients_;
    std::deque<place> order_;
    std::size_t octets_ = 0;
    std::uint64_t numbers_ = 0;
};

}  // namespace foz::aggregator
