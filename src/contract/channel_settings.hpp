// A channel (voice, chat, tickets …) as it is configured.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace foz::contract {

enum class delivery_kind {
    durable,    // services → clients through a stream: resumable, read by every aggregator
    volatile_,  // through an exclusive queue of each aggregator: newest first when full, gone with the aggregator
};

enum class consumer_kind {
    competing,      // each message to one of many consumers
    single_active,  // one consumer at a time, the next takes over
};

struct channel_settings {
    std::string name;  // lower case; the routing key's first word
    delivery_kind delivery = delivery_kind::durable;
    consumer_kind consumers = consumer_kind::competing;
    std::int32_t delivery_limit = 20;           // returns of a message before it is dead-lettered; < 0: no limit
    std::int32_t volatile_max_length = 10'000;  // messages in an aggregator's queue before the oldest is dropped

    // IN_CHAT: the work queue of the channel's services.
    std::string in_queue() const;
    // OUT_CHAT: the stream of a durable channel, the prefix of the queues of a volatile one.
    std::string out_queue() const;
    // chat.#
    std::string binding_key() const { return name + ".#"; }
};

// voice (volatile), chat and tickets (durable).
std::vector<channel_settings> default_channels();

// What is wrong with a channel's name, or empty: 1 to 32 of a-z, 0-9 and "-", beginning with a letter.
std::string check_channel_name(const std::string& name);

}  // namespace foz::contract
