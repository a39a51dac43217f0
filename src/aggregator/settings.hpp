// What an aggregator can be told. Filled by the command line; nothing here parses anything.
#pragma once

#include "aggregator/session/session_settings.hpp"
#include "amqp/codec/url.hpp"
#include "amqp/conn/publish_window.hpp"
#include "contract/topology_keeper.hpp"
#include "identity/settings.hpp"
#include "net/tls.hpp"
#include "net/tls_peer.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::aggregator {

// What an anonymous page of the same origin comes back with.
inline constexpr std::string_view resume_cookie = "foz_resume";

// Which header fields trusted proxies set (ws::forwarding).
enum class forwarding_header : std::uint8_t { x_forwarded, rfc_7239 };

// A service that is asked about clients that have shown no token and are named by nobody else (foz.connect).
struct connect_settings {
    std::string channel;  // whose queue it consumes; empty: there is none
    std::chrono::milliseconds timeout = std::chrono::seconds(5);
    std::vector<std::string> headers;         // of the client's request, that it is told
    std::vector<std::string> cookies;         // the same, by name, but of pages whose origin is not trusted
    std::string client_prefix;                // before every subject that it names
    std::chrono::seconds leeway{30};          // that its clock may differ
    std::size_t questions_max = 1'000;        // without an answer, of the whole process
    std::size_t address_questions_max = 100;  // of these, of one client's address (net::address_table)
};

struct settings : session_settings {
    std::string listen_address = "127.0.0.1";
    std::uint16_t listen_port = 8080;  // 0: the kernel chooses
    // Listens beside other aggregators of the same user, over which the kernel spreads new connections. That nobody has
    // the port is then not checked.
    bool share_port = false;
    std::optional<net::tls_server_options> tls;
    std::optional<net::peer_name> client_name;  // of a client's certificate; nothing: none is asked for

    std::vector<amqp::url> consume_urls;
    std::vector<amqp::url> publish_urls;
    net::tls_client_options broker_tls;
    std::vector<std::string> revokers;  // users of the broker that may revoke besides publish_urls' own
    std::shared_ptr<contract::topology_keeper> topology;  // of the channels; whoever makes the feed makes it

    // An aggregator that misses one of its connections to the broker for so long is not ready: new clients are told
    // 503.
    std::chrono::milliseconds unready_after = std::chrono::seconds(5);

    std::string web_folder;      // files served at /; empty: none
    std::string primus_js_file;  // served at /primus/primus.js; empty: not found
    std::string foz_js_file;     // served at /primus/foz.js; empty: not found
    std::string name = "foz";    // for the broker's tools

    // Proxies (net::network_list) whose word on how a client came to them is taken, and where they give it.
    std::vector<std::string> proxies;
    forwarding_header forwarding = forwarding_header::x_forwarded;
    // Networks (net::network_list) from which every connection begins with a PROXY protocol header.
    std::vector<std::string> proxy_protocol;
    // Names that are answered to besides localhost and IP addresses (ws::host_list).
    std::vector<std::string> hosts;
    // Origins of pages that may connect besides those of the same host; "*": all.
    std::vector<std::string> origins{"*"};

    // Whose tokens are believed. None: clients can't show one.
    std::vector<identity::issuer_settings> issuers;
    std::string token_cookie = "foz_token";  // where a page of the same origin may have it; empty: nowhere
    // Headers of trusted proxies: who the client is, which groups it is in (with commas), and what services are told
    // of it. Empty: proxies do not say it.
    std::string client_header;
    std::string groups_header;
    std::vector<std::string> meta_headers;
    connect_settings connect;
    // Clients without a name of their own are let in, unless a connect service says who is.
    bool anonymous = true;

    std::size_t connections_max = 100'000;             // of the whole process; further clients are told 503
    std::size_t handshakes_max = 4'096;                // TLS, under way, of the whole process; further ones are closed
    std::size_t half_open_max = 4'096;                 // connections without a whole request, of the whole process
    std::size_t address_connections_max = 10'000;      // of one client's address (net::address_table)
    std::size_t address_arrivals_max = 1'000;          // the same, a second; 0: at any rate
    std::size_t unread_bytes_max = 128 * 1024 * 1024;  // HTTP answers that wait for the clients of one shard
    std::uint64_t descriptors_max = 0;                 // of these a client may have those below; 0: all
    std::size_t deduplication_window = 10'000;         // message ids remembered for each channel
    std::uint16_t stream_prefetch = 1'000;
    std::size_t content_bytes_max = 16 * 1024 * 1024;   // of a message that the broker sends; larger ones are skipped
    amqp::publisher_options publishing;                 // of what clients publish, for each channel and shard
    std::size_t catch_up_readers_max = 4;               // of each durable channel, for those who come back after long
    std::size_t catch_up_bytes_max = 16 * 1024 * 1024;  // what these have read ahead, all together
    // Of the process: shortly before it is used up nothing new is taken on. Most of the limits above and below are
    // shares of it, unless they were said. 0: not limited.
    std::uint64_t memory_bytes_max = 0;
    // A socket that takes nothing for so long, with too much waiting for it, is slow; with more than this waiting for
    // all sockets of a shard together there is no patience.
    std::chrono::milliseconds queue_patience = std::chrono::seconds(5);
    std::size_t shard_queue_bytes_max = 256 * 1024 * 1024;
    // Octets a second at which a client's message, once it has begun, has to come; 0: at any rate.
    std::size_t receive_rate_min = 100;
    // Read from a durable channel and not yet dispatched by every shard: more, and its reader stops until they have.
    std::size_t reader_bytes_max = 32 * 1024 * 1024;
    // One that says nothing to the others for so long is dead: another one tells the services that its sessions are
    // closed.
    std::chrono::milliseconds presence_lease = std::chrono::seconds(6);
    // An aggregator that stops says so at once and takes clients for so long, until whoever sends them has noticed.
    std::chrono::milliseconds drain_grace = std::chrono::seconds(2);
    // Then they are sent away. After so long in all, those that still wait for an answer are closed, too.
    std::chrono::milliseconds drain_limit = std::chrono::seconds(25);
    // An aggregator that starts begins so many entries before the end of a stream: clients that come back find them in
    // memory.
    std::size_t history_entries = 20'000;
};

}  // namespace foz::aggregator
