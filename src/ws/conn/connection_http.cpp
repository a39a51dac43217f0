// The requests of a connection, until one of them is an upgrade.
#include "net/proxy_protocol.hpp"
#include "ws/codec/handshake.hpp"
#include "ws/conn/connection.hpp"

#include <expected>
#include <utility>

namespace foz::ws {
namespace {

std::expected<std::string, handshake_failure> judge(const http_request& request) {
    // Upgrade and Connection may come in several lines. The other two must not (RFC 6455 §11.3.1, §11.3.5): joined
    // they are no good values any more.
    const std::string upgrade = request.all("Upgrade");
    const std::string connection = request.all("Connection");
    const std::string version = request.all("Sec-WebSocket-Version");
    const std::string key = request.all("Sec-WebSocket-Key");
    return judge_upgrade({.method = request.method,
                          .http_version = request.version,
                          .upgrade = upgrade,
                          .connection = connection,
                          .version = version,
                          .key = key});
}

http_response refusal_response(const handshake_failure& failure) {
    http_response response{.status = failure.status, .body = std::string(failure.text) + "\n"};
    if (failure.status == 426) {
        // RFC 9110 §15.5.22 and RFC 6455 §4.4 want to be told what is expected instead.
        response.headers = {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}};
    }
    if (failure.status == 405) response.headers = {{"Allow", "GET"}};  // RFC 9110 §15.5.6
    return response;
}

bool skip_empty_lines(std::string& octets) {
    std::size_t size = 0;
    while (std::string_view(octets).substr(size).starts_with("\r\n")) size += 2;
    octets.erase(0, size);
    return size > 0;
}

// Of a body from a source, that are read at once.
constexpr std::size_t piece_bytes = 64 * 1024;
// What of it waits for a client at a time, with the stream's usual watermarks.
constexpr std::size_t source_bytes_max = 2 * piece_bytes;

}  // namespace

// `begins`: the request that is not complete yet has only just begun to arrive.
void connection::take_requests(bool begins) {
    while (state_ == state::http) {
        const incoming* const awaited = stage<incoming>();
        // on_piece(), or answer_later(), goes on.
        if (stage<outgoing>() || (awaited && awaited->answer_awaited)) return stream_->pause_reading();
        // Who asks without reading the answers is not asked for more: on_drained() goes on.
        if (stream_->above_high_watermark()) {
            stream_->pause_reading();
            return start_timer(options_.idle_timeout);
        }
        if (last_answer_) return end_http(options_.idle_timeout);
        if (first_) {
            if (net::may_begin_proxy_head(held_.get())) return;  // more will tell
            if (net::begins_with_proxy_head(held_.get())) return refuse_proxy_head();
        }
        // Empty lines before a request line are ignored (RFC 9112 §2.2); they are no sign of life.
        const bool empty_lines = !awaited && skip_empty_lines(held_.get());
        const bool complete = awaited ? take_content() : take_head();
        if (complete) {
            begins |= !stage<incoming>();  // the next one, unless the content of this one follows
            continue;
        }
        const bool idle = !awaited && held_.get().empty();
        if (begins && !(idle && empty_lines)) start_timer(idle ? options_.idle_timeout : options_.head_timeout);
        if (idle) held_.drop();
        return;
    }
    // What came right behind the upgrade is WebSocket already; after a close() too, the parser must not lose its place.
    std::string rest = held_.take();
    if (!rest.empty() && handler_) feed(rest);
}

void connection::refuse_proxy_head() {
    list_.on_proxy_head(*this);
    give_up();
}

void connection::give_up() {
    const auto keep = shared_from_this();
    stream_->abort();
    end_http({});
}

// Cuts what is complete off what has arrived. Here the next head; false when it is not all there.
bool connection::take_head() {
    std::string& arrived = held_.get();
    const std::size_t end = arrived.find("\r\n\r\n");
    const std::size_t size = end == std::string::npos ? arrived.size() : end + 4;
    if (size > http_head_bytes_max) {
        refuse({.status = 431, .body = "the request's head is too large\n"});
        return true;
    }
    if (end == std::string::npos) return false;
    if (first_) list_.on_first_request(*this);
    first_ = false;
    std::string head = arrived.substr(0, size);
    arrived.erase(0, size);
    if (arrived.empty()) held_.drop();
    auto request = parse_http_request(head, app_.content_bytes_max());
    if (!request) {
        refuse(request.error());
        return true;
    }
    if (options_.client_name) request->certified = stream_->certified_as(*options_.client_name);
    if (brought* const known = stage<brought>()) {
        request->note = std::move(known->note);
        exchange_.drop();
    }
    if (request->content_length == 0) {
        decide(*request, head);
        return true;
    }
    if (expects_continue(*request)) stream_->write("HTTP/1.1 100 Continue\r\n\r\n");
    exchange_.get() = incoming{.request = std::move(*request), .head = std::move(head)};
    return true;
}

// The same with the content of the request whose head has come.
bool connection::take_content() {
    incoming& waiting = *stage<incoming>();
    const std::size_t size = waiting.request.content_length;
    std::string* const arrived = held_.find();
    if (!arrived || arrived->size() < size) return false;
    incoming all = std::move(waiting);
    exchange_.drop();
    all.request.content = arrived->substr(0, size);
    arrived->erase(0, size);
    if (arrived->empty()) held_.drop();
    decide(all.request, all.head);
    return true;
}

void connection::decide(const http_request& request, std::string_view head) {
    decision decided = app_.on_request(request, remote(), judge(request).has_value());
    if (state_ == state::closed) return;
    if (auto* const when = std::get_if<later>(&decided)) {
        timer_.cancel();
        exchange_.get() = incoming{.request = request, .head = std::string(head), .answer_awaited = true};
        return when->begin(answer_slot(weak_from_this()));
    }
    carry_out(std::get<verdict>(std::move(decided)), request, head);
}

void connection::carry_out(verdict what, const http_request& request, std::string_view head) {
    if (auto* const response = std::get_if<http_response>(&what)) return answer(request, *response);
    if (auto* const other = std::get_if<elsewhere>(&what))
        return move_to(std::move(*other), std::string(head) + request.content);
    const auto judged = judge(request);
    if (!judged) return answer(request, refusal_response(judged.error()));
    accept(std::get<upgrade>(std::move(what)), *judged);
}

void connection::accept(upgrade taken, const std::string& key_answer) {
    stream_->write(upgrade_response(key_answer, taken.headers));
    timer_.cancel();
    state_ = state::open;
    stream_->move_to(net::lane::settled);
    if (taken.address) stream_->nest(taken.address);
    handler_ = std::move(taken.handler);
    handler_->on_open(*this);
}

const http_request* answer_slot::request() const {
    const auto to = of_.lock();
    return to ? to->awaited() : nullptr;
}

void answer_slot::operator()(verdict what) const {
    if (const auto to = of_.lock()) to->answer_later(std::move(what));
}

// The request that a verdict is awaited for.
const http_request* connection::awaited() const noexcept {
    const incoming* const waits = state_ == state::http ? stage<incoming>() : nullptr;
    return waits && waits->answer_awaited ? &waits->request : nullptr;
}

// Perhaps from inside decide(): the loop around that goes on then.
void connection::answer_later(verdict what) {
    if (!awaited()) return;
    const auto keep = shared_from_this();
    const incoming asked = std::move(*stage<incoming>());
    exchange_.drop();
    carry_out(std::move(what), asked.request, asked.head);
    if (state_ == state::closed) return;
    // A turn of its own, since whoever answers may be in the middle of something.
    home().post([weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self || self->state_ == state::closed) return;
        if (self->state_ != state::http) return self->go_on_reading();
        self->stream_->resume_reading();
        self->take_requests(true);
    });
}

void connection::move_to(elsewhere where, std::string_view octets) {
    auto moved = stream_->detach();
    if (!moved) return refuse({.status = 503, .body = "busy: please try again\n", .headers = {{"Retry-After", "1"}}});
    state_ = state::closed;
    timer_.cancel();
    moved->unread = std::string(octets) + held_.take() + moved->unread;
    list_.on_moved(*this, where.shard, {.stream = std::move(*moved), .note = std::move(where.note)});
}

void connection::answer(const http_request& request, const http_response& response) {
    const bool keep_alive = request.keep_alive && !response.last;
    const std::string head = head_octets(response, keep_alive, home().time().wall_now());
    const bool with_body = request.method != "HEAD" && may_have_body(response.status) && response.body_bytes() > 0;
    const std::uint64_t body = !with_body ? 0 : response.source ? source_bytes_max : response.body_bytes();
    if (!list_.may_answer(*this, head.size() + body))
        return refuse({.status = 503,
                       .body = "too much waits to be read by clients: please try again\n",
                       .headers = {{"Retry-After", "1"}}});
    last_answer_ = !keep_alive;
    stream_->write(head);
    if (!with_body) return;
    if (!response.source)
        return response.shared ? stream_->send(frame_ref::of(response.shared)) : stream_->write(response.body);
    exchange_.get() = outgoing{.source = response.source, .left = response.source->size()};
    start_timer(options_.idle_timeout);
    read_on();
}

void connection::read_on() {
    outgoing& now = *stage<outgoing>();
    if (std::exchange(now.reading, true)) return;
    now.source->read(home(), piece_bytes, [weak = weak_from_this()](std::string octets) {
        if (const auto self = weak.lock()) self->on_piece(std::move(octets));
    });
}

void connection::on_piece(std::string octets) {
    outgoing* const under_way = stage<outgoing>();
    if (state_ != state::http || !under_way) return;
    outgoing& now = *under_way;
    now.reading = false;
    if (octets.empty() || octets.size() > now.left) {
        // It has become shorter, or can't be read any more: the client sees that by the length (RFC 9112 §8).
        stream_->abort();
        return end_http(options_.close_timeout);
    }
    now.left -= octets.size();
    const bool whole = now.left == 0;
    if (whole) exchange_.drop();
    stream_->send(frame_ref::take(std::move(octets)));
    stream_->flush_now();
    if (whole) {
        stream_->resume_reading();
        return take_requests(true);
    }
    if (!stream_->tell_when_drained()) read_on();
}

std::size_t connection::unread_bytes() const noexcept {
    if (state_ != state::http) return 0;
    return stream_->queued_bytes() + (stage<outgoing>() ? piece_bytes : 0);
}

// What is meant for the client and has not been taken yet.
std::uint64_t connection::unread_octets() const noexcept {
    const outgoing* const now = stage<outgoing>();
    return stream_->queued_bytes() + (now ? now->left : 0);
}

// After which nothing tells where a next request would begin.
void connection::refuse(const http_response& response) {
    stream_->write(to_octets(response, false, home().time().wall_now()));
    last_answer_ = true;
}

void connection::end_http(std::chrono::milliseconds within) {
    if (std::exchange(state_, state::closed) == state::closed) return;
    timer_.cancel();
    stream_->close(within);
    list_.on_gone(*this);
}

}  // namespace foz::ws
