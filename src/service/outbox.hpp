// What a handler said, as octets: what a dedupe_store remembers. Nothing of it depends on who asked: the same message
// may come again from a caller who waits elsewhere, or who did not wait the first time.
#pragma once

#include "amqp/conn/publisher.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::service {

struct outbox {
    std::vector<amqp::publication> said;
    std::optional<std::size_t> reply;  // which of them; it has no address yet

    void keep_reply_alone();
};

// What every message of ours has: JSON, persistent.
amqp::publication make_publication();

// A format of our own, which begins with its version: a store outlives the program that filled it. Every field has the
// same limits as in memory, so that a message that does not fit AMQP is told by the publisher, as ever.
std::string encode(const outbox& box);
// Nothing when the octets were not made by encode().
std::optional<outbox> decode_outbox(std::string_view octets);

}  // namespace foz::service
