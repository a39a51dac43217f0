#include "ops/metrics/metrics.hpp"

#include "ops/metrics/exposition.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <sys/resource.h>
#include <unistd.h>

namespace foz::ops {
namespace {

using aggregator::aggregator_counters;
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
metric whole(const char* name, const char* help, std::uint64_t aggregator_counters::* counter) {
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
metric shard(const char* name, const char* help, std::uint64_t hub_counters::* counter) {
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
metric publisher(const char* name, const char* help, std::uint64_t amqp::publisher_counters::* counter) {
    return publisher(name, "counter", help, [=](const publisher_snapshot& of) { return of.counters.*counter; });
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
metric link(const char* name, const char* help, std::uint64_t amqp::client_counters::* counter) {
    return link(name, "counter", help, [=](const link_snapshot& of) { return of.counters.*counter; });
}

metric dropped() {
    return {"foz_outbound_dropped_total", "counter", "Messages of services that reached nobody, by reason",
            [](const snapshot& now, exposition& to) {
                using aggregator::drop_reason;
                const auto of = [&](drop_reason why) { return now.counters.dropped[static_cast<std::size_t>(why)]; };
                to.sample({{"reason", "not_json"}}, of(drop_reason::not_json));
                to.sample({{"reason", "expired"}}, of(drop_reason::expired));
                to.sample({{"reason", "no_receiver"}}, of(drop_reason::no_receiver));
                to.sample({{"reason", "bad_header"}}, of(drop_reason::bad_header));
            }};
}

metric ready() {
    return {"foz_ready", "gauge", "1 when every channel can be heard and clients are let in",
            [](const snapshot& now, exposition& to) { to.sample({}, now.not_ready.empty() ? 1 : 0); }};
}

// What Prometheus' own libraries tell of every process.
metric process(const char* name, const char* type, const char* help, std::function<double()> get) {
    return {name, type, help, [=](const snapshot&, exposition& to) { to.sample({}, get()); }};
}

double processor_seconds() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

double resident_bytes() {
    std::ifstream in("/proc/self/statm");
    double total = 0, resident = 0;
    in >> total >> resident;
    return resident * double(::sysconf(_SC_PAGESIZE));
}

double open_descriptors() {
    std::error_code ignored;
    const std::filesystem::directory_iterator all("/proc/self/fd", ignored);
    return double(std::distance(begin(all), end(all)));
}

double start_seconds() {
    static const auto start = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration<double>(start).count();
}

const std::vector<metric>& metrics() {
    static const std::vector<metric> all{
        ready(),
        shard("foz_connections", "gauge", "Sockets, those included that only speak HTTP",
              [](const shard_snapshot& of) { return of.connections; }),
        shard("foz_sessions", "gauge", "Clients' WebSockets", [](const shard_snapshot& of) { return of.sessions; }),
        shard("foz_connections_accepted_total", "counter", "Sockets that were accepted",
              [](const shard_snapshot& of) { return of.accepted.accepted; }),
        shard("foz_connections_refused_total", "counter", "Sockets that were closed at once: too many",
              [](const shard_snapshot& of) { return of.accepted.refused; }),
        shard("foz_frames_total", "Data frames from clients", &hub_counters::frames_in),
        shard("foz_frames_refused_total", "Of these, answered with an error", &hub_counters::frames_refused),
        shard("foz_published_total", "Messages of clients handed to a publisher", &hub_counters::published),
        shard("foz_deliveries_total", "Messages to sockets", &hub_counters::deliveries),
        shard("foz_deliveries_dropped_total", "Of volatile channels, not sent to slow sockets",
              &hub_counters::deliveries_dropped),
        shard("foz_answers_total", "Answers of services to sockets", &hub_counters::answers),
        shard("foz_requests_waiting", "gauge", "Requests that wait for an answer",
              [](const shard_snapshot& of) { return of.requests; }),
        shard("foz_resends_total", "Messages of clients whose id was known already", &hub_counters::resends),
        shard("foz_resumes_total", "Channels on which a client came back", &hub_counters::resumes),
        shard("foz_gaps_told_total", "Gaps that sockets were told of", &hub_counters::gaps),
        shard("foz_slow_closed_total", "Sockets closed because they took too little", &hub_counters::slow_closed),
        shard("foz_silent_closed_total", "Sockets closed because they gave no sign of life",
              &hub_counters::silent_closed),
        whole("foz_outbound_total", "Messages of services that were read for clients", &aggregator_counters::outbound),
        dropped(),
        whole("foz_stream_gaps_total", "Times that entries of a stream were gone before they were read",
              &aggregator_counters::gaps),
        publisher("foz_publisher_messages_total", "Messages handed in", &amqp::publisher_counters::published),
        publisher("foz_publisher_confirmed_total", "Messages confirmed", &amqp::publisher_counters::confirmed),
        publisher("foz_publisher_returned_total", "Messages that no queue took", &amqp::publisher_counters::returned),
        publisher("foz_publisher_refused_total", "Messages that the broker refused",
                  &amqp::publisher_counters::refused),
        publisher("foz_publisher_repeated_total", "Messages sent again after a recovery",
                  &amqp::publisher_counters::repeated),
        publisher("foz_publisher_given_up_total", "Messages not confirmed in time",
                  &amqp::publisher_counters::given_up),
        publisher("foz_publisher_reopened_total", "AMQP channels reopened because of a refusal or a late confirm",
                  &amqp::publisher_counters::reopened),
        publisher("foz_publisher_pending", "gauge", "Messages that wait for their confirm",
                  [](const publisher_snapshot& of) { return of.pending; }),
        link("foz_broker_connected", "gauge", "1 when the connection to the broker is open",
             [](const link_snapshot& of) { return of.connected ? 1 : 0; }),
        link("foz_broker_blocked", "gauge", "1 when the broker takes no messages (memory or disk alarm)",
             [](const link_snapshot& of) { return of.blocked ? 1 : 0; }),
        link("foz_broker_connects_total", "Connections that were opened", &amqp::client_counters::connects),
        link("foz_broker_connect_failures_total", "Attempts that failed", &amqp::client_counters::connect_failures),
        link("foz_broker_disconnects_total", "Connections that were lost", &amqp::client_counters::disconnects),
        link("foz_broker_blocked_total", "Times that the broker took no messages", &amqp::client_counters::blocked),
        process("process_cpu_seconds_total", "counter", "Processor time, user and system", processor_seconds),
        process("process_resident_memory_bytes", "gauge", "Resident memory", resident_bytes),
        process("process_open_fds", "gauge", "Open descriptors", open_descriptors),
        process("process_start_time_seconds", "gauge", "When the process was first asked, in seconds since 1970",
                start_seconds),
    };
    return all;
}

}  // namespace

std::string expose(const snapshot& now, const std::string& version) {
    exposition to;
    to.family("foz_build_info", "gauge", "The program's version");
    to.sample({{"version", version}}, 1);
    for (const metric& one : metrics()) {
        to.family(one.name, one.type, one.help);
        one.write(now, to);
    }
    return to.text();
}

}  // namespace foz::ops
