// What the admin port tells, as `foz top` shows it.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::cli::top {

// The part that holds clients. Rates are for each second.
struct aggregator_part {
    double sessions = 0;
    double connections = 0;
    double requests_waiting = 0;
    double frames_rate = 0;
    double published_rate = 0;
    double outbound_rate = 0;
    double deliveries_rate = 0;
    double answers_rate = 0;
    bool broker_blocked = false;
};

// The embedded broker, all queues together.
struct broker_part {
    double connections = 0;
    double consumers = 0;
    double queues = 0;
    double ready = 0;
    double unacknowledged = 0;
    double publish_rate = 0;
    double deliver_rate = 0;
    double ack_rate = 0;
    double redeliver_rate = 0;
    double dead_letter_rate = 0;
    double waiting_bytes = 0;
    std::string blocked;  // why no messages are taken, or empty
};

struct queue_row {
    std::string vhost;
    std::string name;
    std::string type;
    double ready = 0;
    double unacknowledged = 0;
    double consumers = 0;
    double publish_rate = 0;
    double deliver_rate = 0;
    double ack_rate = 0;
    double redelivered = 0;
    double redeliver_rate = 0;
    double dead_lettered = 0;
    double dead_letter_rate = 0;
    double bytes = 0;
};

struct picture {
    std::string version;
    std::string not_ready;  // why, or empty
    double uptime_s = 0;
    double memory_bytes = 0;
    double cpu_seconds = 0;
    std::optional<aggregator_part> aggregator;
    std::optional<broker_part> broker;
    std::vector<queue_row> queues;
};

// Of /api/overview and, when there is such a page, /api/queues. A member that is missing is 0 or empty: a broker of
// another version is shown as far as it can be. The error is a sentence: what came is not the JSON of an admin port.
std::expected<picture, std::string> read_picture(std::string_view overview, std::optional<std::string_view> queues);

}  // namespace foz::cli::top
