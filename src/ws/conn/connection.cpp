#include "ws/conn/connection.hpp"

#include "ws/codec/handshake.hpp"
#include "ws/codec/writer.hpp"

#include <utility>

namespace foz::ws {
namespace {

upgrade_request handshake_of(const http_request& request) {
    return {.method = request.method,
            .http_version = request.version,
            .upgrade = request.header("Upgrade"),
            .connection = request.header("Connection"),
            .version = request.header("Sec-WebSocket-Version"),
            .key = request.header("Sec-WebSocket-Key")};
}

http_response refusal(const handshake_failure& failure) {
    http_response response{.status = failure.status, .body = std::string(failure.text) + "\n"};
    if (failure.status == 426) {
        // RFC 9110 §15.5.22 and RFC 6455 §4.4 want to be told what is expected instead.
        response.headers = {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}};
    }
    return response;
}

}  // namespace

connection::connection(std::shared_ptr<net::stream> stream, application& app, owner& list,
                       const connection_options& options)
    : stream_(std::move(stream)), app_(app), list_(list), options_(options), parser_(role::server, options.limits) {}

connection::~connection() {
    if (stream_->open()) stream_->abort();  // otherwise it is writing its last words
}

void connection::start() {
    timer_.start(home().wheel(), options_.head_timeout);
    stream_->start(*this);
}

void connection::on_octets(std::span<char> octets) {
    const auto keep = shared_from_this();
    if (state_ != state::http) return feed(octets);
    if (head_.empty()) timer_.start(home().wheel(), options_.head_timeout);
    head_.append(octets.data(), octets.size());
    take_requests();
}

void connection::take_requests() {
    while (state_ == state::http) {
        const std::size_t end = head_.find("\r\n\r\n");
        if (end == std::string::npos) {
            if (head_.size() <= http_head_bytes_max) return;
            stream_->write(to_octets({.status = 431, .body = "the request's head is too large\n"}, false));
            return end_http();
        }
        const std::string request = head_.substr(0, end + 4);
        head_.erase(0, end + 4);
        if (!take_request(request)) return end_http();
    }
    // What came right behind the upgrade is WebSocket already.
    std::string rest = std::exchange(head_, {});
    if (!rest.empty() && state_ == state::open) feed(rest);
}

// False when the connection is to be closed.
bool connection::take_request(std::string_view head) {
    const auto request = parse_http_request(head);
    if (!request) {
        stream_->write(to_octets(request.error(), false));
        return false;
    }
    const upgrade_request asked = handshake_of(*request);
    const auto judged = judge_upgrade(asked);
    decision decided = app_.on_request(*request, remote(), judged.has_value());
    if (auto* const response = std::get_if<http_response>(&decided)) {
        answer(*request, *response);
        return request->keep_alive;
    }
    if (!judged) {
        answer(*request, refusal(judged.error()));
        return request->keep_alive;
    }
    auto& taken = std::get<upgrade>(decided);
    stream_->write(upgrade_response(*judged, taken.headers));
    timer_.cancel();
    state_ = state::open;
    handler_ = std::move(taken.handler);
    handler_->on_open(*this);
    return true;
}

void connection::answer(const http_request& request, const http_response& response) {
    stream_->write(to_octets(response, request.keep_alive, request.method != "HEAD"));
    timer_.start(home().wheel(), options_.idle_timeout);
}

void connection::end_http() {
    if (std::exchange(state_, state::closed) == state::closed) return;
    timer_.cancel();
    stream_->close(options_.close_timeout);
    list_.on_gone(*this);
}

void connection::feed(std::span<char> octets) {
    const auto failure = parser_.feed(octets, *this);
    if (!failure || state_ == state::closed) return;
    if (state_ == state::open) write_frame(opcode::close, close_payload(failure->code, failure->text));
    end(failure->code, failure->text, false);
}

void connection::on_message(opcode kind, std::string_view payload) {
    if (state_ != state::open) return;  // RFC 6455 §7.1.2: what arrives after our close frame is of no interest
    if (kind == opcode::text) return handler_->on_text(payload);
    handler_->on_binary(payload);
}

void connection::on_ping(std::string_view payload) {
    // A peer that pings without reading the pongs must not fill our memory; RFC 6455 §5.5.3 lets us skip.
    if (state_ == state::open && !stream_->above_high_watermark()) write_frame(opcode::pong, payload);
}

void connection::on_close(close_code code, std::string_view reason) {
    // RFC 6455 §5.5.1: echo the code, then the server closes TCP first (§7.1.1).
    if (state_ == state::open) write_frame(opcode::close, close_payload(code, {}));
    end(code, reason, true);
}

void connection::send_text(std::string_view text) {
    if (state_ == state::open) write_frame(opcode::text, text);
}

void connection::send(frame_ref frames) {
    if (state_ == state::open) stream_->send(std::move(frames));
}

void connection::write_frame(opcode op, std::string_view payload) {
    std::string frame;
    frame.reserve(payload.size() + 10);
    append_frame(frame, op, payload);
    stream_->write(frame);
}

void connection::close(close_code code, std::string_view reason) {
    if (state_ != state::open) return;
    write_frame(opcode::close, close_payload(code, reason));
    state_ = state::closing;
    timer_.start(home().wheel(), options_.close_timeout);
}

void connection::abort() {
    if (state_ == state::closed) return;
    stream_->abort();
    home().post([keep = shared_from_this()] { keep->end(close_code::abnormal_closure, "aborted", false); });
}

void connection::on_closed(net::error_code why) {
    const auto keep = shared_from_this();
    if (state_ == state::http) return end_http();
    end(close_code::abnormal_closure, why == boost::asio::error::eof ? "the client closed" : why.message(), false);
}

void connection::on_drained() {
    const auto keep = shared_from_this();
    if (state_ == state::open && handler_) handler_->on_drained();
}

void connection::on_timeout() {
    const auto keep = shared_from_this();
    if (state_ == state::http) {
        if (!head_.empty())
            stream_->write(to_octets({.status = 408, .body = "the request did not arrive in time\n"}, false));
        return end_http();
    }
    end(close_code::abnormal_closure, "the client did not answer the close frame", false);
}

void connection::end(close_code code, std::string_view reason, bool clean) {
    const auto keep = shared_from_this();
    if (std::exchange(state_, state::closed) == state::closed) return;
    parser_.stop();
    timer_.cancel();
    stream_->close(options_.close_timeout);
    handler_->on_closed(code, reason, clean);
    list_.on_gone(*this);
}

}  // namespace foz::ws
