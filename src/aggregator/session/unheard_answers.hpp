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
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace foz::aggregator {

// It names its request: a page that does not know the request ignores it.
struct told_answer {
    std::string request_id;  // primus-responder's; empty: a plain event, which carries the message's id
    std::string json;
    std::string device;    // as reply_context::device: another device's requests have other ids
    std::size_t mark = 0;  // of all: tells most of them apart at once

    static told_answer of(const reply_context& context, std::string_view json) {
        const std::hash<std::string_view> hash;
        return {.request_id = context.request_id,
                .json = std::string(json),
                .device = context.device,
                .mark = (hash(context.request_id) * 31 + hash(json)) * 31 + hash(context.device)};
    }
    std::size_t octets() const noexcept { return request_id.size() + json.size() + device.size(); }
    friend bool operator==(const told_answer& a, const told_answer& b) {
        return a.mark == b.mark && a.request_id == b.request_id && a.json == b.json && a.device == b.device;
    }
};

inline bool names_its_request(const reply_context& context) {
    return !context.request_id.empty() || !context.id.empty();
}

// What one socket was told since it last showed life. The oldest are forgotten first.
class unheard_answers {
public:
    static constexpr std::size_t answers_max = 256;
    static constexpr std::size_t octets_max = 64 * 1024;

    // One that is larger than all may be together is not kept.
    void add(told_answer one) {
        if (one.octets() > octets_max || has(one)) return;
        octets_ += one.octets();
        answers_.push_back(std::move(one));
        while (answers_.size() > answers_max || octets_ > octets_max) {
            octets_ -= answers_.front().octets();
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

// What clients may not have heard, for a minute after the last of it: each socket with which they come back is told,
// since another one may be another page's. Who was added first is forgotten first when there are too many.
class left_behind {
public:
    static constexpr std::size_t clients_max = 10'000;
    static constexpr std::chrono::seconds kept{60};

    explicit left_behind(std::size_t octets_max = 16 * 1024 * 1024) : octets_max_(octets_max) {}

    void add(const client_id& client, told_answer one, steady_time now) {
        const auto [at, fresh] = clients_.try_emplace(client);
        absent& who = at->second;
        if (fresh || now - who.since >= std::chrono::seconds(1)) {
            who.since = now;
            order_.push_back({client, now});
        }
        octets_ -= who.unheard.octets();
        who.unheard.add(std::move(one));
        octets_ += who.unheard.octets();
        while (clients_.size() > clients_max || (octets_ > octets_max_ && clients_.size() > 1)) forget_oldest();
    }
    const unheard_answers* find(const client_id& client) const {
        const auto at = clients_.find(client);
        return at == clients_.end() ? nullptr : &at->second.unheard;
    }
    void expire(steady_time now) {
        while (!order_.empty() && now - order_.front().since >= kept) forget_oldest();
    }
    std::size_t clients() const noexcept { return clients_.size(); }

private:
    struct absent {
        unheard_answers unheard;
        steady_time since{};  // of the last one, to the second
    };
    struct place {
        client_id client;
        steady_time since;
    };

    // Unless more has come for the client since.
    void forget_oldest() {
        const auto at = clients_.find(order_.front().client);
        if (at != clients_.end() && at->second.since == order_.front().since) {
            octets_ -= at->second.unheard.octets();
            clients_.erase(at);
        }
        order_.pop_front();
    }

    const std::size_t octets_max_;
    std::unordered_map<client_id, absent> clients_;
    std::deque<place> order_;
    std::size_t octets_ = 0;
};

}  // namespace foz::aggregator
