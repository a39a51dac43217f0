// Makes sure that the topology is there: once for a process, whatever number of channels depend on it.
#pragma once

#include "amqp/conn/channel.hpp"
#include "base/clock.hpp"
#include "contract/topology.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace foz::contract {

struct topology_counters {
    std::uint64_t rounds = 0;     // times that the topology was declared, as a whole
    std::uint64_t declared = 0;   // exchanges, queues and bindings, methods sent
    std::uint64_t looked_at = 0;  // exchanges and queues, passively, because the user may not declare them
    std::uint64_t unbound = 0;    // bindings that were left to whoever may make them
};

// Shared by all channels of a process, on any shard: each calls ensure() in its set_up(). The first one has the
// topology declared, through a channel of its own beside it; the others wait for that and send nothing. It is declared
// again only when a channel that asks was lost because something was not found (404).
//
// Declaring compares arguments, so that a conflict is told (406) by name. A user who may not declare (403
// ACCESS_REFUSED) is enough where everything is there already: from the first refusal on things are looked at
// passively, only what is missing is declared, and bindings are left to whoever made what they bind.
//
// A queue whose name somebody's exclusive queue has (405 RESOURCE_LOCKED) is left out, with its bindings.
//
// Brokers are told apart by the cluster name that they give, if they give one. Destroyed after the loops of all shards
// that used it have ended.
class topology_keeper {
public:
    explicit topology_keeper(topology what);
    ~topology_keeper();
    topology_keeper(const topology_keeper&) = delete;
    topology_keeper& operator=(const topology_keeper&) = delete;

    // To be awaited in set_up() on the channel's shard. An error also when `on` was lost meanwhile.
    boost::asio::awaitable<amqp::result<void>> ensure(amqp::channel& on);

    // From any thread.
    topology_counters counters() const;

private:
    class declarer;
    using waiter = std::move_only_function<void(amqp::result<void>)>;
    struct broker {
        bool there = false;
        steady_time declared_at{};
        std::shared_ptr<declarer> at_work;
        std::vector<waiter> waiting;
    };

    void join(const std::string& name, amqp::client& through, waiter done);
    void finish(const std::string& name, amqp::result<void> with, steady_time now);

    const topology what_;
    mutable std::mutex mutex_;  // guards what follows
    std::map<std::string, broker> brokers_;
    topology_counters counters_;
};

}  // namespace foz::contract
