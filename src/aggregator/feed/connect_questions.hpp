// Questions whether a client may come in, to the service that decides it (foz.connect).
#pragma once

#include "aggregator/settings.hpp"
#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"
#include "base/clock.hpp"
#include "net/timing_wheel.hpp"

#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include <boost/asio/awaitable.hpp>

namespace foz::aggregator {

enum class no_connect_answer : std::uint8_t {
    unavailable,  // the broker did not take the question, or the way back was cut
    unroutable,   // the channel has no queue
    silence,      // nothing within the time
    failure,      // the service failed, or gave the question up
};

// Each question goes to the queue of the channel in the settings, and is not kept by the broker for longer than
// somebody waits for its answer. Answers come to an exclusive queue of this aggregator's own. Lives on shard 0. Whoever
// asks bounds how many questions are open.
class connect_questions final : private amqp::channel_handler {
public:
    using answer = std::expected<std::string, no_connect_answer>;
    using on_answer = std::move_only_function<void(answer)>;

    struct events {
        std::function<void()> on_ready;  // each time when questions can be asked
        std::function<void(const amqp::error& why)> on_lost;
    };
    // The consuming and the publishing connection; both outlive this and are stopped before it is destroyed.
    connect_questions(amqp::client& consume, amqp::client& publish, const settings& all, events tell);
    ~connect_questions();

    // `body`: JSON. `done` is called exactly once, perhaps at once, unless this is destroyed before.
    void ask(std::string body, on_answer done);

    // The way back is there.
    bool ready() const noexcept { return link_->ready(); }
    // Answers that came when nobody waited for them any more.
    std::uint64_t late() const noexcept { return late_; }

private:
    // By the time when it is given up, which is the order in which they were asked.
    struct patience {
        steady_time until;
        std::string id;
    };

    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_ready(amqp::channel&) override { tell_.on_ready(); }
    void on_lost(amqp::channel& self, const amqp::error& why) override;
    void on_delivery(amqp::channel& self, const amqp::delivery& message) override;
    void on_too_large(amqp::channel& self, const amqp::delivery& message, const amqp::skipped_body& body) override;

    amqp::publication make_question(std::string body, const std::string& id) const;
    void end(const std::string& id, answer with);
    void on_time();

    const settings& settings_;
    const events tell_;
    net::shard& home_;
    amqp::publisher publisher_;
    std::string queue_;  // empty while there is none
    std::unordered_map<std::string, on_answer> open_;
    std::deque<patience> waiting_;  // also some that are answered, behind one that is not
    std::uint64_t late_ = 0;
    net::wheel_timer timer_{this, [](connect_questions& self) { self.on_time(); }};
    std::shared_ptr<amqp::channel> link_;
};

}  // namespace foz::aggregator
