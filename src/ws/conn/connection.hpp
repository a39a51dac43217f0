// One client's TCP connection: HTTP requests at first, a WebSocket after an upgrade.
#pragma once

#include "base/frame.hpp"
#include "base/seldom.hpp"
#include "net/stream.hpp"
#include "ws/codec/close_code.hpp"
#include "ws/codec/parser.hpp"
#include "ws/conn/http.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace foz::ws {

class connection;

// What an application does with a WebSocket. Made for one connection, owned by it, called on its shard, and destroyed
// when the connection is. Never called from inside the connection's own methods.
class socket_handler {
public:
    virtual ~socket_handler() = default;
    // The handshake is done. The connection lives until on_closed() has returned.
    virtual void on_open(connection& socket) = 0;
    // Valid UTF-8, valid only during the call.
    virtual void on_text(std::string_view text) = 0;
    virtual void on_binary(std::string_view octets) = 0;
    // The end, exactly once after on_open(), and nothing after it, unless the server is destroyed before that: then
    // the handler is only destroyed. `clean`: both sides have sent a close frame. abnormal_closure when the
    // connection broke.
    virtual void on_closed(close_code code, std::string_view reason, bool clean) = 0;
    // The peer broke the protocol: the last moment to say something, before the close frame with this code.
    virtual void on_violation(close_code) {}
    // What was queued has been written down to the low watermark after it had been above the high one.
    virtual void on_drained() {}
    // slow() said "not yet" of a socket that would block, and the patience is over: time to ask again.
    virtual void on_still_blocked() {}
};

// Take the upgrade that was asked for.
struct upgrade {
    std::unique_ptr<socket_handler> handler;
    std::vector<std::pair<std::string, std::string>> headers;  // further ones of the 101, for example Set-Cookie
};

// The request belongs on another shard: the connection goes there, and it is asked again.
struct elsewhere {
    unsigned shard = 0;
};

using decision = std::variant<http_response, upgrade, elsewhere>;

// The application as connections see it. One for each shard.
class application {
public:
    // `upgradable`: this is a good WebSocket handshake and may be answered by an upgrade; otherwise an upgrade
    // becomes the status that the flawed handshake deserves.
    virtual decision on_request(const http_request& request, const net::tcp::endpoint& from, bool upgradable) = 0;

protected:
    ~application() = default;
};

struct connection_options {
    std::chrono::milliseconds head_timeout = std::chrono::seconds(10);  // for a request's head to arrive
    // A message that has begun is to come at this rate (octets a second, since its beginning), and so is the taking of
    // an HTTP answer; 0: at any.
    std::size_t rate_min = 0;
    // Between requests, and for a client to take at least something of an answer that is waiting for it.
    std::chrono::milliseconds idle_timeout = std::chrono::seconds(30);
    std::chrono::milliseconds close_timeout = std::chrono::seconds(5);  // for the closing handshake
    // After so many frames, or so much time, the other connections of the shard have their turn; what this one has sent
    // beyond waits, and nothing more is read from it.
    std::uint32_t frames_per_turn = 64;
    std::chrono::microseconds time_per_turn{500};
    parser_limits limits;
};

// Lives on its stream's shard, owned by a server's list, which it leaves when it has closed. It may leave the list from
// inside a callback: on the stack it keeps itself. HTTP answers that a client does not read are bounded by the stream's
// high watermark and one answer more: its further requests wait in TCP. What a WebSocket is sent is bounded by its
// handler.
class connection final : private net::stream_handler,
                         private parser_handler,
                         public std::enable_shared_from_this<connection> {
public:
    class owner {
    public:
        // The stream goes on by itself for a while: it writes its last words and waits for the peer.
        virtual void on_gone(connection& gone) = 0;
        virtual void on_moved(connection& gone, unsigned shard, net::detached_stream stream) = 0;
        // For the counters: it had sent more than one turn takes; it is ended because it sends too slowly.
        virtual void on_put_off() noexcept {}
        virtual void on_dribbled() noexcept {}

    protected:
        ~owner() = default;
    };

    connection(std::shared_ptr<net::stream> stream, application& app, owner& list, const connection_options& options);
    ~connection();

    // `received`: what another shard had read already.
    void start(std::string received = {});
    // The owner and the application go away: closes at once. Nothing of either is touched any more, also when this is
    // called from inside a callback.
    void forsake();

    // A whole text message.
    void send_text(std::string_view text);
    // Octets of whole frames, encoded once for any number of connections.
    void send(frame_ref frames);
    std::size_t queued_bytes() const noexcept { return stream_->queued_bytes(); }
    // Tries to write what is queued now instead of at the end of the turn.
    void flush_now() { stream_->flush_now(); }
    // The socket would block, and by these limits its peer is slow. Judges after trying to write what nobody has tried
    // to write yet.
    bool slow(const net::slow_limits& limits) { return stream_->slow(limits); }

    // While paused, no message arrives, and TCP slows the peer down. Also from inside a callback: the next message
    // waits.
    void pause_reading();
    void resume_reading();
    bool reading_paused() const noexcept { return paused_; }

    // When octets last came, also in the middle of a large frame.
    steady_time last_octets_at() const noexcept { return stream_->last_octets_at(); }
    // Nothing was heard of the peer for so long, though it was read from and had nothing to take; or a message that
    // began so long ago comes more slowly than it has to.
    bool silent_for(std::chrono::milliseconds span) const {
        return !held_.there() && (stream_->silent_for(span) || dribbles(span));
    }
    // Since this was last asked the peer's system has taken some of what was on its way to it by then.
    bool taking() { return stream_->taking(); }
    // As net::stream::stuck_for().
    bool stuck_for(std::chrono::milliseconds span) const { return stream_->stuck_for(span); }

    // Begins the closing handshake (RFC 6455 §7.1.2); on_closed() follows. Nothing can be sent any more. What still
    // comes is of no interest, or is given to the handler until the peer's close frame.
    enum class late_messages : std::uint8_t { ignored, taken };
    void close(close_code code, std::string_view reason, late_messages late = late_messages::ignored);
    // Closes at once and without a close frame. Nothing is received any more; on_closed() follows soon, not inside.
    void abort();

    const net::tcp::endpoint& remote() const noexcept { return stream_->remote(); }
    net::shard& home() noexcept { return stream_->home(); }

    // Its place in the owner's list, for the owner.
    std::uint32_t number() const noexcept { return number_; }
    void set_number(std::uint32_t number) noexcept { number_ = number; }

private:
    enum class state : std::uint8_t { http, open, closing, closed };

    void on_octets(std::span<char> octets) override;
    void on_closed(net::error_code why) override;
    void on_drained() override;
    void on_still_blocked() override;

    void on_message(opcode kind, std::string_view payload) override;
    void on_ping(std::string_view payload) override;
    void on_pong(std::string_view payload) override;
    void on_close(close_code code, std::string_view reason) override;

    void take_requests(bool begins);
    void take_request(std::string_view head);
    void move_to(unsigned shard, std::string_view head);
    void refuse(const http_response& response);
    void answer(const http_request& request, const http_response& response);
    void feed(std::span<char> octets);
    void count_frame();
    void go_on_next_turn();
    bool go_on();
    void write_frame(opcode op, std::string_view payload);
    bool dribbles(std::chrono::milliseconds span) const;
    void start_timer(std::chrono::milliseconds limit);
    void on_timeout();
    void end_http(std::chrono::milliseconds within);
    void end(close_code code, std::string_view reason, bool clean);

    std::shared_ptr<net::stream> stream_;
    application& app_;
    owner& list_;
    const connection_options& options_;
    state state_ = state::http;
    bool forsaken_ = false;
    bool last_answer_ = false;  // nothing is taken any more: the connection closes as soon as the client has read
    bool paused_ = false;       // by the application
    bool takes_late_ = false;   // messages that come after our close frame
    bool comes_back_ = false;   // go_on() will be called
    // What has come and has not been looked at: the request that is arriving and what is behind it; later the frames
    // that wait for their turn.
    seldom<std::string> held_;
    std::uint32_t frames_left_ = 0;  // of this turn
    std::uint32_t number_ = 0;
    steady_time feeding_until_{};
    std::size_t untaken_ = 0;      // octets that were queued when the timer was started
    steady_time message_since_{};  // of the message that is under way
    parser parser_;
    std::unique_ptr<socket_handler> handler_;
    net::wheel_timer timer_{this, [](connection& self) { self.on_timeout(); }};
};

}  // namespace foz::ws
