#include "aggregator/shard/snapshot.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {

peers_snapshot::peers_snapshot(const peers& from)
    : counters(from.counters()),
      alive(from.others().peers()),
      given_up(from.others().given_up()),
      sessions_not_known(from.others().sessions_not_known()) {}

shard_snapshot::shard_snapshot(gateway& way, const ws::server& server)
    : counters(way.sessions().counters()),
      accepted(server.counters()),
      connections(server.connections()),
      half_open(server.half_open()),
      sessions(way.sessions().sessions()),
      requests(way.sessions().requests_waiting()),
      loop(way.home().probe()),
      mailbox_octets(way.home().mailbox_octets()),
      queued_octets(way.home().queued_bytes()),
      questions_forgotten(way.sessions().questions_forgotten()),
      publish(way.connection()) {
    for (std::size_t i = 0; i < way.config().channels.size(); ++i)
        publishers.push_back({way.published_on(i).counters, way.published_on(i).pending});
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
                               sick_now(),
                               counters_,
                               link_snapshot(consume_),
                               link_snapshot(streams_),
                               link_snapshot(own_publish_),
                               dispatcher_->counters(),
                               notices_->counters(),
                               peers_snapshot(*peers_),
                               control_->counters(),
                               door_ ? std::optional(door_->counters()) : std::nullopt,
                               settings_.topology->counters(),
                               {},
                               {},
                               {}};
                for (std::size_t i = 0; i < settings_.channels.size(); ++i) {
                    whole.channels.push_back(settings_.channels[i].name);
                    auto& feed = whole.feeds.emplace_back(feed_snapshot{.live = readers_[i]->counters(), .older = {}});
                    if (!older_[i]) continue;
                    feed.older = older_[i]->counters();
                    feed.readings = older_[i]->readings();
                }
                for (auto& shard : all->shards) whole.shards.push_back(std::move(*shard));
                all->done(std::move(whole));
            });
    });
}

std::vector<sick_snapshot> aggregator::sick_now() const {
    std::vector<sick_snapshot> all;
    for (const sick_part& one : sick_.all())
        all.push_back(
            {.title = title_of(one),
             .link = one.link,
             .reason = one.reason,
             .since = std::chrono::duration_cast<std::chrono::seconds>(cores_.at(0).time().now() - one.since)});
    return all;
}

// One channel that is sick takes no aggregator out of rotation: the others work.
std::string aggregator::why_not_ready() const {
    const steady_time now = cores_.at(0).time().now();
    if (const auto* away = lost_links_.away_for(settings_.unready_after, now); started_ && away) {
        const auto span = std::chrono::duration_cast<std::chrono::seconds>(now - away->since);
        return "no connection to the broker (" + away->name + ") for " + std::to_string(span.count()) +
               " s: " + away->reason;
    }
    if (started_) return hears_nothing() ? "no channel can be heard: " + sick_.all().front().reason : "";
    if (!last_problem_.empty()) return "broker: " + last_problem_;
    if (!consume_.connected()) return "the broker has not answered yet";
    if (revoked_ && !revocations_known_)
        return "who was revoked is not known yet (stream " + std::string(contract::revoked_stream) + ")";
    if (door_ && !door_->ready()) return "the connect service can't be asked yet";
    const auto missing = std::find(attached_.begin(), attached_.end(), false) - attached_.begin();
    const std::string why = sick_.all().empty() ? "" : ": " + sick_.all().front().reason;
    return "channel " + settings_.channels[static_cast<std::size_t>(missing)].name + " can't be heard yet" + why;
}

}  // namespace foz::aggregator
