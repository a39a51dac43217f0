#include "aggregator/feed/connect_questions.hpp"

#include "contract/names.hpp"
#include "contract/own_queue.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

namespace foz::aggregator {
namespace {

contract::own_queue answers_queue() {
    contract::own_queue made;
    made.prefix = contract::connect_prefix;
    return made;
}

// Says that the service is at work: the answer, or its end without one, is still to come.
bool is_progress(const amqp::basic_properties& properties) {
    const std::string_view type = properties.type ? std::string_view(*properties.type) : "";
    return type == contract::type_taken || type == contract::type_extend || type == contract::type_part;
}

std::optional<no_connect_answer> failure_in(const amqp::basic_properties& properties) {
    if (properties.type == contract::type_done) return no_connect_answer::failure;
    const auto* const code = properties.headers ? properties.headers->find(contract::header_error) : nullptr;
    if (!code) return std::nullopt;
    // It has expired in the queue, which is told a moment before our own patience is over.
    const bool expired = properties.type == contract::type_error && amqp::as_string(code) == "timeout";
    return expired ? no_connect_answer::silence : no_connect_answer::failure;
}

}  // namespace

connect_questions::connect_questions(amqp::client& consume, amqp::client& publish, const settings& all, events tell)
    : settings_(all),
      tell_(std::move(tell)),
      home_(consume.home()),
      publisher_(publish),
      link_(consume.open_channel(*this)) {
    publisher_.set_recipe([this](amqp::channel& on) { return settings_.topology->ensure(on); });
}

connect_questions::~connect_questions() {
    link_->close();
}

boost::asio::awaitable<amqp::result<void>> connect_questions::set_up(amqp::channel& self) {
    auto made = co_await contract::consume_own_queue(self, answers_queue());
    if (!made) co_return std::unexpected(made.error());
    queue_ = *std::move(made);
    co_return amqp::result<void>{};
}

// The queue has gone with its connection, and the answers in it.
void connect_questions::on_lost(amqp::channel&, const amqp::error& why) {
    queue_.clear();
    waiting_.clear();
    timer_.cancel();
    for (auto& [id, done] : std::exchange(open_, {})) done(std::unexpected(no_connect_answer::unavailable));
    tell_.on_lost(why);
}

void connect_questions::ask(std::string body, on_answer done) {
    if (queue_.empty()) return done(std::unexpected(no_connect_answer::unavailable));
    std::string id = home_.random().token();
    amqp::publication question = make_question(std::move(body), id);
    open_.emplace(id, std::move(done));
    const auto& time_out = settings_.connect.timeout;
    waiting_.push_back({.until = home_.time().now() + time_out, .id = id});
    if (!timer_.active()) timer_.start(home_.wheel(), time_out);
    publisher_.publish(std::move(question), time_out, [this, id = std::move(id)](amqp::outcome result) {
        if (result == amqp::outcome::confirmed || result == amqp::outcome::unknown) return;
        const bool no_queue = result == amqp::outcome::unroutable;
        end(id, std::unexpected(no_queue ? no_connect_answer::unroutable : no_connect_answer::unavailable));
    });
}

amqp::publication connect_questions::make_question(std::string body, const std::string& id) const {
    const auto now = unix_ms(home_.time().wall_now());
    const auto& time_out = settings_.connect.timeout;
    amqp::publication p;
    p.exchange = contract::inbound_exchange;
    p.routing_key = settings_.connect.channel;
    p.body = std::move(body);
    p.properties.content_type = "application/json";
    p.properties.delivery_mode = 1;
    p.properties.expiration = std::to_string(time_out.count());
    p.properties.timestamp = static_cast<std::uint64_t>(now.count() / 1000);
    p.properties.type = contract::type_connect;
    p.properties.message_id = std::string(contract::type_connect) + "/" + id;
    p.properties.reply_to = queue_;
    p.properties.correlation_id = id;
    p.properties.headers.emplace().set(contract::header_deadline, (now + time_out).count());
    return p;
}

void connect_questions::on_delivery(amqp::channel&, const amqp::delivery& message) {
    const amqp::basic_properties& properties = message.properties;
    if (is_progress(properties)) return;
    const std::string id = properties.correlation_id.value_or("");
    if (!open_.contains(id)) return void(++late_);
    if (const auto failure = failure_in(properties)) return end(id, std::unexpected(*failure));
    end(id, std::string(message.body));
}

// Acknowledged already: the queue is consumed without.
void connect_questions::on_too_large(amqp::channel&, const amqp::delivery& message, const amqp::skipped_body&) {
    end(message.properties.correlation_id.value_or(""), std::unexpected(no_connect_answer::failure));
}

void connect_questions::end(const std::string& id, answer with) {
    const auto node = open_.extract(id);
    while (!waiting_.empty() && !open_.contains(waiting_.front().id)) waiting_.pop_front();
    if (node) node.mapped()(std::move(with));
}

void connect_questions::on_time() {
    const steady_time now = home_.time().now();
    while (!waiting_.empty() && waiting_.front().until <= now)
        end(std::string(waiting_.front().id), std::unexpected(no_connect_answer::silence));
    if (waiting_.empty()) return;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(waiting_.front().until - now);
    timer_.start(home_.wheel(), std::max(left, std::chrono::milliseconds(1)));
}

}  // namespace foz::aggregator
