#include "cli/drill/catalogue.hpp"

namespace foz::cli::drill {
namespace {

constexpr drill drills[] = {
    {"service-dies", "a worker is killed with work in hand; clients notice nothing", "", service_dies,
     "as undisturbed"},
    {"service-restarts-idle", "an idle service goes down and comes back; the next question is answered", "",
     service_restarts_idle, "outage, then as undisturbed"},
    {"service-restarts-busy", "the only worker goes down with work in hand and comes back; each call has its answer",
     "", service_restarts_busy, "outage, then as undisturbed"},
    {"service-poisoned", "a message kills every worker that takes it; its sender is told, its neighbours are handled",
     "", service_poisoned, "< 1 s"},
    {"service-dependency-down", "what the service needs is away; nothing becomes a dead letter", "",
     service_dependency_down},
    {"broker-node-dies", "a node of the cluster, or the embedded broker, is killed and comes back; nothing is lost", "",
     broker_node_dies, "outage + 0.3 s", "< 1 s"},
    {"broker-node-silent", "a broker node hangs or its packets vanish; the others take over", "", broker_node_silent,
     "", "< 6 s"},
    {"broker-partition", "a node is cut off from the cluster and returns; nothing is lost", "--broker cluster and root",
     broker_partition, "", "< 8 s"},
    {"cluster-restarts", "the whole broker is killed, stays away and comes back; what was confirmed is there", "",
     cluster_restarts, "outage + 0.3 s", "outage + 2 s"},
    {"aggregator-dies", "one of two aggregators is killed; its clients resume on the other", "", aggregator_dies,
     "< 0.7 s"},
    {"aggregator-stopped", "an aggregator stands still and goes on; nothing is lost", "", aggregator_stopped},
    {"rolling-restart", "aggregators and workers are restarted in turn, as a deployment does", "", rolling_restart,
     "< 0.3 s"},
    {"client-drops", "clients' sockets are cut; durable channels are resumed, also beyond what is kept in memory", "",
     client_drops},
    {"client-half-open", "clients leave dead sockets behind; their answers come to the new ones", "", client_half_open},
    {"slow-client", "a client does not read; the others are not slowed, and it resumes without a gap", "", slow_client},
    {"reconnect-storm", "everybody comes back at once", "", reconnect_storm},
    {"disk-full", "the embedded broker's disk is full for a while; nothing that was confirmed is lost",
     "root, for a small file system of its own", disk_full},
};

}  // namespace

std::span<const drill> catalogue() {
    return drills;
}

}  // namespace foz::cli::drill
