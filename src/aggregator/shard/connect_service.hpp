// Whether a client that has shown no token may come in: asks the service that decides it.
#pragma once

#include "aggregator/feed/connect_questions.hpp"
#include "aggregator/session/client_error.hpp"
#include "aggregator/session/client_rights.hpp"
#include "aggregator/settings.hpp"
#include "aggregator/shard/token_gate.hpp"
#include "net/address_table.hpp"
#include "net/shard.hpp"
#include "net/slots.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/ip/address.hpp>

namespace foz::aggregator {

struct connect_counters {
    std::uint64_t asked = 0;
    std::uint64_t allowed = 0;
    std::uint64_t denied = 0;
    // Clients that were refused for now, by why. Not asked: too many questions were open, or no service was there.
    std::uint64_t too_many = 0;
    std::uint64_t no_service = 0;
    std::uint64_t unavailable = 0;  // the broker
    std::uint64_t no_answer = 0;
    std::uint64_t failed = 0;      // the service failed, or gave the question up
    std::uint64_t bad_answer = 0;  // that can't be understood
    std::uint64_t late = 0;        // answers that nobody waited for any more
    std::size_t open = 0;          // now
};

// One for a process. A question that is open holds a place until its answer has come or its time is over, also when the
// client has gone: so whoever comes and goes fast can't ask faster than the service answers.
class connect_service {
public:
    using outcome = std::expected<known_client, client_error>;
    using on_outcome = std::function<void(outcome)>;

    // Called on the connections' shard.
    struct listener {
        std::function<void()> on_ready;  // each time when clients can be asked about
        std::function<void(const amqp::error& why)> on_lost;
        std::function<void(const std::string&)> on_notice;
    };
    // The connections outlive this and are stopped before it is destroyed.
    connect_service(amqp::client& consume, amqp::client& publish, const settings& all, const token_gate& tokens,
                    listener tell);

    // From any thread. A place for a question about a client from there; nothing when too many are open, in all or
    // from its address.
    net::slot take_place(const boost::asio::ip::address& from, steady_time now);
    // From any thread: what a client is told who is not asked about, since there is no place, or no service.
    client_error too_many_open();
    client_error no_service();
    // Whose queue the service consumes.
    std::size_t channel() const noexcept { return channel_; }

    // From the shard `back`, where `done` is called, soon and not inside. `question`: connect_question().
    void ask(net::shard& back, std::string question, net::slot place, on_outcome done);

    // On the connections' shard.
    bool ready() const noexcept { return questions_.ready(); }
    connect_counters counters() const;

private:
    outcome judge(const connect_questions::answer& answer);
    outcome judge_text(const std::string& answer);
    client_error fail(no_connect_answer why);

    const settings& settings_;
    const token_gate& tokens_;
    const listener tell_;
    const std::size_t channel_;
    net::shard& home_;
    const std::shared_ptr<net::slot_pool> places_;
    net::address_table addresses_;
    std::atomic<std::uint64_t> too_many_ = 0;
    std::atomic<std::uint64_t> no_service_ = 0;
    connect_counters counters_;  // but what has a place of its own here
    connect_questions questions_;
};

}  // namespace foz::aggregator
