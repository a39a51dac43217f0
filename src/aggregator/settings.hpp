// What an aggregator can be told. Filled by the command line; nothing here parses anything.
#pragma once

#include "amqp/codec/url.hpp"
#include "contract/channel_settings.hpp"
#include "net/tls.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace foz::aggregator {

struct settings {
    std::string listen_address = "127.0.0.1";
    std::uint16_t listen_port = 8080;  // 0: the kernel chooses
    std::optional<net::tls_server_options> tls;

    std::vector<amqp::url> consume_urls;
    std::vector<amqp::url> publish_urls;
    net::tls_client_options broker_tls;
    std::vector<contract::channel_settings> channels = contract::default_channels();

    std::string web_folder;      // files served at /; empty: none
    std::string primus_js_file;  // served at /primus/primus.js; empty: not found
    std::string foz_js_file;     // served at /primus/foz.js; empty: not found
    std::string name = "foz";    // for the broker's tools

    // Exchanges that a client's publish_target may name.
    std::vector<std::string> publish_targets{"INBOUND"};

    // Origins of pages that may connect besides those of the same host; "*": all.
    std::vector<std::string> origins{"*"};

    std::chrono::milliseconds ping_interval = std::chrono::seconds(30);
    std::chrono::milliseconds request_timeout = std::chrono::seconds(30);  // of a request that names none
    std::chrono::milliseconds publish_timeout = std::chrono::seconds(10);  // a publish waits so long for its confirm

    std::size_t connections_max = 100'000;  // of the whole process; further clients are told 503
    std::uint64_t descriptors_max = 0;      // of these a client may have those below; 0: all

    std::size_t message_bytes_max = 256 * 1024;         // of a client's frame
    std::size_t queue_bytes_max = 1024 * 1024;          // waiting for one socket; then it is slow
    std::size_t requests_per_session_max = 1'000;       // waiting for an answer
    std::size_t subscriptions_per_session_max = 1'000;  // groups and topics of all channels together
    std::size_t deduplication_window = 10'000;          // message ids remembered for each channel
    std::uint16_t stream_prefetch = 1'000;

    // For those who come back: recent messages of each durable channel that are kept in memory, and how many entries of
    // its stream one resume may read before it is told of a gap instead.
    std::size_t recent_bytes_max = 16 * 1024 * 1024;
    std::size_t resume_entries_max = 100'000;
    // Those who resume are told their position at least so often, or after so many messages of the channel.
    std::chrono::milliseconds position_interval = std::chrono::seconds(30);
    std::size_t position_entries = 1'000;
    // Outcomes of messages with an id that are remembered for resends, on each shard.
    std::size_t outcomes_max = 10'000;
    std::chrono::milliseconds drain_spread = std::chrono::seconds(2);  // clients are sent away over so long
};

}  // namespace foz::aggregator
