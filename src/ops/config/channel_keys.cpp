#include "ops/config/key_flaws.hpp"
#include "ops/config/key_makers.hpp"
#include "ops/config/key_table.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace foz::ops::table {
namespace {

using contract::channel_settings;

// An enumeration whose values are 0, 1, 2 … in the order of the words.
template <class E>
key choice(const char* name, E channel_settings::* member, std::vector<std::string> words, const char* help) {
    key made{.section = "channels", .name = name, .words = words, .help = help};
    made.get = [member, words](const target& t) { return value(words[static_cast<std::size_t>(t.channel->*member)]); };
    made.set = [member, words](const target& t, const value& v) {
        const auto word = std::find(words.begin(), words.end(), std::get<std::string>(v));
        t.channel->*member = static_cast<E>(word - words.begin());
    };
    return made;
}

key patterns(const char* name, std::vector<std::string> channel_settings::* member, const char* help) {
    return with_flaw(list("channels", name, member, "PATTERN", help), no_patterns);
}

// delivery_limit: 0 and -1 have names of their own.
key redeliver() {
    key made{.section = "channels",
             .name = "redeliver",
             .type = value_type::integer,
             .min = 1,
             .max = 1'000'000,
             .unit = "returns",
             .words = {"never", "unlimited"},
             .help =
                 "how often a message that a service did not finish is delivered again before it is a dead letter; "
                 "\"never\": an unfinished one is a dead letter at once"};
    made.get = [](const target& t) {
        const auto limit = t.channel->delivery_limit;
        return limit == 0 ? value("never") : limit < 0 ? value("unlimited") : value(std::int64_t(limit));
    };
    made.set = [](const target& t, const value& v) {
        const auto* limit = std::get_if<std::int64_t>(&v);
        t.channel->delivery_limit = limit ? static_cast<std::int32_t>(*limit) : v == value("never") ? 0 : -1;
    };
    return made;
}

key retention_hours() {
    key made{.section = "channels",
             .name = "retention_hours",
             .type = value_type::integer,
             .min = 0,
             .max = 876'000,
             .unit = "h",
             .help =
                 "what the stream of a durable channel keeps, by age; 0: not limited. It becomes a "
                 "policy (`foz topology export`)"};
    made.get = [](const target& t) {
        return value(std::int64_t(std::chrono::floor<std::chrono::hours>(t.channel->retention_age).count()));
    };
    made.set = [](const target& t, const value& v) {
        t.channel->retention_age = std::chrono::hours(std::get<std::int64_t>(v));
    };
    return made;
}

}  // namespace

std::vector<key> channel_keys() {
    using s = channel_settings;
    return {
        choice("delivery", &s::delivery, {"durable", "volatile"},
               "services → clients: through a stream that clients can resume, or through a queue of each foz that dies "
               "with it"),
        choice("consumers", &s::consumers, {"competing", "single_active"},
               "services: each message to one of many, or one consumer at a time"),
        choice("order", &s::order, {"none", "client"},
               "\"client\": what one client sends is handled in its order (needs one active consumer)"),
        choice(
            "groups", &s::groups, {"open", "service", "token"},
            "who may join a group: anyone, clients that the channel's service lets in, or those whose token names it"),
        patterns(
            "open_groups", &s::open_groups,
            "under groups = \"open\": which groups anyone may join, as patterns; none: all, but none when "
            "clients have names of their own (issuers, listen.client_header), since a group must not be somebody's "
            "name"),
        flag("channels", "group_past", &s::group_past,
             "whether a client that joins a group may resume what was said to it before; false: nothing, or "
             "what the service gives it (since_ms in its answer to foz.join)"),
        patterns("may_consume", &s::may_consume,
                 "topics that a client may hear unless its token says it, as patterns; none: nothing"),
        patterns("may_publish", &s::may_publish, "topics that it may publish to, likewise"),
        patterns("may_request", &s::may_request, "topics that it may ask an answer on, likewise"),
        list("channels", "may_send_types", &s::may_send_types, "TYPE",
             "types of messages that it may send, exact or with a * at the end; \"\": without a type; none: any"),
        redeliver(),
        number("channels", "no_service_after_ms", &s::no_service_after, {0, day_ms}, "ms",
               "a request to a channel that had no consumer for so long is refused instead of waiting"),
        number("channels", "publish_rate", &s::publish_rate, {0, 1'000'000'000}, "messages a second",
               "of one client to this channel; a further one is told `rate_limited` and not published; 0: as "
               "limits.client_publishes allows"),
        flag("channels", "presence", &s::presence, "the service is told when a client comes and goes"),
        choice("not_json", &s::not_json, {"drop", "base64"}, "what to do with a service's body that is not valid JSON"),
        number("channels", "volatile_max_length", &s::volatile_max_length, {1, 10'000'000}, "messages",
               "of a volatile channel: in a foz's queue before the oldest is dropped"),
        number(
            "channels", "retention_bytes", &s::retention_bytes, {0, std::int64_t(1) << 60}, "octets",
            "what the stream of a durable channel keeps; 0: not limited. It becomes a policy (`foz topology export`)"),
        retention_hours(),
    };
}

}  // namespace foz::ops::table
