// One AMQP connection, client role: handshake, frames, heartbeats, close. One lifetime, no retries.
#pragma once

#include "amqp/codec/content.hpp"
#include "amqp/codec/frame_parser.hpp"
#include "amqp/codec/methods.hpp"
#include "amqp/conn/error.hpp"
#include "net/stream.hpp"

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace foz::amqp {

namespace asio = boost::asio;

struct connection_options {
    std::string user = "guest";
    std::string password = "guest";
    std::string vhost = "/";
    bool external = false;  // the certificate says who we are, not user and password
    std::string name;
    std::chrono::milliseconds heartbeat = std::chrono::seconds(10);  // 0: none
    std::chrono::milliseconds handshake_timeout = std::chrono::seconds(5);
    std::chrono::milliseconds unacknowledged_max{0};  // net::stream::expect_acknowledgement()
    // Proposed; the broker's are taken when they are lower. RabbitMQ 4.1 refuses a frame_max below 8,192.
    std::uint32_t frame_max = 131'072;
    std::uint16_t channel_max = 2'047;
    // A larger body is skipped octet for octet: it costs its message, not the channel.
    std::size_t content_bytes_max = 16 * 1024 * 1024;
};

class connection;

class connection_handler {
public:
    virtual void on_open(connection&) = 0;
    // The last call; also when the handshake fails. The handler may drop the connection.
    virtual void on_closed(connection&, const error& why) = 0;
    virtual void on_blocked(connection&, bool blocked, const std::string& reason) = 0;

protected:
    ~connection_handler() = default;
};

// Where the frames of one channel number go. Any call may detach the port.
class channel_port {
public:
    virtual void on_method(method&& received) = 0;
    // basic.deliver, basic.return or basic.get-ok with its content; its views are valid only during the call.
    virtual void on_content(message& received) = 0;
    virtual void on_connection_lost(const error& why) = 0;

protected:
    ~channel_port() = default;
};

// Lives on its stream's shard, owned by a client; kept alive by itself while it calls back.
class connection final : private net::stream_handler, public std::enable_shared_from_this<connection> {
public:
    connection(std::shared_ptr<net::stream> stream, connection_options options, connection_handler& handler);
    ~connection();

    void start();
    // connection.close, then on_closed() with errc::stopped when the broker has answered or two seconds have passed.
    void close();
    // Ends at once, without a word to a broker that is not expected to listen: on_closed() with `why`.
    void abandon(const error& why);

    // A free channel number for the port, or nothing when all are in use. The port sends channel.open itself.
    std::optional<std::uint16_t> attach(channel_port& port);
    // The port gets nothing more. With `send_close` the number stays taken until channel.close-ok has come.
    void detach(std::uint16_t number, bool send_close);

    result<void> send(std::uint16_t number, const method& m);
    result<void> send_content(std::uint16_t number, const basic_publish& target, const basic_properties& properties,
                              std::string_view body);

    bool open() const noexcept { return state_ == state::open; }
    // The broker has spoken AMQP.
    bool answered() const noexcept { return answered_; }
    // What the broker says of itself (AMQP 0-9-1 §1.4.2.1): product, version, cluster_name … Empty before it has.
    const table& server_properties() const noexcept { return server_properties_; }
    std::size_t queued_bytes() const noexcept { return stream_->queued_bytes(); }
    net::shard& home() noexcept { return stream_->home(); }

private:
    enum class state { starting, tuning, opening, open, closing, closed };
    struct slot {
        slot(channel_port* user, std::size_t content_bytes_max)
            : port(user), assembler(content_bytes_max, properties_as::decoded, over_limit::skip) {}

        channel_port* port;  // null: waits for channel.close-ok
        content_assembler assembler;
    };

    void on_octets(std::span<char> octets) override;
    void on_closed(net::error_code why) override;

    // False when the connection has ended.
    bool on_frame(const frame& received);
    void on_connection_method(method& received);
    void on_start(const connection_start& offered);
    void on_tune(const connection_tune& offered);
    void on_blocked(bool is, const std::string& reason);
    void on_channel_message(std::uint16_t number, slot& target, message& received);
    result<void> flush(std::expected<void, wire_error> encoded);
    void beat();
    void look_at_peer();
    void protocol_failure(const frame_error& failure);
    void end(error why);

    std::shared_ptr<net::stream> stream_;
    const connection_options options_;
    connection_handler& handler_;
    state state_ = state::starting;
    bool answered_ = false;
    frame_parser parser_;
    std::uint32_t frame_max_;
    std::uint16_t channel_max_;
    table server_properties_;
    content_assembler own_assembler_;  // of channel 0
    std::unordered_map<std::uint16_t, slot> slots_;
    std::uint16_t last_number_ = 0;
    std::string scratch_;  // what is being encoded; empty between calls

    std::chrono::milliseconds heartbeat_{0};
    bool sent_since_beat_ = false;
    unsigned silent_beats_ = 0;  // halves of the heartbeat interval in which nothing arrived
    net::wheel_timer peer_timer_{this, [](connection& self) { self.look_at_peer(); }};
    net::wheel_timer beat_timer_{this, [](connection& self) { self.beat(); }};
    net::wheel_timer limit_timer_{
        this, [](connection& self) {
            self.end({self.state_ == state::closing ? errc::stopped : errc::connect_failed, 0, "no answer in time"});
        }};
};

}  // namespace foz::amqp
