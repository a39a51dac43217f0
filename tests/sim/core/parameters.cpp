#include "core/parameters.hpp"

#include <fmt/format.h>

namespace foz::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

duration magnitude(rng& from, milliseconds low, milliseconds high) {
    return milliseconds(
        from.magnitude(static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count())));
}

std::vector<contract::channel_settings> draw_channels(rng& from) {
    using namespace contract;
    std::vector<channel_settings> all;
    all.push_back({.name = "chat"});
    all.push_back({.name = "tickets", .order = from.chance(700) ? order_kind::client : order_kind::none});
    if (from.chance(500))
        all.push_back(
            {.name = "voice", .delivery = delivery_kind::volatile_, .consumers = consumer_kind::single_active});
    for (auto& one : all) {
        one.delivery_limit = static_cast<std::int32_t>(from.between(5, 20));
        one.no_service_after = milliseconds(from.magnitude(500, 10'000));
        if (from.chance(200)) one.groups = groups_kind::service;
    }
    return all;
}

double ms(duration span) {
    return std::chrono::duration<double, std::milli>(span).count();
}

}  // namespace

parameters parameters::draw(rng& from) {
    parameters p;
    p.aggregators = static_cast<unsigned>(from.between(1, 3));
    p.clients = static_cast<unsigned>(from.between(2, 12));
    p.plugin_permille = static_cast<unsigned>(from.between(300, 900));
    p.services_per_channel = static_cast<unsigned>(from.between(1, 2));
    p.same_client_permille = from.chance(300) ? 500 : 0;
    p.channels = draw_channels(from);

    p.recent_bytes_max = from.magnitude(500, 256 * 1024);
    p.resume_entries_max = from.magnitude(40, 4'000);
    p.queue_bytes_max = from.magnitude(4 * 1024, 256 * 1024);
    p.outcomes_max = from.magnitude(300, 4'000);
    p.requests_per_client_max = from.magnitude(4, 200);
    p.ids_max = from.magnitude(2'000, 10'000);
    p.history_entries = p.ids_max;
    p.publish_window = from.magnitude(1, 512);
    p.key_high_mark = from.magnitude(4, 128);
    p.page_entries = from.magnitude(2, 128);
    p.ping_interval = magnitude(from, milliseconds(2'000), milliseconds(20'000));
    p.position_interval = magnitude(from, milliseconds(1'000), milliseconds(20'000));
    p.request_timeout = magnitude(from, milliseconds(2'000), milliseconds(20'000));
    p.publish_timeout = magnitude(from, milliseconds(2'000), milliseconds(10'000));

    if (from.chance(300)) p.retention_bytes = from.magnitude(16 * 1024, 256 * 1024);
    p.segment_bytes = from.magnitude(2 * 1024, 32 * 1024);

    p.client_latency_min = microseconds(from.magnitude(50, 5'000));
    p.client_latency_max = p.client_latency_min + microseconds(from.magnitude(100, 50'000));
    p.broker_latency_min = microseconds(from.magnitude(50, 1'000));
    p.broker_latency_max = p.broker_latency_min + microseconds(from.magnitude(100, 10'000));
    p.client_window = from.magnitude(2 * 1024, 64 * 1024);
    p.broker_window = from.magnitude(16 * 1024, 256 * 1024);
    p.split_permille = from.chance(500) ? static_cast<unsigned>(from.between(0, 500)) : 0;

    p.operations = static_cast<unsigned>(from.between(150, 500));
    p.operation_pause = magnitude(from, milliseconds(10), milliseconds(200));
    p.body_bytes_max = from.magnitude(20, 4'000);
    p.work_min = microseconds(from.magnitude(50, 2'000));
    p.work_max = p.work_min + microseconds(from.magnitude(100, 100'000));
    p.service_crash_permille = from.chance(500) ? static_cast<unsigned>(from.between(1, 30)) : 0;
    p.faults = static_cast<unsigned>(from.between(4, 14));
    p.fault_span_max = magnitude(from, milliseconds(2'000), milliseconds(30'000));

    for (auto& one : p.channels)
        if (one.delivery == contract::delivery_kind::volatile_)
            one.volatile_max_length = static_cast<std::int32_t>(from.magnitude(4, 1'000));
    return p;
}

std::string parameters::describe() const {
    std::string out = fmt::format(
        "aggregators {}, clients {}, plugin {}‰, services per channel {}, same client {}‰\n"
        "recent_bytes_max {}, resume_entries_max {}, queue_bytes_max {}, message_bytes_max {}, outcomes_max {}\n"
        "requests_per_client_max {}, ids_max {}, history_entries {}, stream_message_bytes_max {}, publish_window {}, "
        "key_high_mark {}, page_entries {}\n"
        "ping_interval {} ms, position_interval {} ms, request_timeout {} ms, publish_timeout {} ms\n"
        "retention_bytes {}, segment_bytes {}\n"
        "client latency {}–{} ms, broker latency {}–{} ms, client window {}, broker window {}, split {}‰\n"
        "operations {}, pause {} ms, body_bytes_max {}, work {}–{} ms, service crash {}‰, faults {} of up to {} ms\n",
        aggregators, clients, plugin_permille, services_per_channel, same_client_permille, recent_bytes_max,
        resume_entries_max, queue_bytes_max, message_bytes_max, outcomes_max, requests_per_client_max, ids_max,
        history_entries, stream_message_bytes_max, publish_window, key_high_mark, page_entries, ms(ping_interval),
        ms(position_interval), ms(request_timeout), ms(publish_timeout), retention_bytes, segment_bytes,
        ms(client_latency_min), ms(client_latency_max), ms(broker_latency_min), ms(broker_latency_max), client_window,
        broker_window, split_permille, operations, ms(operation_pause), body_bytes_max, ms(work_min), ms(work_max),
        service_crash_permille, faults, ms(fault_span_max));
    for (const auto& one : channels)
        out += fmt::format(
            "channel {}: {}, order {}, groups {}, delivery_limit {}, no_service_after {} ms, "
            "volatile_max_length {}\n",
            one.name, one.delivery == contract::delivery_kind::durable ? "durable" : "volatile",
            one.order == contract::order_kind::client ? "client" : "none",
            one.groups == contract::groups_kind::open ? "open" : "service", one.delivery_limit,
            one.no_service_after.count(), one.volatile_max_length);
    return out;
}

}  // namespace foz::sim
