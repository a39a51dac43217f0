// A publish window without a broker, and a clock that stands still until it is moved.
#pragma once

#include "amqp/conn/publish_window.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace foz::amqp {

using namespace std::chrono_literals;
using action = publish_window::action;

// A window, its clock, and what it has said so far: "key:body" as sent, "body=outcome" as settled.
struct table_top {
    explicit table_top(publisher_options limits = {}) : window(limits) {}

    void submit(const std::string& key, const std::string& body, bool ordered = false,
                std::chrono::milliseconds within = 10s, bool has_queue = false) {
        publication p;
        p.routing_key = key;
        p.body = body;
        window.submit(std::move(p), {.key = key, .ordered = ordered, .has_queue = has_queue, .deadline = now + within},
                      [this, body](outcome o) { settled.push_back(body + "=" + name(o)); });
        collect();
    }
    std::vector<std::string> send() {
        std::vector<std::string> sent;
        while (const publication* next = window.next_to_send()) {
            sent.push_back(next->routing_key + ":" + next->body);
            window.sent(now);
        }
        collect();
        return sent;
    }
    void open() { window.opened(now); }
    void lose() {
        window.lost();
        collect();
    }
    void confirm(std::uint64_t tag, bool multiple = false) {
        window.confirmed(tag, multiple, true, now);
        collect();
    }
    void refuse(std::uint64_t tag, bool multiple = false) {
        window.confirmed(tag, multiple, false, now);
        collect();
    }
    action pass(std::chrono::milliseconds time) {
        now += time;
        window.tick(now);
        collect();
        return window.take_action();
    }
    void collect() {
        for (auto& one : window.take_settled()) one.done(one.result);
        for (auto& key : window.take_room()) room.push_back(key);
    }
    static std::string name(outcome o) {
        constexpr const char* names[] = {"confirmed",   "unroutable", "rejected", "overloaded",
                                         "unavailable", "unknown",    "invalid"};
        return names[static_cast<int>(o)];
    }

    publish_window window;
    steady_time now{1000s};
    std::vector<std::string> settled, room;
};

}  // namespace foz::amqp
