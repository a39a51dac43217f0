#include "ops/config/key_table.hpp"

#include "ops/config/key_flaws.hpp"
#include "ops/config/key_makers.hpp"

#include <algorithm>
#include <utility>

namespace foz::ops {
namespace table {
namespace {

using aggregator::settings;

constexpr std::int64_t mega = 1024 * 1024;
constexpr std::int64_t giga = 1024 * mega;

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

key forwarding() {
    const std::vector<std::string> words{"x-forwarded", "forwarded"};  // in the order of the enumeration
    key made{.section = "listen",
             .name = "forwarding",
             .words = words,
             .help = "where proxies say so: X-Forwarded-For, -Proto and -Host, or Forwarded (RFC 7239)"};
    made.get = [words](const target& t) { return value(words[static_cast<std::size_t>(t.all.server.forwarding)]); };
    made.set = [words](const target& t, const value& v) {
        using aggregator::forwarding_header;
        const bool rfc = std::get<std::string>(v) == words[1];
        t.all.server.forwarding = rfc ? forwarding_header::rfc_7239 : forwarding_header::x_forwarded;
    };
    return made;
}

key client_name() {
    const std::vector<std::string> words{"common_name", "dns", "email", "uri"};  // in the order of the enumeration
    key made{.section = "listen",
             .name = "tls_client_name",
             .words = words,
             .help =
                 "which name of a client's certificate says who it is: the subject's common name, or the "
                 "subjectAltName of this kind; with none or several of it there is no name"};
    made.get = [words](const target& t) { return value(words[static_cast<std::size_t>(t.all.tls_client_name)]); };
    made.set = [words](const target& t, const value& v) {
        const auto at = std::ranges::find(words, std::get<std::string>(v));
        t.all.tls_client_name = static_cast<net::peer_name>(at - words.begin());
    };
    return made;
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
        with_flaw(list("listen", "tls_more", &c::tls_more, "CERTIFICATE:KEY",
                       "further pairs of PEM files, for clients that ask for one of their names (SNI); others get "
                       "tls_certificate"),
                  no_pairs),
        with_flaw(
            text("listen", "tls_client_ca", &c::tls_client_ca, "FILE", "PEM file: the CA of clients' certificates"),
            no_file),
        with_words(
            text("listen", "tls_client_certificates", &c::tls_client_certificates, "",
                 "whether clients are asked for a certificate of tls_client_ca; one of another signer is refused"),
            {"off", "optional", "required"}),
        client_name(),
    };
}

std::vector<key> who_comes_in_keys() {
    using c = configuration;
    using s = settings;
    return {
        as_flag(flag("listen", "allow_anonymous", &c::allow_anonymous,
                     "let clients in that have no name, on any address; without issuers, client_header and "
                     "connect_service they are let in on a loopback address"),
                "--allow-anonymous"),
        text("listen", "token_cookie", &s::token_cookie, "NAME",
             "the cookie in which a page of the same origin may have its token; empty: none"),
        number("listen", "refresh_notice_ms", &s::refresh_notice, {1'000, day_ms}, "ms",
               "before its token ends a client is told so; of what is left when it comes, a quarter at most"),
        with_flaw(text("listen", "client_header", &s::client_header, "HEADER",
                       "in which a proxy of `proxies` says who the client is (of Kong: X-Credential-Identifier or "
                       "X-Consumer-Username); empty: proxies do not say it"),
                  no_header),
        with_flaw(text("listen", "groups_header", &s::groups_header, "HEADER",
                       "in which it names the groups that the client may join, with commas"),
                  no_header),
        with_flaw(
            list("listen", "meta_headers", &s::meta_headers, "HEADER", "whose values services are told as foz-meta"),
            no_headers),
        with_flaw(list("listen", "hosts", &s::hosts, "NAME",
                       "names that foz answers to, also on the admin port, besides localhost and IP addresses; "
                       "\"*.NAME\": all below it; \"*\": all"),
                  no_hosts),
        with_flaw(
            list("listen", "proxies", &s::proxies, "ADDRESS[/BITS]",
                 "proxies that are believed when they say who a client is, and by which scheme and name it came to "
                 "them; they have to overwrite or extend what clients say of it"),
            no_networks),
        forwarding(),
        with_flaw(list("listen", "proxy_protocol", &s::proxy_protocol, "ADDRESS[/BITS]",
                       "proxies whose connections all begin with a PROXY protocol header (version 1 or 2, before TLS), "
                       "which says who the client is; from other addresses such a header closes the connection"),
                  no_networks),
        list("listen", "origins", &s::origins, "ORIGIN",
             "origins of pages that may connect besides those of the same origin; \"*\": all, but "
             "without what a browser adds by itself: a client certificate, a proxy's login"),
    };
}

std::vector<key> web_keys() {
    using s = settings;
    return {
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
        list(
            "broker", "revokers", &s::revokers, "USER",
            "users of the broker that may revoke tokens besides urls' own; entries of others in the stream REVOKED are "
            "passed over, counted and told"),
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
                               "PEM file: the CA of clients' certificates; their common name is then a user "
                               "(EXTERNAL)"),
                          no_file),
                "--amqp-tls-ca"),
        with_flaw(list("embedded", "proxy_protocol", &e::proxy_protocol, "ADDRESS[/BITS]",
                       "as listen.proxy_protocol, of the AMQP ports"),
                  no_networks),
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
    };
}

std::vector<key> limit_keys() {
    using s = settings;
    return {
        with_flaw(
            number("limits", "memory_bytes", &s::memory_bytes_max, {0, std::int64_t(1) << 50}, "octets",
                   "of the process; shortly before it is used up new clients and messages are refused; 0: three fifths "
                   "of what the machine and the control groups leave it"),
            too_little_memory),
        number("limits", "connections", &s::connections_max, {1, 10'000'000}, "connections",
               "of the whole process; further clients are told 503"),
        number("limits", "handshakes", &s::handshakes_max, {1, 10'000'000}, "handshakes",
               "TLS handshakes of clients that are under way; a connection beyond takes the place of one that has been "
               "under way for two seconds, or is closed"),
        number(
            "limits", "half_open", &s::half_open_max, {1, 10'000'000}, "connections",
            "that have not made a whole request yet, after TLS; a further one takes the place of the oldest one that "
            "has waited for a second"),
        number("limits", "address_connections", &s::address_connections_max, {1, 10'000'000}, "connections",
               "of one client's address (IPv4, or an IPv6 /64), unless that is this machine or one of listen.proxies; "
               "a further one is told 429"),
        number("limits", "address_handshakes", &s::address_arrivals_max, {0, 1'000'000}, "a second",
               "connections that may come from one such address; 0: at any rate"),
        number("limits", "answer_bytes", &s::unread_bytes_max, {mega, 64 * giga}, "octets",
               "HTTP answers that wait for all clients of one event loop; a request beyond is told 503"),
        number("limits", "message_bytes", &s::message_bytes_max, {1'024, 16 * mega}, "octets", "of a client's frame"),
        number("limits", "queue_bytes", &s::queue_bytes_max, {1'024, giga}, "octets",
               "waiting for one socket that takes nothing; more, and it is slow"),
        number("limits", "queue_patience_ms", &s::queue_patience, {100, 600'000}, "ms",
               "that a socket may take nothing of more than queue_bytes before it is slow"),
        number("limits", "loop_queue_bytes", &s::shard_queue_bytes_max, {mega, 64 * giga}, "octets",
               "waiting for all sockets of one event loop; more, and slow ones are given no time"),
        number("limits", "receive_rate", &s::receive_rate_min, {0, giga}, "octets a second",
               "at which a client's message has to come once it has begun, or the client counts as silent; 0: at any"),
    };
}

std::vector<key> client_limit_keys() {
    using s = settings;
    using l = aggregator::client_limits;
    return {
        number("limits", "client_frames", &l::frames, {0, 1'000'000'000}, "frames a second",
               "of one client, over all its sockets; beyond it they are read more slowly; 0: as many as come"),
        number("limits", "client_octets", &l::octets, {0, 2'000'000'000}, "octets a second", "the same"),
        number("limits", "client_publishes", &l::publishes, {0, 1'000'000'000}, "messages a second",
               "of one client; a further one is told `rate_limited` and not published; 0: as many as come"),
        number("limits", "client_burst_ms", &l::burst, {100, 600'000}, "ms",
               "for which a client that sends nothing saves up what it may send at once"),
        number("limits", "client_patience_ms", &l::patience, {0, day_ms}, "ms",
               "that a client may go on beyond one of these rates before its sockets are closed; 0: for ever"),
        number("limits", "client_connections", &l::connections, {0, 1'000'000}, "sockets",
               "of one client at a time; a further one is refused for now; 0: as many as come"),
        number("limits", "kept_answer_bytes", &s::kept_answer_bytes_max, {64 * 1'024, 64 * giga}, "octets",
               "for each event loop, of answers that clients may not have heard; a quarter of it more for clients that "
               "are away, and for outcomes"),
        number("limits", "requests_per_client", &l::requests, {1, 1'000'000}, "",
               "of one client, over all its sockets, waiting for an answer"),
        number("limits", "subscriptions_per_session", &l::subscriptions, {1, 1'000'000}, "",
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
        number("limits", "catch_up_bytes", &s::catch_up_bytes_max, {64 * 1'024, 64 * giga}, "octets",
               "that these readers have read ahead, all together"),
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
        number("limits", "publish_waiting_bytes", &p::pending_octets_limit, {1'024, 64 * giga}, "octets",
               "of all channels of an event loop together, with 1 KiB for each message; one client may have no more of "
               "it waiting than is free"),
        number("limits", "publish_waiting_per_client", &p::key_waiting_limit, {1, 100'000'000}, "messages",
               "of one client that wait for their turn; a further one is told `overloaded`"),
        number("limits", "publish_waiting_bytes_per_client", &p::key_waiting_octets_limit, {1'024, 64 * giga}, "octets",
               "the same"),
    };
}

std::vector<key> log_keys() {
    using c = configuration;
    return {
        as_flag(with_words(text("log", "format", &c::log_format, "", "of the lines on stderr"), {"text", "json"}),
                "--log-format"),
        as_flag(with_words(text("log", "level", &c::log_level, "", "the least that is logged"),
                           {"debug", "info", "warning", "error"}),
                "--log-level"),
    };
}

}  // namespace
}  // namespace table

const std::vector<section>& sections() {
    static const std::vector<section> all{
        {"", "Of the process"},
        {"listen", "Where clients connect"},
        {"web", "Files that are served to browsers"},
        {"broker", "The AMQP broker that is used"},
        {"embedded", "The broker inside the process, for when `broker` names none"},
        {"client", "Clients' sessions"},
        {"limits", "What one client, or all, may use"},
        {"issuers",
         "The issuers of clients' tokens ([identity.md](identity.md)). A name is 1 to 32 of a-z, 0-9 and \"-\", and "
         "begins with a letter. Exactly one of keys_url, keys_file, secret_file and secret_variable says where the "
         "keys are"},
        {"connect_service",
         "The service that decides about clients without a token "
         "([identity.md](identity.md#a-service-that-decides))"},
        {"admin",
         "For operators ([admin.md](admin.md)). On an address that is not loopback, a login and TLS are needed"},
        {"admin_users",
         "The users of the admin port. A name is 1 to 32 of a-z, 0-9 and \"-\", and begins with a letter. Without any "
         "user, everyone who reaches the port may view, and nobody may act"},
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
         {table::listen_keys, table::who_comes_in_keys, table::web_keys, table::broker_keys, table::embedded_keys,
          table::client_keys, table::limit_keys, table::client_limit_keys, table::publishing_keys, table::issuer_keys,
          table::connect_keys, table::admin_keys, table::log_keys, table::channel_keys})
        for (key& one : part()) made.push_back(std::move(one));
    return made;
}

}  // namespace foz::ops
