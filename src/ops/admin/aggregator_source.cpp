#include "ops/admin/aggregator_source.hpp"

#include "ops/admin/metric_kinds.hpp"

#include <chrono>
#include <functional>
#include <utility>
#include <vector>

namespace foz::ops {
namespace {

metric dropped() {
    return {"foz_outbound_dropped_total", "counter", "Messages of services that reached nobody, by reason",
            [](const snapshot& now, exposition& to) {
                using aggregator::drop_reason;
                const auto of = [&](drop_reason why) { return now.counters.dropped[static_cast<std::size_t>(why)]; };
                to.sample({{"reason", "not_json"}}, of(drop_reason::not_json));
                std::uint64_t expired = 0;  // in replays: what is live is delivered, whatever the clocks say
                for (const shard_snapshot& one : now.shards) expired += one.counters.expired;
                to.sample({{"reason", "expired"}}, expired);
                to.sample({{"reason", "no_receiver"}}, of(drop_reason::no_receiver));
                to.sample({{"reason", "bad_header"}}, of(drop_reason::bad_header));
                to.sample({{"reason", "not_utf8"}}, of(drop_reason::not_utf8));
                to.sample({{"reason", "too_large"}}, of(drop_reason::too_large));
            }};
}

// What was skipped because it was too large, by who would have read it.
metric too_large() {
    return {"foz_too_large_total", "counter", "Messages that were skipped because they are too large, by their reader",
            [](const snapshot& now, exposition& to) {
                for (std::size_t c = 0; c < now.channels.size(); ++c) {
                    to.sample({{"reader", "live"}, {"channel", now.channels[c]}}, now.feeds[c].live.too_large);
                    to.sample({{"reader", "catch_up"}, {"channel", now.channels[c]}}, now.feeds[c].older.too_large);
                }
                to.sample({{"reader", "dead_notices"}, {"channel", ""}}, now.notices.too_large);
            }};
}

metric gaps_told() {
    return {"foz_gaps_told_total", "counter", "Gaps that sockets were told of, by cause",
            [](const snapshot& now, exposition& to) {
                for (std::size_t i = 0; i < now.shards.size(); ++i)
                    for (std::size_t cause = 0; cause < envelope::gap_causes; ++cause)
                        to.sample({{"shard", std::to_string(i)},
                                   {"cause", std::string(to_string(static_cast<envelope::gap_cause>(cause)))}},
                                  now.shards[i].counters.gaps[cause]);
            }};
}

metric refused() {
    return {"foz_sockets_refused_total", "counter", "WebSockets that were refused, for good or for now",
            [](const snapshot& now, exposition& to) {
                for (std::size_t i = 0; i < now.shards.size(); ++i) {
                    const hub_counters& of = now.shards[i].counters;
                    to.sample({{"shard", std::to_string(i)}, {"for", "good"}}, of.refused_for_good);
                    to.sample({{"shard", std::to_string(i)}, {"for", "now"}}, of.refused_for_now);
                }
            }};
}

metric by_address() {
    return {"foz_connections_refused_by_address_total", "counter",
            "Connections that were refused because there are too many from their address, or they come too fast",
            [](const snapshot& now, exposition& to) {
                for (std::size_t i = 0; i < now.shards.size(); ++i) {
                    const ws::server_counters& of = now.shards[i].accepted;
                    to.sample({{"shard", std::to_string(i)}, {"for", "number"}}, of.address_connections);
                    to.sample({{"shard", std::to_string(i)}, {"for", "rate"}}, of.address_arrivals);
                }
            }};
}

metric dead_letters() {
    return {"foz_dead_letters_total", "counter", "Dead letters that this aggregator took, by whether a caller was told",
            [](const snapshot& now, exposition& to) {
                to.sample({{"told", "caller"}}, now.notices.told);
                to.sample({{"told", "nobody"}}, now.notices.nobody);
            }};
}

metric topology() {
    return {"foz_topology_methods_total", "counter",
            "Exchanges, queues and bindings that were declared, looked at passively, or left to who may declare them",
            [](const snapshot& now, exposition& to) {
                to.sample({{"how", "declared"}}, now.topology.declared);
                to.sample({{"how", "looked_at"}}, now.topology.looked_at);
                to.sample({{"how", "left"}}, now.topology.unbound);
            }};
}

// Of the process, not of a shard or a channel.
metric single(const char* name, const char* type, const char* help, std::uint64_t (*get)(const snapshot&)) {
    return {name, type, help, [=](const snapshot& now, exposition& to) { to.sample({}, get(now)); }};
}

// Of a service that is asked about clients; without one there is nothing to tell.
metric connect(const char* name, const char* type, const char* help,
               std::vector<std::pair<const char*, std::uint64_t aggregator::connect_counters::*>> by,
               const char* label) {
    return {name, type, help, [=](const snapshot& now, exposition& to) {
                if (!now.connect) return;
                for (const auto& [value, counter] : by) to.sample({{label, value}}, *now.connect.*counter);
            }};
}

std::vector<metric> metrics_of_connect_service() {
    using c = aggregator::connect_counters;
    const auto one = [](const char* name, const char* type, const char* help, auto get) {
        return metric{name, type, help, [get](const snapshot& now, exposition& to) {
                          if (now.connect) to.sample({}, get(*now.connect));
                      }};
    };
    return {
        one("foz_connect_asked_total", "counter", "Questions to the connect service",
            [](const c& of) { return of.asked; }),
        one("foz_connect_open", "gauge", "Of these, those without an answer now", [](const c& of) { return of.open; }),
        connect("foz_connect_decisions_total", "counter", "What it has decided",
                {{"allowed", &c::allowed}, {"denied", &c::denied}}, "decision"),
        connect("foz_connect_failures_total", "counter",
                "Clients that were refused for now since nobody could say whether they may come in, by reason",
                {{"no_service", &c::no_service},
                 {"no_answer", &c::no_answer},
                 {"bad_answer", &c::bad_answer},
                 {"failed", &c::failed},
                 {"unavailable", &c::unavailable},
                 {"too_many", &c::too_many}},
                "reason"),
        one("foz_connect_late_answers_total", "counter", "Its answers that nobody waited for any more",
            [](const c& of) { return of.late; }),
    };
}

// Of each shard, by the bucket that the length of its turns fell into.
metric turns() {
    return {"foz_loop_turns_total", "counter", "Turns of the loop, by how long they took at most",
            [](const snapshot& now, exposition& to) {
                for (std::size_t i = 0; i < now.shards.size(); ++i)
                    for (std::size_t b = 0; b < now.shards[i].loop.turns_by_length.size(); ++b) {
                        const auto& bounds = net::shard_probe::bounds;
                        const std::string to_us = b < bounds.size() ? std::to_string(bounds[b].count()) : "longer";
                        to.sample({{"shard", std::to_string(i)}, {"to_us", to_us}},
                                  double(now.shards[i].loop.turns_by_length[b]));
                    }
            }};
}

metric ready() {
    return {"foz_ready", "gauge", "1 when every channel can be heard and clients are let in",
            [](const snapshot& now, exposition& to) { to.sample({}, now.not_ready.empty() ? 1 : 0); }};
}

std::vector<metric> metrics_of_sockets_and_loops() {
    return {
        ready(),
        shard("foz_connections", "gauge", "Sockets, those included that only speak HTTP",
              [](const shard_snapshot& of) { return of.connections; }),
        shard("foz_sessions", "gauge", "Clients' WebSockets", [](const shard_snapshot& of) { return of.sessions; }),
        shard("foz_connections_accepted_total", "counter", "Sockets that were accepted",
              [](const shard_snapshot& of) { return of.accepted.accepted; }),
        shard("foz_connections_refused_total", "counter", "Sockets that were not taken: too many",
              [](const shard_snapshot& of) { return of.accepted.refused; }),
        shard("foz_connections_refused_silently_total", "counter", "Of these, closed without a word",
              [](const shard_snapshot& of) { return of.accepted.refused_silently; }),
        shard("foz_tls_handshakes_refused_total", "counter", "Of these, because too many TLS handshakes were under way",
              [](const shard_snapshot& of) { return of.accepted.handshakes_refused; }),
        shard("foz_http_answers_refused_total", "counter", "HTTP requests told 503 because too much waited to be read",
              [](const shard_snapshot& of) { return of.accepted.answers_refused; }),
        shard("foz_tls_handshakes_failed_total", "counter", "TLS handshakes that failed or took too long",
              [](const shard_snapshot& of) { return of.accepted.handshakes_failed; }),
        shard("foz_tls_handshakes_given_up_total", "counter",
              "Of these, because newer ones came while too many were under way",
              [](const shard_snapshot& of) { return of.accepted.handshakes_given_up; }),
        by_address(),
        shard("foz_half_open", "gauge", "Connections that have not made a whole request yet",
              [](const shard_snapshot& of) { return of.half_open; }),
        shard("foz_half_open_closed_total", "counter", "Of these, closed for newer ones",
              [](const shard_snapshot& of) { return of.accepted.half_open_closed; }),
        shard("foz_proxy_headers_failed_total", "counter",
              "Connections of listen.proxy_protocol without a good PROXY header",
              [](const shard_snapshot& of) { return of.accepted.proxy_heads_failed; }),
        shard("foz_proxy_headers_stray_total", "counter", "Connections with a PROXY header that was not expected",
              [](const shard_snapshot& of) { return of.accepted.proxy_heads_stray; }),
        shard("foz_connections_put_off_total", "counter",
              "Times that a socket had sent more than one turn takes, and was read no further for a while",
              [](const shard_snapshot& of) { return of.accepted.put_off; }),
        shard("foz_connections_too_slow_total", "counter",
              "Sockets closed because a request or a frame came more slowly than the minimum rate",
              [](const shard_snapshot& of) { return of.accepted.dribbled; }),
        turns(),
        shard("foz_loop_turn_longest_seconds", "gauge", "The longest turn of the loop since the start",
              [](const shard_snapshot& of) { return std::chrono::duration<double>(of.loop.turn_longest).count(); }),
        shard("foz_loop_stalls_total", "counter", "Times that the loop did not run for more than a second",
              [](const shard_snapshot& of) { return of.loop.stalls; }),
        shard("foz_mailbox_octets", "gauge", "Octets that wait for the shard",
              [](const shard_snapshot& of) { return of.mailbox_octets; }),
        shard("foz_queued_octets", "gauge", "Octets that wait for sockets",
              [](const shard_snapshot& of) { return of.queued_octets; }),
    };
}

std::vector<metric> metrics_of_clients() {
    return {
        shard("foz_frames_total", "Data frames from clients", &hub_counters::frames_in),
        shard("foz_frames_refused_total", "Of these, answered with an error", &hub_counters::frames_refused),
        shard("foz_overloaded_total", "Of these, because a limit was reached (error overloaded)",
              &hub_counters::overloaded),
        shard("foz_rate_limited_total", "Of these, because a client published too fast (error rate_limited)",
              &hub_counters::rate_limited),
        shard("foz_reading_slowed_total", "Times that a socket was not read because its client had sent too fast",
              &hub_counters::reading_slowed),
        shard("foz_flooders_closed_total", "Sockets closed because their client went on sending too fast",
              &hub_counters::flooders_closed),
        shard("foz_shed_total", "Sockets closed because memory was needed at once", &hub_counters::shed),
        whole("foz_short_of_memory_total", "Times that nearly all of limits.memory_bytes was in use",
              &aggregator_counters::short_of_memory),
        shard("foz_client_sockets_refused_total", "Sockets that were refused for now: their client has too many",
              &hub_counters::too_many_sockets),
        shard("foz_reading_paused_total", "Times that a client was read more slowly because its messages waited",
              &hub_counters::reading_paused),
        shard("foz_published_total", "Messages of clients handed to a publisher", &hub_counters::published),
        shard("foz_deliveries_total", "Messages to sockets", &hub_counters::deliveries),
        shard("foz_deliveries_dropped_total", "Of volatile channels, not sent to slow sockets",
              &hub_counters::deliveries_dropped),
        shard("foz_answers_total", "Answers of services to sockets", &hub_counters::answers),
        shard("foz_requests_waiting", "gauge", "Requests that wait for an answer",
              [](const shard_snapshot& of) { return of.requests; }),
        shard("foz_answers_again_total", "Answers, receipts and errors told once more, on another socket of the client",
              &hub_counters::answers_again),
        shard("foz_cancelled_total", "Requests that their clients have cancelled", &hub_counters::cancelled),
        shard("foz_resends_total", "Messages of clients whose id was known already", &hub_counters::resends),
        shard("foz_resumes_total", "Channels on which a client came back", &hub_counters::resumes),
        gaps_told(),
        shard("foz_positions_told_total", "Positions that sockets were told", &hub_counters::positions),
        shard("foz_questions_forgotten_total", "counter",
              "Questions of services to clients that were forgotten before their end: too many were open",
              [](const shard_snapshot& of) { return of.questions_forgotten; }),
        shard("foz_slow_closed_total", "Sockets closed because they took too little", &hub_counters::slow_closed),
        refused(),
        shard("foz_sent_away_total", "Sockets that were told to go to another aggregator", &hub_counters::sent_away),
        shard("foz_sent_away_early_total", "Of these, closed at the drain's limit although an answer was still to come",
              &hub_counters::sent_away_early),
        shard("foz_silent_closed_total", "Sockets closed because they gave no sign of life",
              &hub_counters::silent_closed),
    };
}

std::vector<metric> metrics_of_channels() {
    return {
        whole("foz_outbound_total", "Messages of services that were read for clients", &aggregator_counters::outbound),
        dropped(),
        single("foz_volatile_dropped_total", "counter",
               "Messages of volatile channels that an event loop which was behind was not given",
               [](const snapshot& now) { return now.dispatched.dropped; }),
        too_large(),
        dead_letters(),
        whole("foz_stream_gaps_total", "Times that entries of a channel were gone before they were read, or too large",
              &aggregator_counters::gaps),
        whole("foz_histories_void_total", "Times that what was read at the start did not lead to what came",
              &aggregator_counters::histories_void),
        feed("foz_reader_deliveries_total", "Messages that the broker sent", &aggregator::reader_counters::read),
        feed("foz_reader_duplicates_total", "Of these, what had been said already",
             &aggregator::reader_counters::duplicates),
        single("foz_peers", "gauge", "Other aggregators that were heard of lately",
               [](const snapshot& now) { return std::uint64_t(now.others.alive); }),
        single("foz_peers_given_up_total", "counter", "Other aggregators that said nothing for a lease",
               [](const snapshot& now) { return now.others.given_up; }),
        single("foz_peers_closed_told_total", "counter",
               "Sessions of aggregators that died of which this one has told the services",
               [](const snapshot& now) { return now.others.counters.closed_told; }),
        single("foz_peers_sessions_not_known_total", "counter", "Sessions of other aggregators beyond a million",
               [](const snapshot& now) { return now.others.sessions_not_known; }),
        single("foz_told_elsewhere_total", "counter",
               "Events that clients may not have heard when they were sent away, given to the other aggregators",
               [](const snapshot& now) { return now.others.counters.passed_on; }),
        single("foz_cancelled_told_total", "counter", "Of cancelled requests, those that the workers were told of",
               [](const snapshot& now) { return now.control.told; }),
        single("foz_cancelled_not_told_total", "counter",
               "Those that the broker took no notice of in time: their workers go on",
               [](const snapshot& now) { return now.control.given_up; }),
        feed("foz_volatile_overflows_total", "Times that a volatile channel's queue was seen to drop what did not fit",
             &aggregator::reader_counters::overflowed),
        whole("foz_volatile_queues_lost_total", "Queues of volatile channels that were lost, with what was in them",
              &aggregator_counters::queues_lost),
        whole("foz_revocations_total", "Entries of the stream REVOKED that were read",
              &aggregator_counters::revocations),
        whole("foz_revocations_not_trusted_total", "Entries of the stream REVOKED from users who may not revoke",
              &aggregator_counters::revocations_not_trusted),
        feed("foz_reader_parked_total", "Times that a stream was read no further until the event loops had caught up",
             &aggregator::reader_counters::parked),
        feed("foz_catch_up_readers_total", "Readers that were begun for who came back after long",
             &aggregator::catch_up_counters::readers),
        feed("foz_catch_up_pages_total", "Pages that they gave to sockets", &aggregator::catch_up_counters::pages),
        feed("foz_catch_up_left_behind_total", "Times that a socket had not taken its page while others waited",
             &aggregator::catch_up_counters::left_behind),
        feed("foz_catch_up_gave_way_total", "Readers that ended because others waited",
             &aggregator::catch_up_counters::gave_way),
        feed("foz_catch_up_parked_total", "Times that such a reader stopped until its pages were taken",
             &aggregator::catch_up_counters::parked),
        feed("foz_catch_up_waiting", "gauge", "Sockets that older entries are read for",
             [](const feed_snapshot& of) { return of.readings; }),
        topology(),
        single("foz_topology_rounds_total", "counter", "Times that the topology was declared, as a whole",
               [](const snapshot& now) { return now.topology.rounds; }),
    };
}

std::vector<metric> metrics_of_broker_connections() {
    return {
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
        publisher("foz_publisher_reopened_late_total", "Of these, because confirms were late",
                  &amqp::publisher_counters::reopened_late),
        publisher("foz_publisher_moved_on_total", "Times that a fresh channel was silent too: the next URL was wanted",
                  &amqp::publisher_counters::moved_on),
        publisher("foz_publisher_overloaded_total", "Messages that were not taken: too many wait",
                  &amqp::publisher_counters::overloaded),
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
        link("foz_broker_moved_on_total", "Connections that were given up for the next URL",
             &amqp::client_counters::moved_on),
        link("foz_broker_sick_total", "Connections that the broker closed because of one channel",
             &amqp::client_counters::sick),
        link("foz_broker_channel_failures_total", "AMQP channels that the broker closed, or that could not be set up",
             &amqp::client_counters::channel_failures),
        single("foz_sick", "gauge", "What the broker refuses again and again while the rest works (/readyz names it)",
               [](const snapshot& now) { return std::uint64_t(now.sick.size()); }),
    };
}

const std::vector<metric>& metrics() {
    static const std::vector<metric> all = [] {
        std::vector<metric> made;
        for (auto& part : {metrics_of_sockets_and_loops(), metrics_of_clients(), metrics_of_connect_service(),
                           metrics_of_channels(), metrics_of_broker_connections()})
            made.insert(made.end(), part.begin(), part.end());
        return made;
    }();
    return all;
}

// Those whose growth is shown, summed over the shards.
std::vector<std::pair<const char*, std::uint64_t>> totals(const snapshot& now) {
    hub_counters sum;
    for (const shard_snapshot& one : now.shards) {
        sum.frames_in += one.counters.frames_in;
        sum.published += one.counters.published;
        sum.deliveries += one.counters.deliveries;
        sum.answers += one.counters.answers;
    }
    return {{"frames", sum.frames_in},
            {"published", sum.published},
            {"outbound", now.counters.outbound},
            {"deliveries", sum.deliveries},
            {"answers", sum.answers}};
}

}  // namespace

void aggregator_source::collect(std::function<void()> done) {
    of_.collect([this, done = std::move(done)](aggregator::snapshot now) {
        last_ = std::move(now);
        rates_.begin(time_.now());
        for (const auto& [name, total] : totals(*last_)) rates_.count(name, total);
        done();
    });
}

std::vector<std::string> aggregator_source::degraded() const {
    std::vector<std::string> all;
    if (!last_) return all;
    for (const auto& one : last_->sick)
        all.push_back(one.title + " for " + std::to_string(one.since.count()) + " s: " + one.reason);
    return all;
}

void aggregator_source::expose(exposition& to) const {
    if (!last_) return;
    for (const metric& one : metrics()) {
        to.family(one.name, one.type, one.help);
        one.write(*last_, to);
    }
}

void aggregator_source::overview(json_writer& to) const {
    if (!last_) return;
    std::size_t connections = 0, sessions = 0, requests = 0;
    for (const shard_snapshot& one : last_->shards) {
        connections += one.connections;
        sessions += one.sessions;
        requests += one.requests;
    }
    to.key("aggregator").open('{');
    to.member("connections", connections).member("sessions", sessions).member("requests_waiting", requests);
    to.member("broker_connected", last_->consume.connected).member("broker_blocked", last_->consume.blocked);
    to.key("channels").open('[');
    for (const std::string& name : last_->channels) to.value(name);
    to.close(']').key("sick").open('[');
    for (const auto& one : last_->sick) {
        to.open('{').member("what", one.title).member("link", one.link).member("reason", one.reason);
        to.member("since_s", one.since.count()).close('}');
    }
    to.close(']').key("message_stats").open('{');
    for (const auto& [name, total] : totals(*last_)) {
        to.member(name, total);
        to.key(std::string(name) + "_details").open('{').member("rate", rates_.of(name)).close('}');
    }
    to.close('}').close('}');
}

}  // namespace foz::ops
