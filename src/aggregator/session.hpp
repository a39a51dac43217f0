// One client's socket: what Primus, primus-responder and the envelope say on it, and the requests that wait.
#pragma once

#include "aggregator/hub.hpp"
#include "ws/conn/connection.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace foz::aggregator {

// What a frame's answer has to name: made when the frame arrives, kept as long as an answer may come.
struct reply_context {
    std::string request_id;   // primus-responder's; empty: a plain write
    std::string id;           // the envelope's
    std::uint64_t frame = 0;  // the n-th of this socket
    std::vector<std::string> warnings;
};

// A code that clients see, and whether trying again may help.
struct client_error {
    std::string_view code;
    std::string message;
    std::string field;
    bool retryable = false;
};

struct session_options {
    client_id client;
    session_id id;
    std::optional<std::size_t> bound_channel;  // ?channel=chat
    std::vector<std::size_t> consume_at_open;  // ?consume=chat,tickets
    bool hello = false;                        // wants a welcome
};

// Lives on its hub's shard, owned by its connection.
class session final : public subscriber, public ws::socket_handler {
public:
    session(hub& home, session_options options);
    ~session() override;

    std::uint64_t serial() const noexcept { return serial_; }

    // From the hub.
    void deliver(const frame_ref& frame, bool durable);
    // True when the request waited here.
    bool take_answer(const outbound_answer& answer);
    // An answer to a request of another socket of this client.
    void pass_answer(const outbound_answer& answer);
    // Requests that wait for an answer on this channel have lost their way back.
    void interrupt(std::size_t channel);
    void drain();

private:
    struct pending_request {
        pending_request(session& s, std::string k, reply_context c, std::size_t ch)
            : owner(s), key(std::move(k)), context(std::move(c)), channel(ch) {}
        session& owner;
        const std::string key;
        const reply_context context;
        const std::size_t channel;
        net::wheel_timer timer{this, [](pending_request& self) { self.owner.on_request_timeout(self.key); }};
    };
    struct pending_receipt;

    // ws::socket_handler
    void on_open(ws::connection& socket) override;
    void on_text(std::string_view text) override;
    void on_binary(std::string_view octets) override { on_text(octets); }
    void on_closed(ws::close_code code, std::string_view reason, bool clean) override;

    void on_data(std::string_view data, reply_context context);
    void consume(const envelope::envelope& asked, const reply_context& context);
    void leave(const envelope::envelope& asked, const reply_context& context);
    void publish(const envelope::envelope& asked, reply_context context);

    std::optional<client_error> resolve_channels(const envelope::envelope& asked, std::vector<std::size_t>& out) const;
    std::optional<client_error> read_interest(const envelope::envelope& asked, interest& out) const;
    std::optional<client_error> check_publish(const envelope::envelope& asked, envelope::ack_mode ack,
                                              bool from_responder, const std::vector<std::size_t>& channels) const;
    amqp::publication make_publication(const envelope::envelope& asked, std::size_t channel,
                                       const reply_context& context) const;
    void expect_answer(const envelope::envelope& asked, std::size_t channel, const reply_context& context,
                       amqp::publication& message);
    void on_outcome(amqp::outcome result, const std::shared_ptr<pending_receipt>& receipt);
    void on_request_timeout(const std::string& key);
    bool is_me(std::string_view receiver) const;
    void consume_all(std::size_t channel);
    void send_consuming(const reply_context& context);
    void send_answer(const outbound_answer& answer, const reply_context& context);
    void send_error(const client_error& error, const reply_context& context);
    void respond(const reply_context& context, std::string_view json);
    void send_control(const std::string& json) { socket_->send_text(json); }
    void on_ping_interval();

    hub& hub_;
    const session_options options_;
    ws::connection* socket_ = nullptr;
    std::uint64_t serial_ = 0;
    std::uint64_t frames_ = 0;
    bool heard_since_ping_ = true;
    bool closing_ = false;
    std::unordered_map<std::string, pending_request> requests_;
    net::wheel_timer ping_timer_{this, [](session& self) { self.on_ping_interval(); }};
};

}  // namespace foz::aggregator
