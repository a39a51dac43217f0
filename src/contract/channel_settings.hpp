// A channel (voice, chat, tickets …) as it is configured.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
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

enum class order_kind {
    none,    // competing handlers reorder, as they must
    client,  // what one client sends is handled in its order: one active consumer, one unconfirmed publish for a client
};

enum class groups_kind {
    open,     // anyone may join any group
    service,  // the channel's worker is asked at each consume (type foz.join)
    token,    // only groups that the client's token names
};

enum class not_json_kind {
    drop,    // a service's body that is not valid JSON is dropped, counted and logged
    base64,  // it is passed as a JSON string of its octets in base64
};

struct channel_settings {
    std::string name;  // lower case; the routing key's first word
    delivery_kind delivery = delivery_kind::durable;
    consumer_kind consumers = consumer_kind::competing;
    order_kind order = order_kind::none;
    groups_kind groups = groups_kind::open;
    not_json_kind not_json = not_json_kind::drop;
    // What a client may do here unless its token says it: hear, send, and send awaiting an answer, by topic (AMQP
    // patterns; none: nothing). Types of what it sends: exact, or with a "*" at the end; none: any.
    std::vector<std::string> may_consume{"#"};
    std::vector<std::string> may_publish{"#"};
    std::vector<std::string> may_request{"#"};
    std::vector<std::string> may_send_types;
    // Under groups_kind::open, for clients whose token names no groups: patterns of the groups that anyone may join.
    // None: all, as long as nobody has a name of his own (aggregator::settings); then none.
    std::vector<std::string> open_groups;
    // Who joins a group may hear what was said to it before. Otherwise only what the channel's service gives it
    // (since_ms in its answer to foz.join), or nothing.
    bool group_past = true;
    // Returns of a message before it is dead-lettered. 0: never delivered again, an unfinished message is a dead letter
    // at once. < 0: no limit.
    std::int32_t delivery_limit = 20;
    std::int32_t volatile_max_length = 10'000;  // messages in an aggregator's queue before the oldest is dropped
    // A request to a channel that had no consumer for so long is refused (no_service) instead of waiting in the queue.
    std::chrono::milliseconds no_service_after = std::chrono::seconds(10);
    // Messages a second that one client may publish to the channel; 0: as many as its own limits allow.
    std::uint32_t publish_rate = 0;
    // The service is told when a client's session begins and ends to hear the channel (types foz.opened, foz.closed).
    bool presence = false;
    // What the stream of a durable channel keeps; 0: not limited. It becomes a policy (`foz topology export`), never an
    // argument of the queue: operations may change it.
    std::uint64_t retention_bytes = 0;
    std::chrono::seconds retention_age{0};

    // One consumer at a time is also what order_kind::client needs.
    bool single_active() const noexcept {
        return consumers == consumer_kind::single_active || order == order_kind::client;
    }
    // IN_CHAT: the work queue of the channel's services.
    std::string in_queue() const;
    // OUT_CHAT: the stream of a durable channel, the prefix of the queues of a volatile one.
    std::string out_queue() const;
    // chat.#
    std::string binding_key() const { return name + ".#"; }
};

// voice (volatile, one active consumer, presence), chat and tickets (durable).
std::vector<channel_settings> default_channels();

// The channel whose stream takes a message that is published so, and no other queue; null when none does.
//
// Such messages are published with amqp::publish_options::has_queue: RabbitMQ takes connections before it has recovered
// its streams. And they are published on an AMQP channel of their own for each stream. RabbitMQ before 4.0.1
// (rabbitmq-server #12236) sends again, when a stream has a new leader, what is unconfirmed on a channel under the
// channel's publishing numbers, although the stream counts its own messages alone; where the two differ, what follows
// is taken for a repetition: it is confirmed and dropped.
const channel_settings* stream_of(std::span<const channel_settings> channels, std::string_view exchange,
                                  std::string_view routing_key);

// What is wrong with a channel's name, or empty: 1 to 32 of a-z, 0-9 and "-", beginning with a letter.
std::string check_channel_name(const std::string& name);

}  // namespace foz::contract
