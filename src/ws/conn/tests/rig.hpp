// A connection without sockets and without waiting, its application and its owner, for tests.
#pragma once

#include "net/tests/memory_stream.hpp"
#include "ws/codec/writer.hpp"
#include "ws/conn/connection.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace foz::ws::test {

using namespace std::chrono_literals;
using namespace std::string_literals;

constexpr mask_key key{'\x01', '\x02', '\x03', '\x04'};

inline std::string frame(opcode op, std::string_view payload, bool fin = true) {
    std::string out;
    append_masked_fragment(out, op, fin, payload, key);
    return out;
}

inline std::string upgrade_octets(const std::string& headers = "Connection: Upgrade\r\n") {
    return "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n" + headers +
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
}

inline std::string get(const std::string& target, const std::string& headers = "") {
    return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n";
}

inline std::size_t count(std::string_view text, std::string_view what) {
    std::size_t found = 0;
    for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) ++found;
    return found;
}

struct manual_clock final : clock {
    steady_time now() const override { return time; }
    steady_time time{};
};

// The application and the owner of one connection. `act` runs inside each callback, after it was written down.
struct rig : application, connection::owner {
    struct recorder final : socket_handler {
        explicit recorder(rig& r) : all(r) { ++all.handlers; }
        ~recorder() override { --all.handlers; }
        void on_open(connection& c) override {
            all.socket = &c;
            all.note("open");
        }
        void on_text(std::string_view text) override { all.note("text " + std::string(text)); }
        void on_binary(std::string_view octets) override { all.note("binary " + std::string(octets)); }
        void on_closed(close_code code, std::string_view, bool clean) override {
            all.note("closed " + std::to_string(static_cast<int>(code)) + (clean ? " clean" : " unclean"));
        }
        void on_drained() override { all.note("drained"); }
        rig& all;
    };

    rig() { begin(); }
    ~rig() { drop(); }

    void begin() {
        wire = std::make_shared<net::memory_stream>(home);
        listed = std::make_shared<connection>(wire, *this, *this, options);
        listed->start();
    }
    // What a server does when it is destroyed.
    void drop() {
        if (const auto one = std::exchange(listed, nullptr)) one->forsake();
    }
    void note(std::string event) {
        log.push_back(std::move(event));
        if (act) act();
    }
    decision on_request(const http_request& request, const net::tcp::endpoint&, bool) override {
        note(request.method + " " + request.target);
        if (decide) return decide(request);
        if (request.path == "/ws") return upgrade{std::make_unique<recorder>(*this), {}};
        if (answer) return answer();
        return http_response{.body = std::string(request.path == "/big" ? 1'000'000 : 1'000, 'x')};
    }
    std::size_t content_bytes_max() const override { return content_max; }
    void on_moved(connection&, unsigned, moved_connection) override {}
    bool may_answer(connection& asking, std::size_t octets) override {
        return asking.unread_bytes() + octets <= unread_max;
    }
    void on_dribbled() noexcept override { ++dribbled; }
    void on_proxy_head(connection&) override { ++proxy_heads; }
    void on_gone(connection&) override {
        ++gone;
        listed.reset();
    }
    void pass(std::chrono::milliseconds time_span) {
        time.time += time_span;
        home.wheel().advance(time.time);
    }
    void run_mail() {
        home.context().restart();
        home.turn();
    }

    manual_clock time;
    net::shard home{0, time, system_random()};
    connection_options options;
    std::shared_ptr<net::memory_stream> wire;
    std::shared_ptr<connection> listed;
    connection* socket = nullptr;
    std::vector<std::string> log;
    std::function<void()> act;
    std::function<http_response()> answer;                // instead of the usual one
    std::function<decision(const http_request&)> decide;  // instead of everything
    std::size_t content_max = 0;
    std::size_t unread_max = std::size_t(-1);
    int handlers = 0;
    int gone = 0;
    int dribbled = 0;
    int proxy_heads = 0;
};

}  // namespace foz::ws::test
