#include "cli/primus_client.hpp"

#include "base/encoding.hpp"
#include "net/connect.hpp"
#include "ws/codec/handshake.hpp"
#include "ws/codec/writer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foz::cli {
namespace {

constexpr std::size_t head_bytes_max = 16 * 1024;
constexpr std::size_t events_max = 1'000;
constexpr std::size_t message_bytes_max = 16 << 20;

}  // namespace

std::expected<server_address, std::string> parse_server_address(std::string_view url) {
    server_address out;
    const auto wrong = [&](const std::string& why) {
        return std::unexpected("\"" + std::string(url) + "\" is no address of a server: " + why);
    };
    std::string_view rest = url;
    const std::size_t colon = rest.find("://");
    if (colon == std::string_view::npos) return wrong("it begins with ws:// or wss://");
    const std::string_view scheme = rest.substr(0, colon);
    rest.remove_prefix(colon + 3);
    out.tls = scheme == "wss" || scheme == "https";
    if (!out.tls && scheme != "ws" && scheme != "http") return wrong("it begins with ws:// or wss://");
    const std::size_t slash = rest.find_first_of("/?#");
    std::string_view authority = rest.substr(0, slash);
    if (slash != std::string_view::npos) {
        const std::string_view path = rest.substr(slash);
        if (path.find_first_of("?#") != std::string_view::npos) return wrong("it has no query");
        if (path != "/") out.path = path;
    }
    out.port = out.tls ? 443 : 80;
    std::string_view port;
    if (authority.starts_with('[')) {
        const std::size_t end = authority.find(']');
        if (end == std::string_view::npos) return wrong("a ] is missing");
        out.host = authority.substr(1, end - 1);
        port = authority.substr(end + 1);
    } else {
        const std::size_t at = std::min(authority.find(':'), authority.size());
        out.host = authority.substr(0, at);
        port = authority.substr(at);
    }
    if (out.host.empty()) return wrong("the host is missing");
    if (port.empty()) return out;
    const auto [end, failure] = std::from_chars(port.data() + 1, port.data() + port.size(), out.port);
    if (!port.starts_with(':') || failure != std::errc() || end != port.data() + port.size() || out.port == 0)
        return wrong("the port is a number from 1 to 65535");
    return out;
}

primus_client::primus_client(std::shared_ptr<net::stream> stream)
    : stream_(std::move(stream)),
      parser_(ws::role::client, {.message_bytes_max = message_bytes_max}),
      wake_(stream_->home().context()) {}

primus_client::~primus_client() {
    parser_.stop();
    if (stream_->open()) stream_->close(std::chrono::seconds(1));
}

boost::asio::awaitable<std::expected<std::unique_ptr<primus_client>, std::string>> primus_client::open(
    net::shard& home, client_options options) {
    const auto until = std::chrono::steady_clock::now() + options.timeout;
    net::connect_options how;
    how.host = options.server.host;
    how.port = options.server.port;
    how.timeout = options.timeout;
    if (options.server.tls)
        how.tls = net::tls_client_options{.ca_file = {}, .server_name = {}, .verify = !options.insecure};
    auto connected = co_await net::connect(home, std::move(how));
    if (!connected) co_return std::unexpected(connected.error());
    std::unique_ptr<primus_client> made(new primus_client(std::move(*connected)));
    std::array<std::uint8_t, 16> nonce{};
    home.random().fill(nonce);
    made->key_ = base64(std::string_view(reinterpret_cast<const char*>(nonce.data()), nonce.size()));
    std::string request = "GET " + options.server.path + (options.query.empty() ? "" : "?" + options.query) +
                          " HTTP/1.1\r\nHost: " + options.server.host + ":" + std::to_string(options.server.port) +
                          "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: " +
                          made->key_ + "\r\n\r\n";
    made->stream_->start(*made);
    made->stream_->write(request);
    while (!made->upgraded_) {
        auto first = co_await made->next(until);
        if (first.what == client_event::kind::ended) co_return std::unexpected(std::move(first.text));
        if (first.what == client_event::kind::nothing && !made->upgraded_)
            co_return std::unexpected("the server does not answer the WebSocket handshake");
        // It came together with the end of the handshake.
        if (first.what == client_event::kind::data) made->events_.push_front(std::move(first));
    }
    co_return made;
}

void primus_client::on_octets(std::span<char> octets) {
    if (ended_) return;
    if (!upgraded_) {
        const std::size_t used = read_head({octets.data(), octets.size()});
        if (!upgraded_) return;
        octets = octets.subspan(used);
    }
    if (const auto failure = parser_.feed(octets, *this))
        end("the server sent what is no WebSocket frame: " + std::string(failure->text));
}

// Returns how many of the octets belong to the head.
std::size_t primus_client::read_head(std::string_view octets) {
    const std::size_t before = head_.size();
    head_.append(octets);
    const std::size_t found = head_.find("\r\n\r\n");
    if (found == std::string::npos) {
        if (head_.size() > head_bytes_max) end("the server's answer is no WebSocket handshake");
        return octets.size();
    }
    const std::string head = head_.substr(0, found);
    const std::string body = head_.substr(found + 4);
    head_.clear();
    const std::string status = head.substr(0, head.find("\r\n"));
    if (!status.starts_with("HTTP/1.1 101")) {
        const std::string said = body.substr(0, body.find('\n'));
        end("the server refuses the WebSocket: " + status + (said.empty() ? "" : " (" + said + ")"));
        return octets.size();
    }
    if (head.find(ws::accept_value(key_)) == std::string::npos) {
        end("the server's answer is no WebSocket handshake");
        return octets.size();
    }
    upgraded_ = true;
    wake_.cancel();
    return found + 4 - before;
}

void primus_client::on_closed(net::error_code why) {
    end(why == boost::asio::error::eof ? "the server has closed the connection" : why.message());
}

void primus_client::on_message(ws::opcode, std::string_view payload) {
    const auto packet = packets_.parse(payload);
    if (!packet) return;  // a server's: nobody to complain to
    switch (packet->kind) {
        case primus::packet_kind::ping: {
            std::string pong;
            primus::append_pong(pong, packet->ms);
            return write_frame(ws::opcode::text, pong);
        }
        case primus::packet_kind::unknown_control:
            stay_away_ = stay_away_ || packet->control == "primus::server::close";
            return;
        case primus::packet_kind::data:
            return push({client_event::kind::data, std::string(packet->data)});
        case primus::packet_kind::response:
            return push({client_event::kind::data, std::string(packet->data), false, std::string(packet->id)});
        default:
            return;
    }
}

void primus_client::on_ping(std::string_view payload) {
    write_frame(ws::opcode::pong, payload);
}

void primus_client::on_close(ws::close_code code, std::string_view reason) {
    write_frame(ws::opcode::close, ws::close_payload(code, {}));
    std::string why = "the server has closed the socket: " + std::to_string(static_cast<unsigned>(code));
    if (!reason.empty()) why.append(" ").append(reason);
    end(std::move(why));
}

void primus_client::write_frame(ws::opcode kind, std::string_view payload) {
    ws::mask_key mask{};
    std::array<std::uint8_t, 4> drawn{};
    stream_->home().random().fill(drawn);
    std::memcpy(mask.data(), drawn.data(), mask.size());
    std::string frame;
    ws::append_masked_frame(frame, kind, payload, mask);
    stream_->write(frame);
}

void primus_client::send(std::string_view json) {
    if (!ended_) write_frame(ws::opcode::text, json);
}

void primus_client::push(client_event event) {
    events_.push_back(std::move(event));
    if (events_.size() >= events_max && !ended_) stream_->pause_reading();
    wake_.cancel();
}

void primus_client::end(std::string why) {
    if (std::exchange(ended_, true)) return;
    parser_.stop();
    if (stream_->open()) stream_->close(std::chrono::seconds(1));
    push({client_event::kind::ended, std::move(why), stay_away_});
}

void primus_client::interrupt() {
    wake_.cancel();
}

void primus_client::abort() {
    if (std::exchange(ended_, true)) return;
    parser_.stop();
    stream_->abort();
    push({client_event::kind::ended, "the socket was cut", false});
}

void primus_client::pause_reading() {
    held_ = true;
    if (!ended_) stream_->pause_reading();
}

void primus_client::resume_reading() {
    held_ = false;
    if (!ended_ && events_.size() < events_max) stream_->resume_reading();
}

boost::asio::awaitable<client_event> primus_client::next(steady_time until) {
    if (events_.empty()) {
        wake_.expires_at(until);
        boost::system::error_code ignored;
        co_await wake_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    }
    if (events_.empty()) co_return client_event{};
    client_event first = std::move(events_.front());
    events_.pop_front();
    if (events_.size() == events_max / 2 && !held_ && stream_->open()) stream_->resume_reading();
    co_return first;
}

}  // namespace foz::cli
