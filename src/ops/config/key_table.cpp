#include "ops/config/key_table.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <type_traits>
#include <utility>

namespace foz::ops {
namespace {

using aggregator::settings;
using contract::channel_settings;

constexpr std::int64_t day_ms = 86'400'000;
constexpr std::int64_t mega = 1024 * 1024;
constexpr std::int64_t giga = 1024 * mega;

// Where a member lives: of the configuration, of its server, or of a channel.
template <class M>
auto& at(const target& t, M configuration::* member) {
    return t.all.*member;
}
template <class M>
auto& at(const target& t, M settings::* member) {
    return t.all.server.*member;
}
template <class M>
auto& at(const target& t, M aggregator::session_settings::* member) {
    return t.all.server.*member;
}
template <class M>
auto& at(const target& t, M embedded_settings::* member) {
    return t.all.embedded.*member;
}
template <class M>
auto& at(const target& t, M amqp::publisher_options::* member) {
    return t.all.server.publishing.*member;
}
template <class M>
auto& at(const target& t, M channel_settings::* member) {
    return t.channel->*member;
}

template <class T>
std::int64_t to_number(const T& x) {
    if constexpr (std::is_integral_v<T>)
        return static_cast<std::int64_t>(x);
    else
        return x.count();
}

struct range {
    std::int64_t min;
    std::int64_t max;
};

template <class Owner, class M>
key number(const char* section, const char* name, M Owner::* member, range within, const char* unit, const char* help) {
    key made{.section = section, .name = name, .type = value_type::integer, .unit = unit, .help = help};
    made.min = within.min;
    made.max = within.max;
    made.get = [member](const target& t) { return value(to_number(at(t, member))); };
    made.set = [member](const target& t, const value& v) { at(t, member) = M(std::get<std::int64_t>(v)); };
    return made;
}

template <class Owner>
key flag(const char* section, const char* name, bool Owner::* member, const char* help) {
    key made{.section = section, .name = name, .type = value_type::boolean, .help = help};
    made.get = [member](const target& t) { return value(at(t, member)); };
    made.set = [member](const target& t, const value& v) { at(t, member) = std::get<bool>(v); };
    return made;
}

template <class Owner>
key text(const char* section, const char* name, std::string Owner::* member, const char* unit, const char* help) {
    key made{.section = section, .name = name, .unit = unit, .help = help};
    made.get = [member](const target& t) { return value(at(t, member)); };
    made.set = [member](const target& t, const value& v) { at(t, member) = std::get<std::string>(v); };
    return made;
}

template <class Owner>
key list(const char* section, const char* name, std::vector<std::string> Owner::* member, const char* unit,
         const char* help) {
    key made{.section = section, .name = name, .type = value_type::list, .unit = unit, .help = help};
    made.get = [member](const target& t) { return value(at(t, member)); };
    made.set = [member](const target& t, const value& v) { at(t, member) = std::get<std::vector<std::string>>(v); };
    return made;
}

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

key with_words(key made, std::vector<std::string> words) {
    made.words = std::move(words);
    return made;
}

key with_flaw(key made, std::function<std::string(const value&)> flaw) {
    made.flaw = std::move(flaw);
    return made;
}

// Also to be said as a flag, and as a variable that is known for longer than the table.
key as_flag(key made, const char* flag_name, const char* alias = "") {
    made.flag = flag_name;
    made.alias = alias;
    return made;
}

std::string no_file(const value& v) {
    const auto& path = std::get<std::string>(v);
    std::error_code error;
    if (path.empty() || (std::filesystem::is_regular_file(path, error) && std::ifstream(path))) return {};
    return "a file that can be read is expected, not " + path;
}

std::string no_folder(const value& v) {
    const auto& path = std::get<std::string>(v);
    std::error_code error;
    if (path.empty() || std::filesystem::is_directory(path, error)) return {};
    return "a folder is expected, not " + path;
}

std::string no_urls(const value& v) {
    for (const std::string& text : std::get<std::vector<std::string>>(v))
        if (const auto parsed = amqp::parse_url(text); !parsed) return parsed.error().text;
    return {};
}

std::string no_endpoint(const value& v) {
    const auto parsed = parse_endpoint(std::get<std::string>(v));
    return parsed ? std::string() : parsed.error();
}

std::string no_endpoint_or_off(const value& v) {
    return std::get<std::string>(v).empty() ? std::string() : no_endpoint(v);
}

std::string no_address(const value& v) {
    return no_endpoint(value("[" + std::get<std::string>(v) + "]:0"));
}

std::string empty_exchange(const value& v) {
    const auto& all = std::get<std::vector<std::string>>(v);
    return std::find(all.begin(), all.end(), "") == all.end() ? "" : "the default exchange must not be among them";
}

std::string no_vhost(const value& v) {
    constexpr std::size_t octets_max = 255;  // a short string, AMQP 0-9-1 §4.2.5.3
    for (const std::string& name : std::get<std::vector<std::string>>(v)) {
        if (name.empty()) return "a virtual host has a name; the usual one is /";
        if (name.size() > octets_max) return "the name of a virtual host has at most 255 octets";
    }
    return {};
}

std::string host_and_port(const settings& server) {
    const bool v6 = server.listen_address.find(':') != std::string::npos;
    return (v6 ? "[" + server.listen_address + "]" : server.listen_address) + ":" + std::to_string(server.listen_port);
}

// Both parts of `listen` at once; a file has a section of that name.
key listen() {
    key made{.section = "listen", .unit = "ADDRESS:PORT", .help = "address and port at once"};
    made.get = [](const target& t) { return value(host_and_port(t.all.server)); };
    made.set = [](const target& t, const value& v) {
        const endpoint where = *parse_endpoint(std::get<std::string>(v));
        t.all.server.listen_address = where.address;
        t.all.server.listen_port = where.port;
    };
    return with_flaw(std::move(made), no_endpoint);
}

key broker_ca() {
    key made{.section = "broker",
             .name = "ca",
             .unit = "FILE",
             .help = "PEM file of the CA that signed an amqps broker's certificate; empty: the system's"};
    made.get = [](const target& t) { return value(t.all.server.broker_tls.ca_file); };
    made.set = [](const target& t, const value& v) { t.all.server.broker_tls.ca_file = std::get<std::string>(v); };
    return with_flaw(std::move(made), no_file);
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

std::vector<key> listen_keys() {
    using c = configuration;
    using s = settings;
    return {
        as_flag(number("", "threads", &c::threads, {0, 256}, "", "event loops; 0: one for each core"), "--threads"),
        text("", "name", &s::name, "", "what the broker's tools call the connections"),

        as_flag(listen(), "--listen"),
        with_flaw(text("listen", "address", &s::listen_address, "", "IP address for clients"), no_address),
        number("listen", "port", &s::listen_port, {0, 65'535}, "", "port for clients; 0: the kernel chooses"),
        as_flag(flag("listen", "share_port", &s::share_port,
                     "listen beside other foz processes of this user; the kernel spreads new connections over them"),
                "--share-port"),
        as_flag(with_flaw(text("listen", "tls_certificate", &c::tls_certificate, "FILE",
                               "PEM file, the chain; makes it https and wss"),
                          no_file),
                "--tls-certificate"),
        as_flag(with_flaw(text("listen", "tls_key", &c::tls_key, "FILE", "PEM file of the certificate's key"), no_file),
                "--tls-key"),
        as_flag(
            flag("listen", "allow_anonymous", &c::allow_anonymous, "let anyone in on an address that is not loopback"),
            "--allow-anonymous"),
        list("listen", "origins", &s::origins, "ORIGIN",
             "origins of pages that may connect besides those of the same host; \"*\": all"),

        as_flag(with_flaw(text("web", "folder", &s::web_folder, "FOLDER", "files that are served at /"), no_folder),
                "--web"),
        as_flag(with_flaw(text("web", "primus_js", &s::primus_js_file, "FILE",
                               "the client library, served at /primus/primus.js; empty: the one that came with foz"),
                          no_file),
                "--primus-js"),
        as_flag(
            with_flaw(text("web", "foz_js", &s::foz_js_file, "FILE",
                           "the same with the Foz plugin, served at /primus/foz.js; empty: the one that came with foz"),
                      no_file),
            "--foz-js"),
    };
}

std::vector<key> broker_keys() {
    using c = configuration;
    using s = settings;
    using p = amqp::publisher_options;
    return {
        as_flag(
            with_flaw(
                list("broker", "urls", &c::urls, "URL",
                     "AMQP URLs, tried in turn until one answers (as a flag: repeatable); none: the embedded broker"),
                no_urls),
            "--broker", "FOZ_BROKER"),
        as_flag(with_flaw(list("broker", "consume_urls", &c::consume_urls, "URL", "for consuming alone; empty: urls"),
                          no_urls),
                "--consume-broker"),
        as_flag(with_flaw(list("broker", "publish_urls", &c::publish_urls, "URL", "for publishing alone; empty: urls"),
                          no_urls),
                "--publish-broker"),
        as_flag(broker_ca(), "--broker-ca"),
        number("broker", "stream_prefetch", &s::stream_prefetch, {1, 65'535}, "messages",
               "sent ahead of their acknowledgement by each stream"),
        number("broker", "content_bytes", &s::content_bytes_max, {64 * 1'024, 128 * mega}, "octets",
               "of a service's message; a larger one is skipped, counted, and told as a gap"),
        number("broker", "confirm_timeout_ms", &p::confirm_timeout, {100, 600'000}, "ms",
               "without any confirm while messages wait for one: the AMQP channel is opened anew, after half as long "
               "the connection, at the next URL"),
        number("broker", "unready_after_ms", &s::unready_after, {0, 600'000}, "ms",
               "without one of its connections to the broker: not ready, new clients are told 503 until it is back"),
    };
}

std::vector<key> embedded_keys() {
    using e = embedded_settings;
    return {
        as_flag(text("embedded", "data", &e::data, "FOLDER", "where it keeps what has to last; made when missing"),
                "--data"),
        as_flag(with_flaw(text("embedded", "listen", &e::listen, "ADDRESS:PORT",
                               "AMQP for services and tools; port 0: the kernel chooses"),
                          no_endpoint),
                "--amqp-listen"),
        as_flag(with_flaw(text("embedded", "tls_listen", &e::tls_listen, "ADDRESS:PORT",
                               "amqps beside it, usually on port 5671; empty: none"),
                          no_endpoint_or_off),
                "--amqp-tls-listen"),
        as_flag(with_flaw(text("embedded", "tls_certificate", &e::tls_certificate, "FILE",
                               "PEM file, the chain, of the amqps port"),
                          no_file),
                "--amqp-tls-certificate"),
        as_flag(
            with_flaw(text("embedded", "tls_key", &e::tls_key, "FILE", "PEM file of the certificate's key"), no_file),
            "--amqp-tls-key"),
        as_flag(with_flaw(text("embedded", "tls_ca", &e::tls_ca, "FILE",
                               "PEM file: who signs clients' certificates; their common name is then a user "
                               "(EXTERNAL)"),
                          no_file),
                "--amqp-tls-ca"),
        as_flag(with_flaw(list("embedded", "vhosts", &e::vhosts, "NAME",
                               "virtual hosts; foz itself uses the first one (as a flag: repeatable)"),
                          no_vhost),
                "--vhost"),
        as_flag(with_flaw(text("embedded", "definitions", &e::definitions, "FILE",
                               "users, permissions, policies, exchanges, queues: RabbitMQ's JSON, applied at every "
                               "start"),
                          no_file),
                "--definitions"),
        number("embedded", "memory_bytes", &e::memory_bytes, {0, std::int64_t(1) << 50}, "octets",
               "resident memory above which publishers wait; 0: two fifths of the machine's"),
        number("embedded", "disk_free_bytes", &e::disk_free_bytes, {0, std::int64_t(1) << 50}, "octets",
               "free disk below which publishers wait"),
    };
}

std::vector<key> client_keys() {
    using s = settings;
    return {
        as_flag(number("client", "ping_interval_ms", &s::ping_interval, {100, 600'000}, "ms",
                       "between Primus pings; a client silent for as long is dropped"),
                "--ping-interval"),
        as_flag(number("client", "request_timeout_ms", &s::request_timeout, {1, day_ms}, "ms",
                       "that a request without timeout_ms waits for its answer"),
                "--request-timeout"),
        as_flag(number("client", "publish_timeout_ms", &s::publish_timeout, {1, 600'000}, "ms",
                       "that a message waits for the broker's confirm"),
                "--publish-timeout"),
        number("client", "position_interval_ms", &s::position_interval, {100, day_ms}, "ms",
               "sessions that can resume are told their position at least so often"),
        number("client", "position_entries", &s::position_entries, {1, 1'000'000}, "messages",
               "or after so many messages of the channel, at most a tenth of resume_entries"),
        number("client", "drain_spread_ms", &s::drain_spread, {0, 600'000}, "ms",
               "clients are sent away over so long when foz stops"),
        number(
            "client", "presence_lease_ms", &s::presence_lease, {400, 600'000}, "ms",
            "that an aggregator may say nothing to the others before services are told that its sessions are closed"),
        number("client", "drain_grace_ms", &s::drain_grace, {0, 600'000}, "ms",
               "that foz still takes clients after a SIGTERM, while /readyz says 503"),
        number("client", "drain_limit_ms", &s::drain_limit, {0, day_ms}, "ms",
               "that stopping may take in all; clients that wait for an answer are closed then"),
        with_flaw(list("client", "publish_targets", &s::publish_targets, "EXCHANGE",
                       "exchanges that a client's publish_target may name"),
                  empty_exchange),

        number("limits", "connections", &s::connections_max, {1, 10'000'000}, "connections",
               "of the whole process; further clients are told 503"),
        number("limits", "message_bytes", &s::message_bytes_max, {1'024, 16 * mega}, "octets", "of a client's frame"),
        number("limits", "queue_bytes", &s::queue_bytes_max, {1'024, giga}, "octets",
               "waiting for one socket that takes nothing; more, and it is slow"),
        number("limits", "queue_patience_ms", &s::queue_patience, {100, 600'000}, "ms",
               "that a socket may take nothing of more than queue_bytes before it is slow"),
        number("limits", "loop_queue_bytes", &s::shard_queue_bytes_max, {mega, 64 * giga}, "octets",
               "waiting for all sockets of one event loop; more, and slow ones are given no time"),
        number("limits", "receive_rate", &s::receive_rate_min, {0, giga}, "octets a second",
               "at which a client's message has to come once it has begun, or the client counts as silent; 0: at any"),
        number("limits", "requests_per_client", &s::requests_per_client_max, {1, 1'000'000}, "",
               "of one client, over all its sockets, waiting for an answer"),
        number("limits", "subscriptions_per_session", &s::subscriptions_per_session_max, {1, 1'000'000}, "",
               "groups and topics of one socket, of all channels together"),
        number("limits", "deduplication_window", &s::deduplication_window, {0, 10'000'000}, "ids",
               "message ids that are remembered for each channel"),
        number("limits", "recent_bytes", &s::recent_bytes_max, {0, 64 * giga}, "octets",
               "recent messages of each durable channel that are kept for those who come back"),
        number("limits", "history_entries", &s::history_entries, {0, 1'000'000'000}, "entries",
               "of each durable channel that are read at the start, so that those who come back find them in memory"),
        number("limits", "reader_bytes", &s::reader_bytes_max, {64 * 1'024, 64 * giga}, "octets",
               "read from a durable channel and not yet dispatched; more, and its stream is read later"),
        number("limits", "clock_tolerance_ms", &s::clock_tolerance, {0, day_ms}, "ms",
               "that publishers' clocks may be off: a replay passes over a message only when it expired so long ago"),
        number("limits", "resume_entries", &s::resume_entries_max, {0, 1'000'000'000}, "entries",
               "of a stream that one resume may read before it is told of a gap instead"),
        number("limits", "outcomes", &s::outcomes_max, {0, 10'000'000}, "outcomes",
               "of messages with an id that each event loop remembers for resends"),
        number("limits", "catch_up_readers", &s::catch_up_readers_max, {1, 1'000}, "",
               "of each durable channel that read older entries at a time, for all who come back after long"),
    };
}

// Of what clients publish, for each channel and each event loop.
std::vector<key> publishing_keys() {
    using p = amqp::publisher_options;
    return {
        number("limits", "publish_in_flight", &p::in_flight_limit, {1, 65'535}, "messages",
               "of each channel and event loop that the broker has not confirmed yet; further ones wait"),
        number("limits", "publish_in_flight_bytes", &p::in_flight_octets_limit, {1'024, giga}, "octets", "the same"),
        number("limits", "publish_waiting", &p::pending_limit, {1, 100'000'000}, "messages",
               "of each channel and event loop without an outcome; a further one is told `overloaded`"),
        number("limits", "publish_waiting_bytes", &p::pending_octets_limit, {1'024, 64 * giga}, "octets", "the same"),
        number("limits", "publish_waiting_per_client", &p::key_waiting_limit, {1, 100'000'000}, "messages",
               "of one client that wait for their turn; a further one is told `overloaded`"),
        number("limits", "publish_waiting_bytes_per_client", &p::key_waiting_octets_limit, {1'024, 64 * giga}, "octets",
               "the same"),
    };
}

std::vector<key> operator_keys() {
    using c = configuration;
    return {
        as_flag(
            with_flaw(text("admin", "listen", &c::admin_listen, "ADDRESS:PORT",
                           "plain HTTP for operators: /metrics, /healthz, /readyz, /api/overview and more; empty: off"),
                      no_endpoint_or_off),
            "--admin-listen"),

        as_flag(with_words(text("log", "format", &c::log_format, "", "of the lines on stderr"), {"text", "json"}),
                "--log-format"),
        as_flag(with_words(text("log", "level", &c::log_level, "", "the least that is logged"),
                           {"debug", "info", "warning", "error"}),
                "--log-level"),
    };
}

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
        choice("groups", &s::groups, {"open", "service", "token"},
               "who may join a group: anyone, whom the channel's service lets in, whom the client's token names"),
        redeliver(),
        number("channels", "no_service_after_ms", &s::no_service_after, {0, day_ms}, "ms",
               "a request to a channel that had no consumer for so long is refused instead of waiting"),
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

}  // namespace

const std::vector<section>& sections() {
    static const std::vector<section> all{
        {"", "Of the process"},
        {"listen", "Where clients connect"},
        {"web", "Files that are served to browsers"},
        {"broker", "The AMQP broker that is used"},
        {"embedded", "The broker inside the process, for when `broker` names none"},
        {"client", "Clients' sessions"},
        {"limits", "What one client, or all, may use"},
        {"admin", "For operators"},
        {"log", "Logs"},
        {"channels",
         "Channels. When the file has any [channels.NAME], exactly those exist; else voice, chat and tickets "
         "do. A name is 1 to 32 of a-z, 0-9 and \"-\", and begins with a letter"},
    };
    return all;
}

std::vector<key> key_table() {
    std::vector<key> made;
    for (auto* part :
         {listen_keys, broker_keys, embedded_keys, client_keys, publishing_keys, operator_keys, channel_keys})
        for (key& one : part()) made.push_back(std::move(one));
    return made;
}

}  // namespace foz::ops
