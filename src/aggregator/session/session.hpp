// One client's socket: what Primus, primus-responder and the envelope say on it.
#pragma once

#include "aggregator/session/client_error.hpp"
#include "aggregator/shard/hub.hpp"
#include "ws/conn/connection.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace foz::aggregator {

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
    void deliver(const frame_ref& frame, const entry& message);
    void take_page(catch_up_page page);
    void tell_position(std::size_t channel, const frame_ref& frame);
    // Live from now on, wherever it was.
    void end_resume(std::size_t channel);
    // An answer to what this aggregator was not asked.
    void pass_answer(const entry& entry);
    // Tells the client to come back elsewhere, and closes after that time.
    void drain(std::chrono::milliseconds after);
    void send(const frame_ref& frame);
    // It is sent nothing any more.
    bool closing() const noexcept { return closing_; }
    // `json` is one event; it becomes a responder frame when a request asked for it.
    void respond(const reply_context& context, std::string_view json);

private:
    // A channel on which older messages are being delivered; live ones wait among the recent messages until they are
    // reached. Order and completeness hold without any copy.
    struct resuming {
        resuming(session& s, std::size_t c, std::uint64_t t) : owner(s), channel(c), ticket(t) {}
        session& owner;
        const std::size_t channel;
        const std::uint64_t ticket;
        std::uint64_t next_offset = 0;  // everything before it has been delivered
        std::optional<envelope::position> last;
        std::uint64_t since_s = 0;  // older entries are not wanted
        std::uint64_t said_s = 0;   // the last time that an entry has named
        std::size_t entries = 0;
        bool reading_stream = false;
        std::function<void(bool)> taken;  // a page waits to be acknowledged until the socket has drained
        // Runs while the socket does not drain; what the aggregator owes is waited for.
        net::wheel_timer patience{this, [](resuming& self) { self.owner.close_slow(); }};
    };
    struct pending_consume;

    // ws::socket_handler
    void on_open(ws::connection& socket) override;
    void on_text(std::string_view text) override;
    void on_binary(std::string_view octets) override { on_text(octets); }
    void on_closed(ws::close_code code, std::string_view reason, bool clean) override;
    void on_violation(ws::close_code) override;
    void on_drained() override;
    void on_still_blocked() override;

    void on_data(std::string_view data, reply_context context);
    void on_response(std::string_view id, std::string_view data);
    void on_ping_interval();
    bool is_slow();
    void close_slow();
    void send_error(const client_error& error, const reply_context& context);
    void send_control(const std::string& json) { socket_->send_text(json); }

    // session_consume.cpp
    void consume(const envelope::envelope& asked, const reply_context& context);
    void leave(const envelope::envelope& asked, const reply_context& context);
    void ask_to_join(const std::shared_ptr<pending_consume>& what, std::size_t channel, const std::string& group);
    void complete_pending();
    void complete(const pending_consume& what);
    std::optional<client_error> read_consume(const envelope::envelope& asked, pending_consume& out) const;
    std::optional<client_error> read_from(const envelope::envelope& asked, pending_consume& out) const;
    std::optional<client_error> read_joins(pending_consume& out) const;
    std::optional<client_error> resolve_channels(const envelope::envelope& asked, std::vector<std::size_t>& out) const;
    std::optional<client_error> read_kinds(const envelope::envelope& asked, interest& out) const;
    std::optional<client_error> read_interest(const envelope::envelope& asked, interest& out) const;
    bool is_me(std::string_view receiver) const;
    void hear(std::size_t channel, const interest& wanted);
    // `from`: where the channels that this consume resumes will begin.
    void send_consuming(const reply_context& context, const std::map<std::size_t, envelope::resume_from>& from = {});
    // Where who comes back has missed nothing of what this socket is about to get.
    std::optional<envelope::position> place_of(std::size_t channel,
                                               const std::map<std::size_t, envelope::resume_from>& from) const;
    // foz.opened and foz.closed, for channels whose services want to know.
    void tell_presence(std::size_t channel, bool here);

    // session_publish.cpp
    void publish(const envelope::envelope& asked, reply_context context);
    std::optional<client_error> check_publish(const envelope::envelope& asked, envelope::ack_mode ack,
                                              bool from_responder, const std::vector<std::size_t>& channels) const;
    amqp::publication make_publication(const envelope::envelope& asked, std::size_t channel,
                                       const reply_context& context) const;
    // A message of ours to the channel's service, in this client's name.
    amqp::publication make_internal(std::size_t channel, std::string_view type, std::string body) const;
    void expect_answer(const std::shared_ptr<request>& what, const envelope::envelope& asked,
                       const reply_context& context, amqp::publication& message) const;

    // session_resume.cpp
    void resume(std::size_t channel, const envelope::resume_from& from);
    void read_stream(resuming& state, envelope::resume_from from);
    void pump(std::size_t channel);
    bool replay(resuming& state, const entry_ref& entry);
    const entry_route* route_to_me(const entry& entry) const;
    void tell_gap(std::size_t channel, envelope::gap_cause cause, const std::optional<envelope::position>& where);

    hub& hub_;
    const session_options options_;
    ws::connection* socket_ = nullptr;
    std::uint64_t serial_ = 0;
    std::uint64_t frames_ = 0;
    std::uint64_t tickets_ = 0;  // of resumes
    bool heard_since_ping_ = true;
    bool closing_ = false;
    std::map<std::size_t, resuming> resuming_;                // by channel
    std::set<std::pair<std::size_t, std::uint64_t>> passed_;  // answers, by channel and offset
    std::vector<std::shared_ptr<pending_consume>> pending_;
    std::vector<std::size_t> lossy_;  // volatile channels that lost messages since the socket is slow
    net::wheel_timer ping_timer_{this, [](session& self) { self.on_ping_interval(); }};
    net::wheel_timer drain_timer_{
        this, [](session& self) { self.socket_->close(ws::close_code(spec::close_service_restart), "going away"); }};
};

}  // namespace foz::aggregator
