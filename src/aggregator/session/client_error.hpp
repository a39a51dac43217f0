// What a client is told when something went wrong, and what the telling needs to know about the frame.
#pragma once

#include "amqp/codec/publication.hpp"
#include "spec/codes.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace foz::aggregator {

using spec::error_code;

struct client_error {
    error_code code;
    std::string message;
    std::string field = {};
    std::optional<std::uint64_t> retry_after_ms = std::nullopt;
    std::string dead_letter = {};  // for `foz dead`
    std::string reason = {};       // of bad_token: why
};

// What a frame's answer has to name: made when the frame arrives, kept as long as an answer may come.
struct reply_context {
    std::string request_id = {};  // primus-responder's; empty: a plain write
    std::string id = {};          // the envelope's
    std::uint64_t frame = 0;      // the n-th of this socket
    std::vector<std::string> warnings = {};
    std::string device = {};  // the one that asked; empty: its client is nobody in particular, or has not said it
};

// The `error` event as JSON.
std::string to_json(const client_error& error, const reply_context& context);

// What an outcome means for the client; nothing when the message was confirmed.
std::optional<client_error> error_of(amqp::outcome result);

}  // namespace foz::aggregator
