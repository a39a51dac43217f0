// What a hub wants done.
#pragma once

#include "aggregator/channel/member.hpp"
#include "aggregator/channel/page.hpp"
#include "aggregator/session/client_error.hpp"
#include "aggregator/session/client_rights.hpp"
#include "aggregator/session/unheard_answers.hpp"
#include "amqp/codec/publication.hpp"
#include "base/clock.hpp"
#include "base/frame.hpp"
#include "base/strong.hpp"
#include "ws/codec/close_code.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace foz::aggregator {

// Names a message whose outcome somebody wants to hear; 0: nobody does.
using publish_ticket = std::uint64_t;

// The shard does these things with sockets, a publisher and readers; the simulator with models of them. Nothing here
// calls the hub before the call of the hub that caused it has returned.
class hub_output {
public:
    // Whole WebSocket frames, encoded once for any number of sockets.
    virtual void send(member to, const frame_ref& frames) = 0;
    // One text message, to be framed.
    virtual void send_text(member to, std::string_view text) = 0;
    // Octets that wait to be written to the socket.
    virtual std::size_t queued_bytes(member to) const = 0;
    // The socket takes too little: writing to it was tried, it would block, and more waits than the limits allow.
    virtual bool slow(member to) = 0;
    // Writing to the socket was tried, it would block, and it has taken nothing for so long. Octets that are queued
    // meanwhile, or a stall of our own, don't count.
    virtual bool stuck(member which, std::chrono::milliseconds span) const = 0;
    // Nothing was heard of the peer for so long, if only a part of a frame, though it was read from and took nothing of
    // what waits for it.
    virtual bool silent(member on, std::chrono::milliseconds span) const = 0;
    // Since this was last asked, the peer has taken some of what was on its way to it by then: it may not have come to
    // what was sent behind that. Asked once in a ping interval.
    virtual bool taking(member which) {
        (void)which;
        return false;
    }
    // Begins the closing handshake; hub::closed() follows. Nothing can be sent any more.
    virtual void close(member which, ws::close_code code, std::string_view reason) = 0;
    // The same, but what the peer has sent before it knew of it is still given to the hub: it comes back, and hears
    // elsewhere what becomes of it.
    virtual void send_away(member which, ws::close_code code, std::string_view reason) { close(which, code, reason); }
    // Closes at once; hub::closed() follows.
    virtual void abort(member which) = 0;
    // While paused, no frames come from this socket.
    virtual void pause_reading(member from, bool paused) = 0;

    // hub::on_outcome(ticket) follows exactly once unless the ticket is 0. Messages of one client to a channel with
    // order = client are published one after the other.
    virtual void publish(std::size_t channel, const client_id& client, amqp::publication message, publish_ticket ticket,
                         steady_time deadline) = 0;
    // The client's messages wait in such number that no more should be taken from it; hub::on_room() follows when some
    // have gone.
    virtual bool crowded(std::size_t channel, const client_id& client) const = 0;

    // The process has as much memory as it may: nothing more is to be published.
    virtual bool short_of_memory() const { return false; }

    // hub::on_page() follows, again after each taken(more), until a page is the last or no more are wanted.
    virtual void read_older(const page_request& what) = 0;
    virtual void page_taken(const reading_id& which, bool more) = 0;

    // A session begins or ends to hear a channel with presence; its service has been told.
    virtual void presence(std::size_t channel, std::string_view client, std::string_view session, bool here) {
        (void)channel, (void)client, (void)session, (void)here;
    }
    // The client is not here any more, and may not have heard this: other aggregators call hub::told_elsewhere().
    virtual void tell_elsewhere(const client_id& client, const told_answer& what) { (void)client, (void)what; }

    // Nobody waits any more for the answer to this message: whoever works on it may stop.
    virtual void tell_cancelled(std::size_t channel, std::string_view client, std::string message_id) {
        (void)channel, (void)client, (void)message_id;
    }

    // Who shows this token, and what it may; or why it is not believed.
    virtual std::expected<known_client, client_error> check_token(std::string_view token) {
        (void)token;
        return std::unexpected(client_error{error_code::unsupported, "this aggregator knows no tokens", "token"});
    }

    // hub::work() is to be called soon, in a turn of its own.
    virtual void want_work() = 0;

protected:
    ~hub_output() = default;
};

}  // namespace foz::aggregator
