// One client's AMQP connection, server role: handshake, channels, heartbeats, close (AMQP 0-9-1 §1.4, §4.2).
#pragma once

#include "amqp/codec/content.hpp"
#include "amqp/codec/frame_parser.hpp"
#include "amqp/codec/methods.hpp"
#include "broker/core/node.hpp"
#include "broker/front/info.hpp"
#include "broker/front/users.hpp"
#include "net/stream.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace foz::broker {

class channel;
class connection;

struct connection_limits {
    std::chrono::milliseconds handshake_timeout = std::chrono::seconds(10);
    std::chrono::seconds heartbeat{60};
    std::uint32_t frame_max = 131'072;
    std::uint16_t channel_max = 2'047;
    std::size_t message_bytes_max = 128 << 20;
    // Above it a connection's consumers get nothing until it has fallen.
    std::size_t queued_bytes_max = 1 << 20;
    // A client that asks and asks and reads no answer is not read from above so much.
    std::size_t answers_bytes_max = 16 << 20;
    // Of direct replies that wait until a channel takes them; what comes on top is lost.
    std::size_t replies_bytes_max = 64 << 20;
};

// What connections share. Outlives them.
struct front_context {
    node& model;
    const users& known;
    const connection_limits& limits;
    std::string version;
    // Channels that consume replies, by their token.
    std::unordered_map<std::string, channel*> reply_consumers = {};
};

class connection_owner {
public:
    virtual void on_gone(connection& gone) = 0;
    // It began with a PROXY protocol header, which was not asked for, and ends.
    virtual void on_proxy_head(const net::tcp::endpoint&) {}
    // `why`: a few words for a log, with nothing secret in them.
    virtual void on_refused(const net::tcp::endpoint& from, std::string_view user, std::string_view why) = 0;

protected:
    ~connection_owner() = default;
};

// Lives on the broker's shard, owned by a server's list, which it leaves when it has closed; on the stack it keeps
// itself.
class connection final : private net::stream_handler,
                         public net::turn_listener,
                         public std::enable_shared_from_this<connection> {
public:
    // `certified`: who the peer is by its certificate, which was verified.
    connection(std::shared_ptr<net::stream> stream, front_context& shared, connection_owner& list,
               std::optional<std::string> certified = {});
    ~connection() override;

    void start();
    // connection.close with 320, and the end when the client has answered or after a moment.
    void shut_down();
    // The owner goes away.
    void forsake();
    // The store can take no more (or can again): publishers are told and not read from.
    void block(bool blocked, const std::string& reason);
    // The store is behind (or not any more): publishers are not read from for a moment.
    void hold(bool store_behind);
    // The storage has committed.
    void on_committed();
    // Adds itself, once it is open.
    void tell(std::vector<connection_info>& connections, std::vector<consumer_info>& consumers) const;

    // For channels.
    owner_id owner() const noexcept { return owner_; }
    vhost& home_vhost() noexcept { return *vhost_; }
    node& model() noexcept { return shared_.model; }
    auto& reply_consumers() noexcept { return shared_.reply_consumers; }
    const connection_limits& limits() const noexcept { return shared_.limits; }
    const std::string& user() const noexcept { return user_->name; }
    bool allows(permission what, const std::string& name) { return access_->allows(what, name); }
    bool choked() const noexcept {
        return choked_ || stream_->above_high_watermark() || out_.size() > shared_.limits.queued_bytes_max;
    }
    bool cancels_consumers() const noexcept { return cancels_consumers_; }
    std::uint32_t frame_max() const noexcept { return frame_max_; }
    net::shard& home() noexcept { return stream_->home(); }
    // What is to be written: channels append whole frames and call wrote().
    std::string& out() noexcept { return out_; }
    void wrote();
    // The message's body frames; a large body is not copied.
    void write_body(std::uint16_t number, const message_ref& what);
    void send(std::uint16_t number, const amqp::method& m);
    // The channel has confirms or other work for the end of the turn.
    void at_turn_end();
    void published();
    // It is published when its body is on disk; until then nothing more is read.
    void stage(std::uint16_t number, const message_ref& what, bool mandatory);
    // connection.close. `m`: the method that is at fault.
    void fail(const refusal& why, std::uint16_t class_id, std::uint16_t method_id);

private:
    enum class state { header_due, start_ok_due, tune_ok_due, open_due, open, closing, closed };

    void on_octets(std::span<char> octets) override;
    void on_closed(net::error_code why) override;
    void on_drained() override;
    void on_turn_end(net::write_line) override;

    void take_in(std::string_view input);
    void pass_on();
    // Octets that have come wait.
    bool holds_input() const noexcept;
    void take_in_held();
    void on_staged();
    // False when the connection has ended.
    bool on_frame(const amqp::frame& received);
    bool on_channel_frame(const amqp::frame& received);
    void on_method(amqp::method& received);
    void on_start_ok(const amqp::connection_start_ok& said);
    // Fails the connection when there is no such user.
    // Sets user_, or refuses.
    void log_in(const amqp::connection_start_ok& said);
    void on_tune_ok(const amqp::connection_tune_ok& said);
    void on_open(const amqp::connection_open& said);
    void refuse_login(const std::string& mechanism, const std::string& user, std::string_view why);
    // `header`: what the client has begun with.
    void start_handshake(std::string_view header);
    void wrong_protocol();
    void close_channels();
    void end();
    void beat();
    void set_reading();
    bool publisher_waits() const noexcept { return has_published_ && (blocked_ || store_behind_); }

    std::shared_ptr<net::stream> stream_;
    front_context& shared_;
    connection_owner& list_;
    const owner_id owner_;
    const std::optional<std::string> certified_;
    state state_ = state::header_due;
    amqp::frame_parser parser_;
    amqp::content_assembler own_assembler_;  // of channel 0
    std::uint32_t frame_max_;
    std::uint16_t channel_max_;
    const user_settings* user_ = nullptr;
    vhost* vhost_ = nullptr;
    std::optional<access> access_;
    std::map<std::uint16_t, std::unique_ptr<channel>> channels_;
    // Closed with the connection; one of them may be on the stack.
    std::map<std::uint16_t, std::unique_ptr<channel>> closed_channels_;
    std::string out_;
    std::string held_;  // octets of the client's that wait: holds_input()
    std::string name_;  // what the client says of itself
    std::string client_;
    std::uint64_t received_bytes_ = 0;
    bool choked_ = false;
    bool cancels_consumers_ = false;  // capabilities of the client
    bool wants_blocked_ = false;
    bool closes_on_refusal_ = false;
    bool has_published_ = false;
    bool blocked_ = false;
    bool told_blocked_ = false;
    bool store_behind_ = false;
    bool staging_ = false;  // a message's body is on its way to the disk
    bool turn_end_due_ = false;
    bool forsaken_ = false;
    std::string blocked_reason_;

    std::chrono::milliseconds heartbeat_{0};
    bool sent_since_beat_ = false;
    unsigned silent_beats_ = 0;
    std::size_t queued_at_beat_ = 0;
    net::wheel_timer beat_timer_{this, [](connection& self) { self.beat(); }};
    net::wheel_timer limit_timer_{this, [](connection& self) { self.end(); }};
};

}  // namespace foz::broker
