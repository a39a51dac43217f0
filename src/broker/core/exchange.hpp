// Exchanges: where a message goes from here (AMQP 0-9-1 §3.1.3).
#pragma once

#include "amqp/codec/field_table.hpp"
#include "base/strong.hpp"
#include "broker/core/message.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

namespace foz::broker {

class queue;
class exchange;

// Queue or exchange, which outlives its bindings.
struct destination {
    queue* to_queue = nullptr;
    exchange* to_exchange = nullptr;

    bool operator==(const destination&) const = default;
    struct hash {
        std::size_t operator()(const destination& of) const noexcept {
            return of.to_queue ? std::hash<const void*>()(of.to_queue) : std::hash<const void*>()(of.to_exchange);
        }
    };
};

struct binding {
    destination to;
    std::string routing_key;
    amqp::table arguments;

    bool operator==(const binding&) const = default;
};

// Bindings in the order in which they were made. Those of one destination are found without a look at the others: a
// connection may end with thousands of queues that are bound beside thousands of others.
class binding_list {
public:
    // False when it is there already.
    bool add(binding made);
    // False when it is not there.
    bool remove(const binding& gone);
    // All of one destination.
    std::list<binding> take(destination to);
    bool has(destination to) const noexcept { return of_.contains(to); }
    const std::list<binding>& all() const noexcept { return all_; }

private:
    std::list<binding> all_;
    std::unordered_map<destination, std::vector<std::list<binding>::iterator>, destination::hash> of_;
};

// What a message brings with it for the routing. The headers are decoded by whoever first needs them.
struct routed_message {
    std::string_view routing_key;
    std::string_view properties;           // encoded
    const amqp::table* headers = nullptr;  // once decoded
    amqp::table decoded;
    const amqp::table& all_headers();
};

enum class exchange_kind : std::uint8_t { direct, fanout, topic, headers };

// RabbitMQ's name of it, and back.
std::string_view to_string(exchange_kind kind) noexcept;
std::optional<exchange_kind> exchange_kind_of(std::string_view name) noexcept;

// How a kind of exchange finds destinations. It is told of each binding once.
class router {
public:
    virtual ~router() = default;
    virtual void add(const binding& made) = 0;
    virtual void remove(const binding& gone) = 0;
    // Appends; a destination may come more than once.
    virtual void route(routed_message& what, std::vector<destination>& out) const = 0;
};

std::unique_ptr<router> make_router(exchange_kind kind);

struct exchange_identity {
    std::string name;
    exchange_kind kind = exchange_kind::direct;
    bool durable = false;
    bool auto_delete = false;
    bool internal = false;
    amqp::table arguments;
};

// Lives on the broker's shard, owned by its virtual host.
class exchange {
public:
    // `alternate`: a policy's, which counts unless the arguments name one.
    explicit exchange(exchange_identity identity, std::string alternate = {});

    const exchange_identity& identity() const noexcept { return identity_; }
    const std::string& name() const noexcept { return identity_.name; }
    // Where what finds no destination goes; empty: nowhere.
    const std::string& alternate() const noexcept { return alternate_; }
    const std::list<binding>& bindings() const noexcept { return bindings_.all(); }

    bool binds(destination to) const noexcept { return bindings_.has(to); }
    // False when it is there already.
    bool bind(binding made);
    // False when it is not there.
    bool unbind(const binding& gone);
    // All bindings to it, which are no more.
    std::list<binding> unbind_all(destination to);
    void route(routed_message& what, std::vector<destination>& out) const { router_->route(what, out); }

    // Scratch of the routing: which message has come through here last.
    std::uint64_t routed = 0;

private:
    exchange_identity identity_;
    std::string alternate_;
    std::unique_ptr<router> router_;
    binding_list bindings_;
};

}  // namespace foz::broker
