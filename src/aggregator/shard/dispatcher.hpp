// From the readers to the sessions of every shard, in order, with credit back to the readers.
#pragma once

#include "aggregator/channel/entry.hpp"
#include "aggregator/feed/feed_sink.hpp"
#include "aggregator/shard/gateway.hpp"
#include "net/runtime.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace foz::aggregator {

struct dispatcher_counters {
    std::uint64_t dropped = 0;  // entries of volatile channels that a shard which was behind was not given
};

// Each entry crosses to each shard once, whatever the number of receivers there; one that is for one client reaches
// nobody but on the shard where this client lives, so that the others only note its place in the stream. What a shard
// has dispatched it says once in a turn; what all have dispatched is settled, so that the reader of a durable channel
// stops when the slowest shard is behind and goes on from the stream. Readers of volatile channels can't stop: a shard
// that is behind loses entries, never answers, and its sessions are told of the gap before what comes next.
//
// Lives on shard 0; its shards' part is touched on these alone.
class dispatcher {
public:
    using settled = std::function<void(delivery_ticket)>;

    // The gateways, by shard, outlive this. `all_have` is called on shard 0.
    dispatcher(net::runtime& cores, std::vector<gateway*> shards, const settings& all, settled all_have);
    dispatcher(const dispatcher&) = delete;
    dispatcher& operator=(const dispatcher&) = delete;

    void dispatch(const entry_ref& what, bool history, delivery_ticket ticket);
    // In order with the entries.
    void tell(std::function<void(hub&)> what);
    void give_page(const reading_id& to, page what);
    // As soon as possible.
    void tell_now(std::function<void(hub&)> what);

    const dispatcher_counters& counters() const noexcept { return counters_; }

private:
    struct shard_state {
        gateway* to = nullptr;
        std::vector<std::atomic<std::uint64_t>> dispatched;  // by channel: the last ticket; written there, read here
        std::atomic<bool> told = false;                      // that there is something to settle
        std::vector<bool> lossy;                             // by channel: entries were dropped since the last one
    };

    // The only shard where the entry can reach anybody; nothing when there are several.
    std::optional<unsigned> only_shard(const entry& what) const;
    void give(shard_state& to, const entry_ref& what, bool reaches, delivery_ticket ticket);
    bool drops(shard_state& from, const entry& what);
    void settle();

    net::runtime& cores_;
    const settled all_have_;
    std::vector<std::unique_ptr<shard_state>> shards_;
    std::vector<std::uint64_t> settled_;  // by channel
    dispatcher_counters counters_;
};

}  // namespace foz::aggregator
