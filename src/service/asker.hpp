// Questions of handlers to clients, and their answers.
#pragma once

#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace foz::service {

// Owned by the worker's core and living on its I/O thread; handlers call ask() on theirs. Its queue for answers is
// exclusive and there from the first question on: most workers ask nothing, and need no permission to make one.
class asker final : private amqp::channel_handler {
public:
    using publish_function = std::function<void(amqp::publication, steady_time deadline, amqp::on_outcome)>;

    asker(amqp::client& consume, publish_function publish);

    // On a handler's thread: publishes the question and waits for the first answer. Nothing when none came in time,
    // when the connection was lost, after end(), or when the answer is an error.
    std::optional<std::string> ask(amqp::publication question, std::chrono::milliseconds within);
    // From any thread: nobody waits any more.
    void end();

private:
    struct waiter {
        std::condition_variable answered;
        bool done = false;
        bool sent = false;
        amqp::publication question;
        steady_time deadline;
        std::optional<std::string> answer;
    };

    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_ready(amqp::channel& self) override;
    void on_lost(amqp::channel& self, const amqp::error& why) override;
    void on_delivery(amqp::channel& self, const amqp::delivery& d) override;
    void on_too_large(amqp::channel& self, const amqp::delivery& d, const amqp::skipped_body& body) override;

    void send_waiting();
    void settle(const std::string& correlation_id, std::optional<std::string> answer);

    amqp::client& client_;
    const publish_function publish_;
    std::shared_ptr<amqp::channel> link_;
    std::string queue_;

    std::mutex mutex_;                                                     // guards what follows
    std::map<std::string, std::shared_ptr<waiter>, std::less<>> waiters_;  // by correlation_id
    bool ended_ = false;
};

}  // namespace foz::service
