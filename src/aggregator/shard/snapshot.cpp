#include "aggregator/shard/snapshot.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {

shard_snapshot::shard_snapshot(gateway& way, const ws::server& server)
    : counters(way.sessions().counters()),
      accepted(server.counters()),
      connections(server.connections()),
      sessions(way.sessions().sessions()),
      requests(way.sessions().requests_waiting()),
      loop(way.home().probe()),
      mailbox_octets(way.home().mailbox_octets()),
      queued_octets(way.home().queued_bytes()),
      publish(way.connection()) {
    for (std::size_t i = 0; i < way.config().channels.size(); ++i)
        publishers.push_back({way.publisher(i).counters(), way.publisher(i).pending()});
}

void aggregator::collect(std::function<void(snapshot)> done) {
    struct gathering {
        std::function<void(snapshot)> done;
        std::vector<std::optional<shard_snapshot>> shards;
        std::size_t missing;
    };
    const auto all = std::make_shared<gathering>(
        std::move(done), std::vector<std::optional<shard_snapshot>>(cores_.size()), cores_.size());
    for_each_core([this, all](gateway& way, const ws::server& server) {
        // Made on its shard, read on shard 0.
        cores_.at(0).post_control(
            [this, all, index = way.home().index(), made = shard_snapshot(way, server)]() mutable {
                all->shards[index] = std::move(made);
                if (--all->missing > 0) return;
                snapshot whole{why_not_ready(),
                               counters_,
                               link_snapshot(consume_),
                               link_snapshot(streams_),
                               link_snapshot(own_publish_),
                               {},
                               {}};
                for (const auto& channel : settings_.channels) whole.channels.push_back(channel.name);
                for (auto& shard : all->shards) whole.shards.push_back(std::move(*shard));
                all->done(std::move(whole));
            });
    });
}

std::string aggregator::why_not_ready() const {
    if (front_state_.ready) return {};
    if (!last_problem_.empty()) return "broker: " + last_problem_;
    if (!consume_.connected()) return "the broker has not answered yet";
    const auto missing = std::find(attached_.begin(), attached_.end(), false) - attached_.begin();
    return "channel " + settings_.channels[static_cast<std::size_t>(missing)].name + " can't be heard yet";
}

}  // namespace foz::aggregator
