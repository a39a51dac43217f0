#include "broker/core/policy.hpp"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

namespace foz::broker {
namespace {

constexpr std::array<std::pair<policy_target, std::string_view>, 6> target_names{
    {{policy_target::queues, "queues"},
     {policy_target::classic_queues, "classic_queues"},
     {policy_target::quorum_queues, "quorum_queues"},
     {policy_target::streams, "streams"},
     {policy_target::exchanges, "exchanges"},
     {policy_target::all, "all"}}};

class definition_reader {
public:
    std::optional<std::uint64_t> number(std::string_view key, const amqp::field_value& value, std::int64_t least = 0) {
        const auto held = amqp::as_int64(value);
        if (held && *held >= least) return static_cast<std::uint64_t>(*held);
        fail(key, least > 0 ? "must be a whole number above 0" : "must be a whole number, not negative");
        return std::nullopt;
    }

    std::optional<std::chrono::milliseconds> time(std::string_view key, const amqp::field_value& value,
                                                  std::int64_t least = 0) {
        const auto held = number(key, value, least);
        if (!held) return std::nullopt;
        if (*held <= static_cast<std::uint64_t>(time_max.count())) return std::chrono::milliseconds(*held);
        fail(key, "must be at most " + std::to_string(time_max.count()) + " (milliseconds)");
        return std::nullopt;
    }

    // A negative one is none, as in RabbitMQ 4.
    std::optional<std::uint64_t> limit(std::string_view key, const amqp::field_value& value) {
        const auto held = amqp::as_int64(value);
        return held && *held < 0 ? std::nullopt : number(key, value);
    }

    std::optional<std::string> text(std::string_view key, const amqp::field_value& value) {
        if (const auto held = amqp::as_string(value)) return std::string(*held);
        fail(key, "must be a string");
        return std::nullopt;
    }

    template <class T>
    std::optional<T> choice(std::string_view key, const amqp::field_value& value,
                            std::initializer_list<std::pair<std::string_view, T>> words) {
        const auto held = amqp::as_string(value);
        std::string known;
        for (const auto& [word, meaning] : words) {
            if (held == word) return meaning;
            known.append(known.empty() ? "" : ", ").append(word);
        }
        fail(key, "must be one of " + known);
        return std::nullopt;
    }

    std::optional<std::chrono::milliseconds> interval(std::string_view key, const amqp::field_value& value) {
        const auto held = amqp::as_string(value);
        const auto read = held ? parse_interval(*held) : std::nullopt;
        if (!read) fail(key, "must be a number with a unit, as in 7D, 36h, 90m or 20s");
        return read;
    }

    const std::optional<policy_problem>& problem() const noexcept { return problem_; }

private:
    void fail(std::string_view key, std::string why) {
        if (!problem_) problem_ = {"definition." + std::string(key), std::move(why)};
    }
    std::optional<policy_problem> problem_;
};

void read_key(definition_reader& in, policy_settings& out, const std::string& key, const amqp::field_value& value) {
    if (key == "message-ttl")
        out.message_ttl = in.time(key, value);
    else if (key == "expires")
        out.expires = in.time(key, value, 1);
    else if (key == "max-length")
        out.length_max = in.number(key, value);
    else if (key == "max-length-bytes")
        out.bytes_max = in.number(key, value);
    else if (key == "overflow")
        out.when_full = in.choice<overflow>(key, value,
                                            {{"drop-head", overflow::drop_head},
                                             {"reject-publish", overflow::reject_publish},
                                             {"reject-publish-dlx", overflow::reject_publish_dlx}});
    else if (key == "dead-letter-exchange")
        out.dead_letter_exchange = in.text(key, value);
    else if (key == "dead-letter-routing-key")
        out.dead_letter_routing_key = in.text(key, value);
    else if (key == "dead-letter-strategy")
        out.dead_letter_at_least_once = in.choice<bool>(key, value, {{"at-most-once", false}, {"at-least-once", true}});
    else if (key == "delivery-limit")
        out.delivery_limit = in.limit(key, value);
    else if (key == "max-age")
        out.age_max = in.interval(key, value);
    else if (key == "stream-max-segment-size-bytes")
        out.segment_bytes = in.number(key, value, 1);
    else if (key == "alternate-exchange")
        out.alternate_exchange = in.text(key, value);
    else
        out.unknown.push_back(key);
}

template <class T>
void lower(std::optional<T>& declared, const std::optional<T>& said) {
    if (said && (!declared || *said < *declared)) declared = said;
}

template <class T>
void fill(std::optional<T>& declared, const std::optional<T>& said) {
    if (!declared) declared = said;
}

bool covers(policy_target target, queue_kind kind) noexcept {
    switch (target) {
        case policy_target::queues:
        case policy_target::all:
            return true;
        case policy_target::classic_queues:
            return kind == queue_kind::classic;
        case policy_target::quorum_queues:
            return kind == queue_kind::quorum;
        case policy_target::streams:
            return kind == queue_kind::stream;
        case policy_target::exchanges:
            return false;
    }
    return false;
}

}  // namespace

std::string_view to_string(policy_target target) noexcept {
    return std::ranges::find(target_names, target, &decltype(target_names)::value_type::first)->second;
}

std::optional<policy_target> policy_target_of(std::string_view name) noexcept {
    const auto* const at = std::ranges::find(target_names, name, &decltype(target_names)::value_type::second);
    return at == target_names.end() ? std::nullopt : std::optional(at->first);
}

std::expected<policy_settings, policy_problem> read_policy(const policy& one) {
    if (const auto expression = pattern::compile(one.pattern); !expression)
        return std::unexpected(policy_problem{"pattern", expression.error()});
    policy_settings out;
    definition_reader in;
    for (const amqp::table_entry& said : one.definition) read_key(in, out, said.key, said.value);
    if (in.problem()) return std::unexpected(*in.problem());
    return out;
}

void merge(queue_settings& declared, const amqp::table& arguments, const policy_settings& said) {
    lower(declared.bytes_max, said.bytes_max);
    if (declared.kind == queue_kind::stream) {
        lower(declared.age_max, said.age_max);
        const bool argued = arguments.find("x-stream-max-segment-size-bytes") != nullptr;
        if (said.segment_bytes && (!argued || *said.segment_bytes < declared.segment_bytes))
            declared.segment_bytes = *said.segment_bytes;
        return;
    }
    lower(declared.message_ttl, said.message_ttl);
    lower(declared.expires, said.expires);
    lower(declared.length_max, said.length_max);
    lower(declared.delivery_limit, said.delivery_limit);
    if (said.when_full && !arguments.find("x-overflow")) declared.when_full = *said.when_full;
    fill(declared.dead_letter_exchange, said.dead_letter_exchange);
    fill(declared.dead_letter_routing_key, said.dead_letter_routing_key);
    const auto argued = amqp::as_string(arguments.find("x-dead-letter-strategy"));
    const bool at_least_once = argued ? *argued == "at-least-once" : said.dead_letter_at_least_once.value_or(false);
    declared.dead_letter_at_least_once = at_least_once && declared.kind == queue_kind::quorum &&
                                         declared.dead_letter_exchange &&
                                         declared.when_full == overflow::reject_publish;
}

policy_list::policy_list(const std::vector<policy>& all, std::string_view vhost) {
    for (const policy& one : all) {
        if (one.vhost != vhost) continue;
        auto expression = pattern::compile(one.pattern);
        auto settings = read_policy(one);
        if (expression && settings)
            rules_.push_back({one.apply_to, one.priority, one.name, std::move(*expression), std::move(*settings)});
    }
    std::ranges::sort(rules_, [](const rule& a, const rule& b) {
        return std::tie(b.priority, a.name) < std::tie(a.priority, b.name);
    });
}

const policy_settings* policy_list::of_queue(std::string_view name, queue_kind kind) const {
    const auto at = std::ranges::find_if(
        rules_, [&](const rule& one) { return covers(one.apply_to, kind) && one.expression.matches(name); });
    return at == rules_.end() ? nullptr : &at->settings;
}

const policy_settings* policy_list::of_exchange(std::string_view name) const {
    const auto at = std::ranges::find_if(rules_, [&](const rule& one) {
        return (one.apply_to == policy_target::exchanges || one.apply_to == policy_target::all) &&
               one.expression.matches(name);
    });
    return at == rules_.end() ? nullptr : &at->settings;
}

}  // namespace foz::broker
