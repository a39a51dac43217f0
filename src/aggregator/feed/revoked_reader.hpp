// Who is not let in any more, as the stream REVOKED says it.
#pragma once

#include "aggregator/settings.hpp"
#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"
#include "contract/revocation.hpp"
#include "contract/stream_cursor.hpp"
#include "net/timing_wheel.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace foz::aggregator {

// Called on shard 0.
class revocation_listener {
public:
    // The same one may come twice.
    virtual void on_revocation(const contract::revocation& what) = 0;
    // An entry that this user of the broker has no right to; empty: nobody said to be its author.
    virtual void on_revocation_not_trusted(const std::string& user) = 0;
    // Once: all that were there at the start are known.
    virtual void on_revocations_known() = 0;
    virtual void on_revocations_lost(const amqp::error& why) = 0;

protected:
    ~revocation_listener() = default;
};

struct revoked_counters {
    std::uint64_t read = 0;
    std::uint64_t not_understood = 0;
};

// Reads the stream from its first entry, after any interruption from where it was, and from the first one again when it
// was made anew. Lives on shard 0. The connections outlive it and are stopped before it is destroyed.
class revoked_reader final : private amqp::channel_handler {
public:
    revoked_reader(amqp::client& streams, amqp::client& publish, const settings& all, revocation_listener& listener);
    ~revoked_reader();

    // `done`: the broker has it, or why not. Every aggregator hears of it through the stream, this one as well.
    void publish(const contract::revocation& what, amqp::on_outcome done);

    const revoked_counters& counters() const noexcept { return counters_; }

private:
    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_ready(amqp::channel& self) override;
    void on_lost(amqp::channel& self, const amqp::error& why) override;
    void on_delivery(amqp::channel& self, const amqp::delivery& message) override;
    void on_too_large(amqp::channel& self, const amqp::delivery& message, const amqp::skipped_body& body) override;

    void act(const amqp::delivery* message);
    void take(const amqp::delivery& message);
    bool trusted(const amqp::delivery& message) const;
    void on_tick();
    void set_timer();

    net::shard& home_;
    const settings& settings_;
    revocation_listener& listener_;
    const std::string user_;                   // of the broker, ours; empty: unknown
    const std::vector<std::string> revokers_;  // whose entries count; empty: everybody's
    amqp::publisher publisher_;
    contract::stream_cursor cursor_;
    std::vector<contract::cursor_event> events_;
    revoked_counters counters_;
    net::wheel_timer tick_timer_{this, [](revoked_reader& self) { self.on_tick(); }};
    std::shared_ptr<amqp::channel> link_;  // last: its opening may begin in the constructor
};

}  // namespace foz::aggregator
