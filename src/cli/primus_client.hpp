// A client of an aggregator: one WebSocket that speaks as the Primus client does.
#pragma once

#include "net/stream.hpp"
#include "net/tls.hpp"
#include "primus/packet.hpp"
#include "ws/codec/parser.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

namespace foz::cli {

struct server_address {
    std::string host;
    std::uint16_t port = 0;
    bool tls = false;
    std::string path = "/primus/";
};

// ws://, wss://, http://, https://; the path is /primus/ unless it names another one. The error is a sentence.
std::expected<server_address, std::string> parse_server_address(std::string_view url);

struct client_options {
    server_address server;
    std::string query;  // without '?'
    bool insecure = false;
    std::chrono::milliseconds timeout = std::chrono::seconds(10);  // until the handshake is done
};

// What arrives: a JSON value, or the end.
struct client_event {
    enum class kind : std::uint8_t { data, ended, nothing };
    kind what = kind::nothing;  // nothing: the time has passed, or interrupt() was called
    std::string text;           // data: the JSON; ended: why, in words
    bool stay_away = false;     // ended: the server does not want us back
    std::string response;       // data: the id of our request that it answers (primus-responder); else empty
};

// Lives on one shard, used by one coroutine. Pings are answered by itself. What is not read yet is bounded: TCP slows
// the server down.
class primus_client final : private net::stream_handler, private ws::parser_handler {
public:
    // The error is a sentence for people.
    static boost::asio::awaitable<std::expected<std::unique_ptr<primus_client>, std::string>> open(
        net::shard& home, client_options options);
    ~primus_client();

    void send(std::string_view json);
    boost::asio::awaitable<client_event> next(steady_time until);
    // Ends a next() that waits.
    void interrupt();
    // The socket ends at once, without a word to the server.
    void abort();
    // From now on nothing is read, so that TCP slows the server down, until resume_reading().
    void pause_reading();
    void resume_reading();

private:
    explicit primus_client(std::shared_ptr<net::stream> stream);

    void on_octets(std::span<char> octets) override;
    void on_closed(net::error_code why) override;
    void on_message(ws::opcode kind, std::string_view payload) override;
    void on_ping(std::string_view payload) override;
    void on_pong(std::string_view) override {}
    void on_close(ws::close_code code, std::string_view reason) override;

    std::size_t read_head(std::string_view octets);
    void write_frame(ws::opcode kind, std::string_view payload);
    void push(client_event event);
    void end(std::string why);

    std::shared_ptr<net::stream> stream_;
    ws::parser parser_;
    primus::parser packets_;
    std::string head_;
    std::string key_;
    bool upgraded_ = false;
    bool ended_ = false;
    bool stay_away_ = false;
    bool held_ = false;  // pause_reading()
    std::deque<client_event> events_;
    boost::asio::steady_timer wake_;
};

}  // namespace foz::cli
