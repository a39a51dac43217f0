// What an aggregator can be told. Filled by the command line; nothing here parses anything.
#pragma once

#include "aggregator/session/session_settings.hpp"
#include "amqp/codec/url.hpp"
#include "amqp/conn/publish_window.hpp"
#include "contract/topology_keeper.hpp"
#include "net/tls.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace foz::aggregator {

struct settings : session_settings {
    std::string listen_address = "127.0.0.1";
    std::uint16_t listen_port = 8080;  // 0: the kernel chooses
    // Listens beside other aggregators of the same user, over which the kernel spreads new connections. That nobody has
    // the port is then not checked.
    bool share_port = false;
    std::optional<net::tls_server_options> tls;

    std::vector<amqp::url> consume_urls;
    std::vector<amqp::url> publish_urls;
    net::tls_client_options broker_tls;
    std::shared_ptr<contract::topology_keeper> topology;  // of the channels; whoever makes the feed makes it

    // An aggregator that misses one of its connections to the broker for so long is not ready: new clients are told
    // 503.
    std::chrono::milliseconds unready_after = std::chrono::seconds(5);

    std::string web_folder;      // files served at /; empty: none
    std::string primus_js_file;  // served at /primus/primus.js; empty: not found
    std::string foz_js_file;     // served at /primus/foz.js; empty: not found
    std::string name = "foz";    // for the broker's tools

    // Origins of pages that may connect besides those of the same host; "*": all.
    std::vector<std::string> origins{"*"};

    std::size_t connections_max = 100'000;      // of the whole process; further clients are told 503
    std::uint64_t descriptors_max = 0;          // of these a client may have those below; 0: all
    std::size_t deduplication_window = 10'000;  // message ids remembered for each channel
    std::uint16_t stream_prefetch = 1'000;
    std::size_t content_bytes_max = 16 * 1024 * 1024;  // of a message that the broker sends; larger ones are skipped
    amqp::publisher_options publishing;                // of what clients publish, for each channel and shard
    std::size_t catch_up_readers_max = 4;              // of each durable channel, for those who come back after long
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
