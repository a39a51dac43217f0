// A virtual host: its exchanges and queues by name, and how a message finds its way from one to the other.
#pragma once

#include "base/strong.hpp"
#include "broker/core/dead_letter.hpp"
#include "broker/core/definitions.hpp"
#include "broker/core/exchange.hpp"
#include "broker/core/policy.hpp"
#include "broker/core/queue.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace foz::broker {

struct queue_request {
    std::string name;  // empty: the broker makes one
    queue_flags flags;
    amqp::table arguments;
};

struct exchange_request {
    std::string name;
    std::string type;
    bool durable = false;
    bool auto_delete = false;
    bool internal = false;
    amqp::table arguments;
};

struct binding_request {
    std::string source;  // an exchange
    std::string destination;
    bool to_exchange = false;
    std::string routing_key;
    amqp::table arguments;
};

struct delete_options {
    bool if_unused = false;
    bool if_empty = false;
};

struct publish_outcome {
    bool routed = false;    // it has reached a queue
    bool rejected = false;  // a queue was full
};

// What a virtual host needs of the broker that it is in.
class vhost_home {
public:
    virtual surroundings& around() = 0;
    virtual storage& disk() = 0;
    virtual queue_number new_queue_number() = 0;
    virtual std::string new_queue_name() = 0;  // amq.gen-…

protected:
    ~vhost_home() = default;
};

// Lives on the broker's shard. Refusals are worded as RabbitMQ's.
class vhost {
public:
    vhost(std::string name, vhost_home& home, policy_list policies);
    ~vhost();

    const std::string& name() const noexcept { return name_; }

    // `who`: who asks; exclusive queues are seen by their owner alone. Nobody (0) may use reserved names.
    result<queue*> declare(const queue_request& wish, owner_id who);
    result<queue*> find_queue(std::string_view name, owner_id who);
    // The messages that went with it.
    result<std::size_t> delete_queue(std::string_view name, delete_options options, owner_id who);
    result<void> declare(const exchange_request& wish);
    result<exchange*> find_exchange(std::string_view name);
    result<void> delete_exchange(std::string_view name, bool if_unused);
    result<void> bind(const binding_request& wish, owner_id who);
    result<void> unbind(const binding_request& wish, owner_id who);

    // To `from`, with the message's routing key and those of its CC and BCC headers (406 when these are no arrays).
    result<publish_outcome> publish(exchange& from, message_ref what);
    // Whether it would reach a queue that keeps it.
    bool keeps(exchange& from, const message& what);
    void dead_letter(queue& from, entry dead, death why);

    // The owner's connection has ended: its exclusive queues go.
    void leave(owner_id who);
    void remove(queue& gone);

    const auto& queues() const noexcept { return queues_; }
    const auto& exchanges() const noexcept { return exchanges_; }

    // At start: queues and exchanges before bindings.
    void restore(const queue_record& record);
    void restore(const exchange_record& record);
    void restore(const binding_record& record);

private:
    struct dead_one {
        std::shared_ptr<queue> from;
        entry what;
        death why;
    };

    queue* look_up(std::string_view name) const;
    exchange* look_up_exchange(std::string_view name) const;
    exchange& make_exchange(exchange_identity identity);
    result<queue*> check_same(queue& known, const queue_request& wish, const queue_settings& settings) const;
    // The policies' part of its settings is added here.
    std::shared_ptr<queue> make_queue(queue_identity identity);
    result<destination> find_destination(const binding_request& wish, owner_id who);
    binding_record record_of(const exchange& source, const binding& one) const;
    static bool durable(const exchange& source, const destination& to);
    // Exchanges that delete themselves, when their last binding has gone, and no longer have one are added to `going`.
    void unbind_destination(destination to, std::vector<std::string>& going);
    // False when it is there already.
    bool add_binding(exchange& source, binding made);
    void lost_binding(const exchange& source, destination to);
    static bool is_over(const exchange& source) noexcept;
    void remove(exchange& gone);
    void remove(std::vector<std::string> going);

    // Fill targets_.
    result<void> find_targets(exchange& from, const message& what, const carbon_copies& copies);
    void route(exchange& from, std::string_view routing_key, routed_message& what);
    void find_next(exchange& from, routed_message& what);
    void add_target(queue& to);
    publish_outcome put(const message_ref& what);
    void bury(const dead_one& dead);

    const std::string name_;
    vhost_home& home_;
    const policy_list policies_;
    std::unordered_map<std::string, std::shared_ptr<queue>, string_hash, std::equal_to<>> queues_;
    std::unordered_map<std::string, std::unique_ptr<exchange>, string_hash, std::equal_to<>> exchanges_;
    exchange* default_exchange_ = nullptr;
    // From which exchanges there are bindings to it.
    std::unordered_map<destination, std::vector<exchange*>, destination::hash> sources_;

    // Scratch of the routing.
    std::uint64_t routings_ = 0;
    std::vector<queue*> targets_;
    std::vector<destination> found_;
    std::uint64_t passes_ = 0;  // of a message with one key
    // Deaths while one is being dealt with.
    std::deque<dead_one> dead_;
    bool burying_ = false;
};

}  // namespace foz::broker
