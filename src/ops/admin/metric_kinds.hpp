// The kinds of metrics of an aggregator: of the process, of each shard, of what is published to or read of each
// channel, of each connection to the broker.
#pragma once

#include "aggregator/shard/snapshot.hpp"
#include "ops/admin/exposition.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace foz::ops {

using aggregator::aggregator_counters;
using aggregator::feed_snapshot;
using aggregator::hub_counters;
using aggregator::link_snapshot;
using aggregator::publisher_snapshot;
using aggregator::shard_snapshot;
using aggregator::snapshot;

struct metric {
    const char* name;
    const char* type;
    const char* help;
    std::function<void(const snapshot&, exposition&)> write;
};

// Of the process.
inline metric whole(const char* name, const char* help, std::uint64_t aggregator_counters::* counter) {
    return {name, "counter", help, [=](const snapshot& now, exposition& to) { to.sample({}, now.counters.*counter); }};
}

// Of each shard; `get` takes the number from its snapshot.
template <class Get>
metric shard(const char* name, const char* type, const char* help, Get get) {
    return {name, type, help, [=](const snapshot& now, exposition& to) {
                for (std::size_t i = 0; i < now.shards.size(); ++i)
                    to.sample({{"shard", std::to_string(i)}}, get(now.shards[i]));
            }};
}
inline metric shard(const char* name, const char* help, std::uint64_t hub_counters::* counter) {
    return shard(name, "counter", help, [=](const shard_snapshot& of) { return of.counters.*counter; });
}

// Of what is published to each channel by each shard.
template <class Get>
metric publisher(const char* name, const char* type, const char* help, Get get) {
    return {name, type, help, [=](const snapshot& now, exposition& to) {
                for (std::size_t i = 0; i < now.shards.size(); ++i)
                    for (std::size_t c = 0; c < now.channels.size(); ++c)
                        to.sample({{"shard", std::to_string(i)}, {"channel", now.channels[c]}},
                                  get(now.shards[i].publishers[c]));
            }};
}
inline metric publisher(const char* name, const char* help, std::uint64_t amqp::publisher_counters::* counter) {
    return publisher(name, "counter", help, [=](const publisher_snapshot& of) { return of.counters.*counter; });
}

// Of what is read of each channel.
template <class Get>
metric feed(const char* name, const char* type, const char* help, Get get) {
    return {name, type, help, [=](const snapshot& now, exposition& to) {
                for (std::size_t c = 0; c < now.channels.size(); ++c)
                    to.sample({{"channel", now.channels[c]}}, get(now.feeds[c]));
            }};
}
inline metric feed(const char* name, const char* help, std::uint64_t aggregator::reader_counters::* counter) {
    return feed(name, "counter", help, [=](const feed_snapshot& of) { return of.live.*counter; });
}
inline metric feed(const char* name, const char* help, std::uint64_t aggregator::catch_up_counters::* counter) {
    return feed(name, "counter", help, [=](const feed_snapshot& of) { return of.older.*counter; });
}

// Of each connection to the broker.
template <class Get>
metric link(const char* name, const char* type, const char* help, Get get) {
    return {name, type, help, [=](const snapshot& now, exposition& to) {
                to.sample({{"link", "consume"}}, get(now.consume));
                to.sample({{"link", "streams"}}, get(now.streams));
                to.sample({{"link", "own"}}, get(now.own));
                for (std::size_t i = 0; i < now.shards.size(); ++i)
                    to.sample({{"link", "publish " + std::to_string(i)}}, get(now.shards[i].publish));
            }};
}
inline metric link(const char* name, const char* help, std::uint64_t amqp::client_counters::* counter) {
    return link(name, "counter", help, [=](const link_snapshot& of) { return of.counters.*counter; });
}

}  // namespace foz::ops
