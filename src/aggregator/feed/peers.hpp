// The other aggregators: who hears them, and what their clients may not have heard.
#pragma once

#include "aggregator/feed/roster.hpp"
#include "aggregator/settings.hpp"
#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace foz::aggregator {

// An event that a client was told and may not have heard.
struct told_message {
    client_id client;
    std::string request;  // primus-responder's; empty: a plain event
    std::string json;
    std::string device;  // as reply_context::device
};

class peers_listener {
public:
    // Another aggregator was left by this client.
    virtual void on_told(told_message what) = 0;
    // Services believe that all sessions of this aggregator are closed.
    virtual void on_given_up() = 0;

protected:
    ~peers_listener() = default;
};

struct peers_counters {
    std::uint64_t heard = 0;        // messages of other aggregators
    std::uint64_t closed_told = 0;  // sessions of dead aggregators that services were told of
    std::uint64_t passed_on = 0;    // events that clients may not have heard, to the others
};

// Through the exchange INTERNAL, which gives everything to everybody: each aggregator has an exclusive queue on it.
// Lives on shard 0.
class peers final : private amqp::channel_handler, private roster_output {
public:
    // The consuming and the publishing connection; both outlive this and are stopped before it is destroyed.
    peers(amqp::client& consume, amqp::client& publish, const settings& all, peers_listener& listener);
    ~peers();

    // A session begins or ends to hear a channel with presence.
    void note(std::size_t channel, std::string client, std::string session, bool here);
    void tell(told_message what);
    // All sessions have ended, and services know it.
    void leave();

    // Not confirmed yet.
    std::size_t pending() const noexcept { return publisher_.pending(); }
    const peers_counters& counters() const noexcept { return counters_; }
    const roster& others() const noexcept { return roster_; }

private:
    // Services are told of the sessions of one that died.
    struct closing {
        std::string whom;
        std::vector<present_session> left;
        std::size_t under_way = 0;
        bool failed = false;
    };

    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_ready(amqp::channel& self) override;
    void on_delivery(amqp::channel& self, const amqp::delivery& message) override;
    // Nobody says anything so large.
    void on_too_large(amqp::channel&, const amqp::delivery&, const amqp::skipped_body&) override {}

    void say(peer_message what) override;
    void tell_closed(const std::string& whom, const std::set<present_session>& sessions) override;
    void tell_opened_again() override;

    void go_on(const std::shared_ptr<closing>& with);
    amqp::publication closed_event(const present_session& who) const;
    void on_beat();

    const settings& settings_;
    peers_listener& listener_;
    amqp::client& client_;
    const std::string self_;
    roster roster_;
    peers_counters counters_;
    bool beats_ = false;       // a heartbeat is on its way
    std::size_t changes_ = 0;  // of who hears us, on their way
    net::wheel_timer beat_timer_{this, [](peers& self) { self.on_beat(); }};
    amqp::publisher publisher_;
    std::shared_ptr<amqp::channel> link_;
};

}  // namespace foz::aggregator
