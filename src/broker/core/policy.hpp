// What operators say of queues and exchanges from outside: limits and dead letters that clients need not declare.
#pragma once

#include "amqp/codec/field_table.hpp"
#include "broker/core/arguments.hpp"
#include "broker/core/pattern.hpp"

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::broker {

enum class policy_target : std::uint8_t { queues, classic_queues, quorum_queues, streams, exchanges, all };

// RabbitMQ's name of it ("apply-to"), and back.
std::string_view to_string(policy_target target) noexcept;
std::optional<policy_target> policy_target_of(std::string_view name) noexcept;

struct policy {
    std::string vhost;
    std::string name;
    std::string pattern;
    policy_target apply_to = policy_target::all;
    std::int64_t priority = 0;
    amqp::table definition;  // as it was given; keys that nobody knows are kept

    bool operator==(const policy&) const = default;
};

// A policy's keys, read.
struct policy_settings {
    std::optional<std::chrono::milliseconds> message_ttl;
    std::optional<std::chrono::milliseconds> expires;
    std::optional<std::uint64_t> length_max;
    std::optional<std::uint64_t> bytes_max;
    std::optional<overflow> when_full;
    std::optional<std::string> dead_letter_exchange;
    std::optional<std::string> dead_letter_routing_key;
    std::optional<bool> dead_letter_at_least_once;
    std::optional<std::uint64_t> delivery_limit;
    std::optional<std::chrono::milliseconds> age_max;
    std::optional<std::uint64_t> segment_bytes;
    std::optional<std::string> alternate_exchange;
    std::vector<std::string> unknown;  // keys without effect here
};

struct policy_problem {
    std::string at;  // "pattern", or "definition." and the key
    std::string text;
};
std::expected<policy_settings, policy_problem> read_policy(const policy& one);

// Of a number the lower one counts, of anything else the argument (RabbitMQ's rule). Only what the kind of queue knows.
void merge(queue_settings& declared, const amqp::table& arguments, const policy_settings& said);

// Those of one virtual host. The one with the highest priority that matches applies, and no other; among equals the
// first by name.
class policy_list {
public:
    policy_list() = default;
    // Those of another virtual host are left out, and those that read_policy() refuses.
    policy_list(const std::vector<policy>& all, std::string_view vhost);

    const policy_settings* of_queue(std::string_view name, queue_kind kind) const;
    const policy_settings* of_exchange(std::string_view name) const;

private:
    struct rule {
        policy_target apply_to;
        std::int64_t priority;
        std::string name;
        broker::pattern expression;
        policy_settings settings;
    };
    std::vector<rule> rules_;  // the strongest first
};

}  // namespace foz::broker
