#include "cli/top/picture.hpp"

#include <utility>

#include <simdjson.h>

namespace foz::cli::top {
namespace {

namespace dom = simdjson::dom;

double number(dom::element of, std::string_view name) {
    double value = 0;
    return of[name].get(value) == simdjson::SUCCESS ? value : 0;
}

bool flag(dom::element of, std::string_view name) {
    bool value = false;
    return of[name].get(value) == simdjson::SUCCESS && value;
}

std::string text(dom::element of, std::string_view name) {
    std::string_view value;
    return of[name].get(value) == simdjson::SUCCESS ? std::string(value) : std::string();
}

// The numbers of one "message_stats".
class stats {
public:
    explicit stats(dom::element of) { there_ = of["message_stats"].get(in_) == simdjson::SUCCESS; }

    double total(std::string_view name) const { return there_ ? number(in_, name) : 0; }
    double rate(const std::string& name) const {
        dom::element details;
        if (!there_ || in_[name + "_details"].get(details) != simdjson::SUCCESS) return 0;
        return number(details, "rate");
    }

private:
    dom::element in_;
    bool there_ = false;
};

aggregator_part read_aggregator(dom::element of) {
    const stats counted(of);
    return {.sessions = number(of, "sessions"),
            .connections = number(of, "connections"),
            .requests_waiting = number(of, "requests_waiting"),
            .frames_rate = counted.rate("frames"),
            .published_rate = counted.rate("published"),
            .outbound_rate = counted.rate("outbound"),
            .deliveries_rate = counted.rate("deliveries"),
            .answers_rate = counted.rate("answers"),
            .broker_blocked = flag(of, "broker_blocked")};
}

broker_part read_broker(dom::element of) {
    const stats counted(of);
    broker_part out{.publish_rate = counted.rate("publish"),
                    .deliver_rate = counted.rate("deliver_get"),
                    .ack_rate = counted.rate("ack"),
                    .redeliver_rate = counted.rate("redeliver"),
                    .dead_letter_rate = counted.rate("dead_letter"),
                    .waiting_bytes = number(of, "waiting_bytes"),
                    .blocked = text(of, "blocked")};
    dom::element totals;
    if (of["object_totals"].get(totals) == simdjson::SUCCESS) {
        out.connections = number(totals, "connections");
        out.consumers = number(totals, "consumers");
        out.queues = number(totals, "queues");
    }
    if (of["queue_totals"].get(totals) == simdjson::SUCCESS) {
        out.ready = number(totals, "messages_ready");
        out.unacknowledged = number(totals, "messages_unacknowledged");
    }
    return out;
}

queue_row read_queue(dom::element of) {
    const stats counted(of);
    return {.vhost = text(of, "vhost"),
            .name = text(of, "name"),
            .type = text(of, "type"),
            .ready = number(of, "messages_ready"),
            .unacknowledged = number(of, "messages_unacknowledged"),
            .consumers = number(of, "consumers"),
            .publish_rate = counted.rate("publish"),
            .deliver_rate = counted.rate("deliver_get"),
            .ack_rate = counted.rate("ack"),
            .redelivered = counted.total("redeliver"),
            .redeliver_rate = counted.rate("redeliver"),
            .dead_lettered = counted.total("dead_letter"),
            .dead_letter_rate = counted.rate("dead_letter"),
            .bytes = number(of, "message_bytes")};
}

}  // namespace

std::expected<picture, std::string> read_picture(std::string_view overview, std::optional<std::string_view> queues) {
    dom::parser parser;
    dom::element root;
    if (parser.parse(overview.data(), overview.size()).get(root) != simdjson::SUCCESS || text(root, "product") != "Foz")
        return std::unexpected("what answers there is no admin port of Foz");
    picture out{.version = text(root, "version"),
                .not_ready = text(root, "not_ready"),
                .uptime_s = number(root, "uptime_s"),
                .memory_bytes = number(root, "memory_bytes"),
                .cpu_seconds = number(root, "cpu_seconds")};
    dom::element part;
    if (root["aggregator"].get(part) == simdjson::SUCCESS) out.aggregator = read_aggregator(part);
    if (root["broker"].get(part) == simdjson::SUCCESS) out.broker = read_broker(part);
    if (!queues) return out;
    dom::array rows;
    if (parser.parse(queues->data(), queues->size()).get(rows) != simdjson::SUCCESS)
        return std::unexpected("its list of queues is not a JSON array");
    out.queues.reserve(rows.size());
    for (const dom::element one : rows) out.queues.push_back(read_queue(one));
    return out;
}

}  // namespace foz::cli::top
