#include "broker/core/arguments.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <type_traits>

namespace foz::broker {
namespace {

using amqp::reply_code;

// RabbitMQ's names of the types of field values, in the order of field_value::variant.
constexpr std::array<std::string_view, 17> type_names{
    "void",  "bool",   "byte",    "unsignedbyte", "short",  "unsignedshort", "signedint", "unsignedint", "long",
    "float", "double", "decimal", "longstr",      "binary", "timestamp",     "array",     "table"};

std::string said(const amqp::field_value* value) {
    if (!value) return "none";
    return "the value '" + printed(*value) + "' of type '" + type_name(*value) + "'";
}

constexpr unsigned in_classic = 1;
constexpr unsigned in_quorum = 2;
constexpr unsigned in_stream = 4;

struct known_argument {
    std::string_view name;
    unsigned kinds;  // of queues that take it
};

// What RabbitMQ knows; arguments of other names are kept and mean nothing. In the order in which it looks at them.
constexpr std::array known_arguments{
    known_argument{"x-expires", in_classic | in_quorum},
    known_argument{"x-message-ttl", in_classic | in_quorum},
    known_argument{"x-dead-letter-exchange", in_classic | in_quorum},
    known_argument{"x-dead-letter-routing-key", in_classic | in_quorum},
    known_argument{"x-dead-letter-strategy", in_quorum},
    known_argument{"x-max-length", in_classic | in_quorum},
    known_argument{"x-max-length-bytes", in_classic | in_quorum | in_stream},
    known_argument{"x-max-in-memory-length", in_quorum},
    known_argument{"x-max-in-memory-bytes", in_quorum},
    known_argument{"x-max-priority", in_classic},
    known_argument{"x-overflow", in_classic | in_quorum},
    known_argument{"x-queue-mode", in_classic},
    known_argument{"x-queue-version", in_classic},
    known_argument{"x-single-active-consumer", in_classic | in_quorum},
    known_argument{"x-queue-type", in_classic | in_quorum | in_stream},
    known_argument{"x-quorum-initial-group-size", in_quorum},
    known_argument{"x-max-age", in_stream},
    known_argument{"x-stream-max-segment-size-bytes", in_stream},
    known_argument{"x-initial-cluster-size", in_stream},
    known_argument{"x-delivery-limit", in_quorum},
    known_argument{"x-queue-leader-locator", in_quorum | in_stream},
};

class argument_reader {
public:
    argument_reader(const amqp::table& arguments, std::string_view described)
        : arguments_(arguments), described_(described) {}

    std::optional<std::int64_t> integer(std::string_view name) {
        const amqp::field_value* const value = arguments_.find(name);
        if (!value) return std::nullopt;
        const auto held = amqp::as_int64(value);
        if (!held) fail(name, "\"expected integer, got " + type_name(*value) + "\"");
        return held;
    }

    std::optional<std::uint64_t> number(std::string_view name, bool positive = false) {
        const auto held = integer(name);
        if (!held) return std::nullopt;
        if (*held < 0) {
            fail(name, "{value_negative," + std::to_string(*held) + "}");
        } else if (*held == 0 && positive) {
            fail(name, "{value_zero,0}");
        } else {
            return static_cast<std::uint64_t>(*held);
        }
        return std::nullopt;
    }

    std::optional<std::chrono::milliseconds> time(std::string_view name, bool positive = false) {
        const auto held = number(name, positive);
        if (!held) return std::nullopt;
        if (*held > static_cast<std::uint64_t>(time_max.count())) {
            fail(name, "{value_too_large," + std::to_string(*held) + "}");
            return std::nullopt;
        }
        return std::chrono::milliseconds(*held);
    }

    std::optional<std::string> text(std::string_view name) {
        const amqp::field_value* const value = arguments_.find(name);
        if (!value) return std::nullopt;
        const auto* const held = std::get_if<std::string>(&value->get());
        if (held) return *held;
        if (name == "x-dead-letter-exchange")
            fail_whole(name, "invalid type '" + type_name(*value) + "' for arg '" + std::string(name) + "' in " +
                                 std::string(described_));
        else
            fail(name, "{unacceptable_type," + type_name(*value) + "}");
        return std::nullopt;
    }

    // Of an exchange or a routing key: what AMQP can carry as one.
    std::optional<std::string> short_text(std::string_view name) {
        constexpr std::size_t size_max = 255;
        auto held = text(name);
        if (held && held->size() > size_max) fail(name, "longer than 255 octets");
        return held;
    }

    bool flag(std::string_view name) {
        const amqp::field_value* const value = arguments_.find(name);
        if (!value) return false;
        const auto held = amqp::as_bool(value);
        if (!held) fail(name, "{unacceptable_type," + type_name(*value) + "}");
        return held.value_or(false);
    }

    bool has(std::string_view name) const { return arguments_.find(name) != nullptr; }

    void fail(std::string_view name, const std::string& why) {
        fail_whole(name, "invalid arg '" + std::string(name) + "' for " + std::string(described_) + ": " + why);
    }
    void fail_whole(std::string_view name, std::string why) {
        if (!problem_) problem_ = {reply_code::precondition_failed, std::move(why), std::string(name)};
    }
    const std::optional<refusal>& problem() const { return problem_; }
    std::string described() const { return std::string(described_); }

private:
    const amqp::table& arguments_;
    const std::string_view described_;
    std::optional<refusal> problem_;
};

// Its kind, and whether a queue of that kind may have such flags and arguments.
void read_kind(argument_reader& in, queue_settings& out, queue_flags flags) {
    const std::string kind = in.text("x-queue-type").value_or("classic");
    unsigned bit = in_classic;
    if (kind == "quorum") {
        out.kind = queue_kind::quorum;
        bit = in_quorum;
    } else if (kind == "stream") {
        out.kind = queue_kind::stream;
        bit = in_stream;
    } else if (kind != "classic") {
        return in.fail("x-queue-type", "\"unsupported queue type '" + kind + "'\"");
    }
    for (const known_argument& one : known_arguments)
        if ((one.kinds & bit) == 0 && in.has(one.name))
            in.fail_whole(one.name, "invalid arg '" + std::string(one.name) + "' for " + in.described() +
                                        " of queue type rabbit_" + kind + "_queue");
    if (out.kind == queue_kind::classic) return;
    const auto refuse_flag = [&](bool wrong, const char* name) {
        if (wrong) in.fail_whole(name, "invalid property '" + std::string(name) + "' for " + in.described());
    };
    refuse_flag(!flags.durable, "non-durable");
    refuse_flag(flags.auto_delete, "auto-delete");
    refuse_flag(flags.exclusive, "exclusive-owner");
}

void read_overflow(argument_reader& in, queue_settings& out) {
    const auto what = in.text("x-overflow");
    if (!what || *what == "drop-head") return;
    if (*what == "reject-publish") {
        out.when_full = overflow::reject_publish;
    } else if (*what == "reject-publish-dlx") {
        out.when_full = overflow::reject_publish_dlx;
    } else {
        in.fail("x-overflow", "invalid_overflow");
    }
}

void read_dead_letters(argument_reader& in, queue_settings& out) {
    out.dead_letter_exchange = in.short_text("x-dead-letter-exchange");
    out.dead_letter_routing_key = in.short_text("x-dead-letter-routing-key");
    if (out.dead_letter_routing_key && !in.has("x-dead-letter-exchange"))
        in.fail("x-dead-letter-routing-key", "routing_key_but_no_dlx_defined");
    const auto strategy = in.text("x-dead-letter-strategy");
    if (strategy && *strategy != "at-most-once" && *strategy != "at-least-once")
        in.fail("x-dead-letter-strategy", "invalid_dlx_strategy");
    out.dead_letter_at_least_once = strategy == "at-least-once";
}

// Priorities, and what RabbitMQ has to say about memory, which decides itself here.
void read_classic(argument_reader& in) {
    if (const auto priority = in.number("x-max-priority")) {
        constexpr std::uint64_t priority_max = 255;
        if (*priority > priority_max)
            in.fail("x-max-priority", "{max_value_exceeded," + std::to_string(*priority) + "}");
        in.fail_whole("x-max-priority", "x-max-priority: this broker has no priority queues (" + in.described() + ")");
    }
    const auto mode = in.text("x-queue-mode");
    if (mode && *mode != "default" && *mode != "lazy")
        in.fail("x-queue-mode", "\"unsupported queue mode '" + *mode + "'\"");
    const auto version = in.integer("x-queue-version");
    if (version && *version != 1 && *version != 2)
        in.fail("x-queue-version", "\"unsupported queue version '" + std::to_string(*version) + "'\"");
}

void read_stream(argument_reader& in, queue_settings& out) {
    if (const auto age = in.text("x-max-age")) {
        out.age_max = parse_interval(*age);
        if (!out.age_max) in.fail("x-max-age", "invalid_max_age");
    }
    constexpr std::uint64_t segment_bytes_max = 3'000'000'000;
    if (const auto bytes = in.number("x-stream-max-segment-size-bytes")) {
        out.segment_bytes = *bytes;
        if (*bytes > segment_bytes_max)
            in.fail_whole("x-stream-max-segment-size-bytes", "Exceeded max value for x-stream-max-segment-size-bytes");
    }
    in.number("x-initial-cluster-size", true);
}

}  // namespace

std::string printed(const amqp::field_value& value) {
    return std::visit(
        []<class T>(const T& held) -> std::string {
            if constexpr (std::is_same_v<T, bool>)
                return held ? "true" : "false";
            else if constexpr (std::is_integral_v<T>)
                return std::to_string(held);
            else if constexpr (std::is_floating_point_v<T>)
                return std::to_string(held);
            else if constexpr (std::is_same_v<T, std::string>)
                return held;
            else if constexpr (std::is_same_v<T, amqp::byte_array>)
                return held.octets;
            else if constexpr (std::is_same_v<T, amqp::timestamp>)
                return std::to_string(held.seconds);
            else
                return "…";
        },
        value.get());
}

std::string type_name(const amqp::field_value& value) {
    return std::string(type_names[value.get().index()]);
}

result<queue_settings> read_arguments(const amqp::table& arguments, queue_flags flags, std::string_view described) {
    queue_settings out;
    argument_reader in(arguments, described);
    read_kind(in, out, flags);
    out.expires = in.time("x-expires", true);
    out.message_ttl = in.time("x-message-ttl");
    read_dead_letters(in, out);
    out.length_max = in.number("x-max-length");
    out.bytes_max = in.number("x-max-length-bytes");
    if (out.kind == queue_kind::classic) read_classic(in);
    read_overflow(in, out);
    out.single_active = in.flag("x-single-active-consumer");
    in.number("x-quorum-initial-group-size", true);
    if (out.kind == queue_kind::stream) read_stream(in, out);
    // A negative one is none, as in RabbitMQ 4.
    if (const auto limit = in.integer("x-delivery-limit"); limit && *limit >= 0)
        out.delivery_limit = static_cast<std::uint64_t>(*limit);
    // RabbitMQ falls back to at-most-once unless the queue rejects what is too much.
    out.dead_letter_at_least_once =
        out.dead_letter_at_least_once && out.dead_letter_exchange && out.when_full == overflow::reject_publish;
    if (in.problem()) return std::unexpected(*in.problem());
    return out;
}

result<void> require_same(std::string_view name, std::string_view received, std::string_view current,
                          std::string_view described) {
    if (received == current) return {};
    return std::unexpected(refusal{reply_code::precondition_failed,
                                   "inequivalent arg '" + std::string(name) + "' for " + std::string(described) +
                                       ": received " + std::string(received) + " but current is " +
                                       std::string(current),
                                   std::string(name)});
}

result<void> require_same(std::string_view name, bool received, bool current, std::string_view described) {
    const auto word = [](bool value) { return value ? "'true'" : "'false'"; };
    return require_same(name, std::string_view(word(received)), std::string_view(word(current)), described);
}

result<void> require_same(std::string_view name, const amqp::table& received, const amqp::table& current,
                          std::string_view described) {
    const amqp::field_value* const now = received.find(name);
    const amqp::field_value* const before = current.find(name);
    if (now && before) {
        const auto a = amqp::as_int64(now);
        const auto b = amqp::as_int64(before);
        if (a && b ? a == b : *now == *before) return {};
        return require_same(name, "'" + printed(*now) + "'", "'" + printed(*before) + "'", described);
    }
    // Nothing is the same as what is so without being said.
    const amqp::field_value* const one = now ? now : before;
    if (!one || (name == "x-queue-type" && amqp::as_string(one) == "classic")) return {};
    return require_same(name, std::string_view(said(now)), std::string_view(said(before)), described);
}

std::optional<std::chrono::milliseconds> parse_interval(std::string_view text) {
    std::int64_t count = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (failure != std::errc() || count < 0 || end + 1 != text.data() + text.size()) return std::nullopt;
    constexpr std::int64_t day = 24 * 3600;
    std::int64_t seconds = 0;
    switch (*end) {
        case 'Y':
            seconds = 365 * day;
            break;
        case 'M':
            seconds = 30 * day;
            break;
        case 'D':
            seconds = day;
            break;
        case 'h':
            seconds = 3600;
            break;
        case 'm':
            seconds = 60;
            break;
        case 's':
            seconds = 1;
            break;
        default:
            return std::nullopt;
    }
    constexpr std::int64_t count_max = 1'000'000;
    return std::chrono::seconds(std::min(count, count_max) * seconds);
}

}  // namespace foz::broker
