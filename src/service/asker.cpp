#include "service/asker.hpp"

#include "base/random.hpp"
#include "contract/names.hpp"
#include "contract/own_queue.hpp"

#include <algorithm>
#include <utility>

namespace foz::service {
namespace {

contract::own_queue answers_queue() {
    contract::own_queue made;
    made.prefix = "ANSWERS";
    return made;
}

}  // namespace

asker::asker(amqp::client& consume, publish_function publish) : client_(consume), publish_(std::move(publish)) {}

std::optional<std::string> asker::ask(amqp::publication question, std::chrono::milliseconds within) {
    const std::string correlation_id = system_random().token();
    question.properties.correlation_id = correlation_id;
    question.properties.expiration = std::to_string(std::max<std::int64_t>(within.count(), 0));
    const auto mine = std::make_shared<waiter>();
    mine->question = std::move(question);
    mine->deadline = client_.home().time().now() + within;

    std::unique_lock lock(mutex_);
    if (ended_) return std::nullopt;
    waiters_.emplace(correlation_id, mine);
    client_.home().post([this] {
        if (!link_) link_ = client_.open_channel(*this);
        send_waiting();
    });
    mine->answered.wait_until(lock, mine->deadline, [&] { return mine->done; });
    waiters_.erase(correlation_id);
    return std::move(mine->answer);
}

void asker::end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    for (auto& [id, one] : waiters_) {
        one->done = true;
        one->answered.notify_one();
    }
}

boost::asio::awaitable<amqp::result<void>> asker::set_up(amqp::channel& self) {
    auto made = co_await contract::consume_own_queue(self, answers_queue());
    if (!made) co_return std::unexpected(made.error());
    queue_ = *std::move(made);
    co_return amqp::result<void>{};
}

void asker::on_ready(amqp::channel&) {
    send_waiting();
}

void asker::send_waiting() {
    if (!link_->ready()) return;
    const std::lock_guard lock(mutex_);
    const steady_time now = client_.home().time().now();
    for (auto& [id, one] : waiters_) {
        if (one->done || std::exchange(one->sent, true) || one->deadline <= now) continue;
        one->question.properties.reply_to = queue_;
        publish_(std::move(one->question), one->deadline, [this, correlation_id = id](amqp::outcome result) {
            if (result != amqp::outcome::confirmed) settle(correlation_id, std::nullopt);
        });
    }
}

void asker::on_lost(amqp::channel&, const amqp::error&) {
    // The queue is gone, and with it the answers to what was asked through it.
    const std::lock_guard lock(mutex_);
    for (auto& [id, one] : waiters_) {
        if (!one->sent) continue;
        one->done = true;
        one->answered.notify_one();
    }
}

void asker::on_delivery(amqp::channel&, const amqp::delivery& d) {
    const auto& properties = d.properties;
    if (!properties.correlation_id) return;
    const bool refused = properties.headers && properties.headers->find(contract::header_error);
    settle(*properties.correlation_id, refused ? std::nullopt : std::optional<std::string>(d.body));
}

void asker::on_too_large(amqp::channel&, const amqp::delivery& d, const amqp::skipped_body&) {
    if (d.properties.correlation_id) settle(*d.properties.correlation_id, std::nullopt);
}

void asker::settle(const std::string& correlation_id, std::optional<std::string> answer) {
    const std::lock_guard lock(mutex_);
    const auto at = waiters_.find(correlation_id);
    if (at == waiters_.end() || std::exchange(at->second->done, true)) return;  // too late, or not the first
    at->second->answer = std::move(answer);
    at->second->answered.notify_one();
}

}  // namespace foz::service
