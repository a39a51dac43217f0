// What a message becomes when it dies in a queue (RabbitMQ's dead lettering).
#pragma once

#include "broker/core/message.hpp"
#include "broker/core/queue.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace foz::broker {

std::string_view to_string(death why) noexcept;

struct dead_letter {
    message_ref what;  // with x-death and x-first-death-*, without its own expiration
    std::vector<std::string> routing_keys;
};

// For the dead letter exchange of `from`, which has one. Nothing when the message can't be encoded any more.
std::optional<dead_letter> make_dead_letter(const queue& from, const entry& dead, death why, std::int64_t now_ms);

// Whether the message has died in that queue before and nobody has rejected it since: then it goes round by itself.
bool is_cycle(const message& what, std::string_view queue);

// The routing keys in the headers CC and BCC. Nothing else of the message is looked at when it has neither.
struct carbon_copies {
    std::vector<std::string> keys;
    bool bcc = false;   // the header has to be taken out
    bool valid = true;  // else it is no array
};
carbon_copies find_carbon_copies(const message& what);
message_ref without_bcc(const message& what);

}  // namespace foz::broker
