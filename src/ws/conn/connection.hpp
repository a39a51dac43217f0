// One client's TCP connection: HTTP requests at first, a WebSocket after an upgrade.
#pragma once

#include "base/frame.hpp"
#include "base/seldom.hpp"
#include "net/stream.hpp"
#include "ws/codec/close_code.hpp"
#include "ws/codec/parser.hpp"
#include "ws/conn/http.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
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
    // Of the client's address, when that is another one than the connection's; below the pool of all connections.
    std::shared_ptr<net::slot_pool> address{};
};

// The request belongs on another shard: the connection goes there, and it is asked again, with the note.
struct elsewhere {
    unsigned shard = 0;
    std::shared_ptr<const request_note> note{};
};

// What becomes of a request.
using verdict = std::variant<http_response, upgrade, elsewhere>;

// Where a verdict that is not there yet goes. Copies are the same; on the connection's shard. The first verdict counts,
// and none does when the connection has gone.
class answer_slot {
public:
    explicit answer_slot(std::weak_ptr<connection> of) : of_(std::move(of)) {}
    // What is asked; null when nobody waits any more. Valid until the verdict, or until the caller returns.
    const http_request* request() const;
    void operator()(verdict what) const;

private:
    std::weak_ptr<connection> of_;
};

// The verdict is given later. Until then the connection is asked nothing more, and it is the application that bounds
// the time. `begin` is called at once.
struct later {
    std::function<void(answer_slot to)> begin;
};

using decision = std::variant<verdict, later>;

// A connection on its way to another shard.
struct moved_connection {
    net::detached_stream stream;
    std::shared_ptr<const request_note> note{};
};

// The application as connections see it. One for each shard.
class application {
public:
    // `upgradable`: this is a good WebSocket handshake and may be answered by an upgrade; otherwise an upgrade
    // becomes the status that the flawed handshake deserves.
    virtual decision on_request(const http_request& request, const net::tcp::endpoint& from, bool upgradable) = 0;
    // What requests may carry. 0: a request with content is refused.
    virtual std::size_t content_bytes_max() const { return 0; }

protected:
    ~application() = default;
};

struct connection_options {
    std::chrono::milliseconds head_timeout = std::chrono::seconds(10);  // for a request to arrive, its content included
    // A message that has begun is to come at this rate (octets a second, since its beginning), and so is the taking of
    // an HTTP answer; 0: at any.
    std::size_t rate_min = 0;
    // Between requests, and for a client to take at least something of an answer that is waiting for it.
    std::chrono::milliseconds idle_timeout = std::chrono::seconds(30);
    std::chrono::milliseconds close_timeout = std::chrono::seconds(5);  // for the closing handshake
    // After so many frames, or so much time, the other connections of the shard have their turn; what this one has sent
    // beyond waits, and nothing more is read from it.
    std::uint16_t frames_per_turn = 64;
    std::chrono::microseconds time_per_turn{500};
    parser_limits limits;
    // Which name of a client's certificate requests have in http_request::certified; nothing: none.
    std::optional<net::peer_name> client_name{};
};

// Lives on its stream's shard, owned by a server's list, which it leaves when it has closed. It may leave the list from
// inside a callback: on the stack it keeps itself. HTTP answers that a client does not read are bounded by the stream's
// high watermark and one answer more: its further requests wait in TCP. An answer from a source is read as the client
// takes it: the low watermark and one piece of it wait. What a WebSocket is sent is bounded by its handler.
class connection final : private net::stream_handler,
                         private parser_handler,
                         public std::enable_shared_from_this<connection> {
public:
    class owner {
    public:
        // The stream goes on by itself for a while: it writes its last words and waits for the peer.
        virtual void on_gone(connection& gone) = 0;
        virtual void on_moved(connection& gone, unsigned shard, moved_connection what) = 0;
        // May an answer that adds so many octets to unread_bytes() be queued? Otherwise a 503 is, and the connection
        // closes.
        virtual bool may_answer(connection&, std::size_t) { return true; }
        // For the counters: it had sent more than one turn takes; it is ended because it sends too slowly.
        virtual void on_put_off() noexcept {}
        virtual void on_dribbled() noexcept {}
        // Its first request has come whole.
        virtual void on_first_request(connection&) noexcept {}
        // It began with a PROXY protocol header, which was not asked for, and is closed without a word.
        virtual void on_proxy_head(connection&) {}

    protected:
        ~owner() = default;
    };

    connection(std::shared_ptr<net::stream> stream, application& app, owner& list, const connection_options& options);
    ~connection();

    // `received`: what another shard had read already, beginning with the request that the note is of.
    void start(std::string received = {}, std::shared_ptr<const request_note> note = nullptr);
    // No request has come yet.
    bool half_open() const noexcept { return first_; }
    // Closes such a one at once; it leaves the list.
    void give_up();
    // The owner and the application go away: closes at once. Nothing of either is touched any more, also when this is
    // called from inside a callback.
    void forsake();

    // A whole text message.
    void send_text(std::string_view text);
    // Of a message that has begun and is not there yet.
    std::size_t octets_under_way() const noexcept { return parser_.octets_under_way(); }
    // Octets of whole frames, encoded once for any number of connections.
    void send(frame_ref frames);
    std::size_t queued_bytes() const noexcept { return stream_->queued_bytes(); }
    // Of HTTP answers, what waits here for the client or soon will; 0 of a WebSocket.
    std::size_t unread_bytes() const noexcept;
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

    friend class answer_slot;

    void take_requests(bool begins);
    bool take_head();
    bool take_content();
    void decide(const http_request& request, std::string_view head);
    void refuse_proxy_head();
    const http_request* awaited() const noexcept;
    void answer_later(verdict what);
    void carry_out(verdict what, const http_request& request, std::string_view head);
    void accept(upgrade taken, const std::string& key_answer);
    void move_to(elsewhere where, std::string_view octets);
    void refuse(const http_response& response);
    void answer(const http_request& request, const http_response& response);
    void read_on();
    void on_piece(std::string octets);
    std::uint64_t unread_octets() const noexcept;
    void feed(std::span<char> octets);
    void count_frame();
    void go_on_reading();
    void go_on_next_turn();
    bool go_on();
    void write_frame(opcode op, std::string_view payload);
    bool dribbles(std::chrono::milliseconds span) const;
    void start_timer(std::chrono::milliseconds limit);
    void on_timeout();
    void end_http(std::chrono::milliseconds within);
    void end(close_code code, std::string_view reason, bool clean);

    // What is known of the request that comes first, which another shard has read.
    struct brought {
        std::shared_ptr<const request_note> note;
    };

    // A request whose head has come: its content is awaited, or what becomes of it.
    struct incoming {
        http_request request;
        std::string head;
        bool answer_awaited = false;
    };

    // An answer whose body is still being read from its source.
    struct outgoing {
        std::shared_ptr<body_source> source;
        std::uint64_t left = 0;
        bool reading = false;
    };

    template <class Stage>
    Stage* stage() noexcept {
        auto* const now = exchange_.find();
        return now ? std::get_if<Stage>(now) : nullptr;
    }
    template <class Stage>
    const Stage* stage() const noexcept {
        const auto* const now = exchange_.find();
        return now ? std::get_if<Stage>(now) : nullptr;
    }

    std::shared_ptr<net::stream> stream_;
    application& app_;
    owner& list_;
    const connection_options& options_;
    state state_ = state::http;
    bool forsaken_ = false;
    bool first_ : 1 = true;          // no request has come yet
    bool last_answer_ : 1 = false;   // nothing is taken any more: the connection closes as soon as the client has read
    bool paused_ = false;            // by the application
    bool takes_late_ = false;        // messages that come after our close frame
    bool comes_back_ = false;        // go_on() will be called
    std::uint16_t frames_left_ = 0;  // of this turn
    std::uint32_t number_ = 0;
    std::uint32_t untaken_ = 0;  // unread_octets() when the timer was started, modulo 2³²
    // What has come and has not been looked at: the request that is arriving and what is behind it; later the frames
    // that wait for their turn.
    seldom<std::string> held_;
    seldom<std::variant<brought, incoming, outgoing>> exchange_;  // the request that is not done with
    steady_time feeding_until_{};
    steady_time message_since_{};  // of the message that is under way
    parser parser_;
    std::unique_ptr<socket_handler> handler_;
    net::wheel_timer timer_{this, [](connection& self) { self.on_timeout(); }};
};

}  // namespace foz::ws
