// A client's octets whole and in pieces must do the same to the application and get the same octets back; the first
// octet of the input chooses the pieces.
#include "net/tests/memory_stream.hpp"
#include "ws/conn/connection.hpp"

#include <cstdint>
#include <cstdlib>

namespace {

using namespace foz;

struct subject final : ws::application, ws::connection::owner {
    struct handler final : ws::socket_handler {
        explicit handler(subject& s) : all(s) {}
        void on_open(ws::connection& c) override {
            socket = &c;
            all.note("open", {});
        }
        void on_text(std::string_view text) override {
            all.note("text", text);
            if (text == "c") return socket->close(ws::close_code::normal, "as you wish");
            if (text == "a") return socket->abort();
            socket->send_text(text);
        }
        void on_binary(std::string_view octets) override { all.note("binary", octets); }
        void on_closed(ws::close_code code, std::string_view reason, bool clean) override {
            all.note(clean ? "clean" : "unclean", std::to_string(static_cast<int>(code)) + std::string(reason));
        }
        subject& all;
        ws::connection* socket = nullptr;
    };

    // What `octets` do when they come `step` at a time.
    subject(std::string_view octets, std::size_t step) : wire(std::make_shared<net::memory_stream>(home)) {
        listed = std::make_shared<ws::connection>(wire, *this, static_cast<ws::connection::owner&>(*this), options);
        listed->start();
        for (std::size_t i = 0; i < octets.size(); i += step) {
            wire->receive(octets.substr(i, step));
            // What was left for the next turn comes before what the peer sends then.
            for (int turns = 0; turns < 10'000 && !wire->reads(); ++turns) home.turn();
        }
        log += wire->take();
        wire->hang_up();
        home.turn();
        if (const auto one = std::exchange(listed, nullptr)) one->forsake();
    }
    void note(std::string_view event, std::string_view what) {
        log += std::string(event) + " " + std::to_string(what.size()) + ":" + std::string(what) + "\n";
    }
    ws::decision on_request(const ws::http_request& request, const net::tcp::endpoint&, bool upgradable) override {
        note(upgradable ? "upgradable" : "request", request.method + request.target + request.path);
        for (const auto& [name, value] : request.query) note(name, value);
        for (const auto& [name, value] : request.headers) note(name, value);
        note("content", request.content);
        if (request.path.starts_with("/w")) return ws::upgrade{std::make_unique<handler>(*this), {}};
        return ws::http_response{.status = request.path == "/n" ? 204u : 200u};
    }
    std::size_t content_bytes_max() const override { return 100; }
    void on_moved(ws::connection&, unsigned, ws::moved_connection) override {}
    void on_gone(ws::connection&) override {
        log += "gone\n";
        listed.reset();
    }

    // Both subjects answer at the same time of day.
    struct fixed_day final : foz::clock {
        wall_time wall_now() const override { return {}; }
    };
    fixed_day time;
    net::shard home{0, time, system_random()};
    ws::connection_options options{.limits = {.message_bytes_max = 1024, .fragments_max = 8}};
    std::shared_ptr<net::memory_stream> wire;
    std::shared_ptr<ws::connection> listed;
    std::string log;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view octets(reinterpret_cast<const char*>(data) + 1, size - 1);
    const subject whole(octets, octets.size() + 1);
    const subject pieces(octets, 1 + data[0] % 64);
    if (whole.log != pieces.log) std::abort();
    return 0;
}
