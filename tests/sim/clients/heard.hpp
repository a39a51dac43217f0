// One frame of an aggregator, as a client reads it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::sim {

struct heard {
    enum class kind : std::uint8_t { ping, server_close, event, request, other };
    kind what = kind::other;
    std::string control;  // ping: its time

    std::string response_id;  // of a responder frame: whose answer it is
    std::string request_id;   // request: a service's question

    std::string event;
    std::string channel, via, topic, group, type, id, position, cause, state, client, session;
    std::string message;  // JSON
    std::optional<std::uint64_t> frame;
    std::optional<std::int64_t> number;  // "n" of the message: which one of the run it is, or answers

    // error
    std::string code;
    bool retryable = false;
    std::optional<std::uint64_t> retry_after_ms;

    struct consumed {
        std::string channel, position;
        std::vector<std::string> topics, groups;
    };
    std::vector<consumed> consuming;
};

// Null when it is no JSON.
std::optional<heard> read_frame(std::string_view text);

}  // namespace foz::sim
