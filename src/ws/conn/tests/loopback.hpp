// The server's side and the client's of a connection over loopback, for tests.
#pragma once

#include "net/stream.hpp"
#include "ws/codec/writer.hpp"
#include "ws/conn/connection.hpp"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace foz::ws::loopback {

inline constexpr mask_key key{'\x01', '\x02', '\x03', '\x04'};

inline std::string upgrade_octets(const std::string& target = "/ws") {
    return "GET " + target +
           " HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
}

inline std::string frame(opcode op, std::string_view payload) {
    std::string out;
    append_masked_frame(out, op, payload, key);
    return out;
}

inline std::string close_frame(close_code code) {
    return frame(opcode::close, close_payload(code, ""));
}

// The server's application: echoes text, obeys a few words, and writes down what happens.
struct echo_application final : application {
    struct socket final : socket_handler {
        explicit socket(echo_application& a) : app(a) {}
        void on_open(connection& c) override {
            self = &c;
            app.log.push_back("open");
        }
        void on_text(std::string_view text) override {
            app.log.push_back("text " + std::string(text));
            if (text == "close") return self->close(static_cast<close_code>(4001), "as you wish");
            if (text == "send me away")
                return self->close(static_cast<close_code>(4001), "as you wish", connection::late_messages::taken);
            if (text == "abort") return self->abort();
            if (text == "flood") {
                const frame_ref big = frame_ref::copy(server_frame(std::string(100'000, 'x')));
                for (int i = 0; i < 100; ++i) self->send(big);
                app.queued_max = self->queued_bytes();
                return;
            }
            self->send_text(text);
        }
        void on_binary(std::string_view octets) override {
            app.log.push_back("binary " + std::to_string(octets.size()));
        }
        void on_closed(close_code code, std::string_view, bool clean) override {
            app.log.push_back("closed " + std::to_string(static_cast<int>(code)) + (clean ? " clean" : " unclean"));
            if (app.on_end) app.on_end();
        }
        void on_drained() override { app.log.push_back("drained"); }
        static std::string server_frame(const std::string& text) {
            std::string out;
            append_frame(out, opcode::text, text);
            return out;
        }
        echo_application& app;
        connection* self = nullptr;
    };

    decision on_request(const http_request& request, const net::tcp::endpoint&, bool upgradable) override {
        log.push_back(request.method + " " + request.target + (upgradable ? " upgradable" : ""));
        if (request.path == "/ws") return upgrade{std::make_unique<socket>(*this), {{"Set-Cookie", "a=b"}}};
        return http_response{.body = "hello"};
    }

    std::vector<std::string> log;
    std::size_t queued_max = 0;
    std::function<void()> on_end;
};

// A client that writes given octets and collects everything until `until` is in it or the server closes.
struct raw_client final : net::stream_handler {
    ~raw_client() {
        if (stream) stream->abort();
    }
    void on_octets(std::span<char> octets) override {
        received.append(octets.data(), octets.size());
        const auto at = until.empty() ? std::string::npos : received.find(until);
        if (at != std::string::npos && next) std::exchange(next, nullptr)();
    }
    void on_closed(net::error_code) override {
        closed = true;
        if (on_end) on_end();
    }
    std::shared_ptr<net::stream> stream;
    std::string received, until;
    std::function<void()> next, on_end;
    bool closed = false;
};

inline std::string expected_upgrade() {
    return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSet-Cookie: a=b\r\n\r\n";
}

}  // namespace foz::ws::loopback
