#include "ops/broker/dead_letters.hpp"

#include "contract/names.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foz::ops {
namespace {

// For the broker's first answer, and for each next message.
constexpr std::chrono::seconds answer_patience{20};
constexpr std::chrono::seconds message_patience{2};
constexpr std::chrono::seconds retry_patience{20};
constexpr std::size_t prefetch_max = 2'000;
// RabbitMQ's default from 4.0 on is 20 returns.
constexpr std::int64_t returns_warned = 15;

std::string text_of(const amqp::field_value* value) {
    return std::string(amqp::as_string(value).value_or(std::string_view()));
}

// The broker's own headers, and a deadline that has passed.
void take_off_death(amqp::basic_properties& properties) {
    if (!properties.headers) return;
    std::vector<std::string> gone = {std::string(contract::header_deadline)};
    for (const auto& [name, value] : *properties.headers)
        if (name.starts_with("x-death") || name.starts_with("x-first-death") || name.starts_with("x-last-death") ||
            name == "x-delivery-count" || name == "x-acquired-count")
            gone.push_back(name);
    for (const std::string& name : gone) properties.headers->erase(name);
}

// The first one is the oldest entry, which is the last in the list (RabbitMQ puts the latest in front).
void read_deaths(dead_letter& to) {
    const auto* const headers = to.properties.headers ? &*to.properties.headers : nullptr;
    if (!headers) return;
    to.reason = text_of(headers->find("x-first-death-reason"));
    to.queue = text_of(headers->find("x-first-death-queue"));
    to.exchange = text_of(headers->find("x-first-death-exchange"));
    to.seen_too_often = amqp::as_int64(headers->find("x-delivery-count")).value_or(0) >= returns_warned;
    const amqp::field_array* const deaths = amqp::as_array(headers->find("x-death"));
    for (std::size_t i = 0; deaths && i < deaths->size(); ++i) {
        const amqp::table* const one = amqp::as_table(&(*deaths)[i]);
        if (!one) continue;
        to.deaths +=
            static_cast<std::uint64_t>(std::max<std::int64_t>(0, amqp::as_int64(one->find("count")).value_or(0)));
        if (text_of(one->find("queue")) != to.queue) continue;
        const amqp::field_value* const time = one->find("time");
        if (const auto* const at = time ? std::get_if<amqp::timestamp>(&time->get()) : nullptr)
            to.died_at_s = at->seconds;
        const amqp::field_array* const keys = amqp::as_array(one->find("routing-keys"));
        if (keys && !keys->empty()) to.routing_key = text_of(&keys->front());
    }
}

amqp::basic_qos limit_to(std::size_t messages) {
    amqp::basic_qos method;
    method.prefetch_count = static_cast<std::uint16_t>(messages);
    return method;
}

amqp::queue_declare look_at_queue() {
    amqp::queue_declare method;
    method.queue = contract::dead_queue;
    method.passive = true;
    return method;
}

amqp::basic_consume consume_dead() {
    amqp::basic_consume method;
    method.queue = contract::dead_queue;
    return method;
}

}  // namespace

std::string_view dead_letter::client() const noexcept {
    const auto* const headers = properties.headers ? &*properties.headers : nullptr;
    return amqp::as_string(headers ? headers->find(contract::header_client) : nullptr).value_or(std::string_view());
}

std::string_view dead_letter::channel() const noexcept {
    return std::string_view(routing_key).substr(0, routing_key.find('.'));
}

std::string_view dead_letter::topic() const noexcept {
    const std::size_t at = routing_key.find('.');
    return at == std::string::npos ? std::string_view() : std::string_view(routing_key).substr(at + 1);
}

bool dead_filter::takes(const dead_letter& one, std::uint64_t now_s) const {
    const auto is = [](const std::string& wanted, std::string_view found) { return wanted.empty() || wanted == found; };
    if (!ids.empty() && std::ranges::find(ids, one.id()) == ids.end()) return false;
    if (!is(channel, one.channel()) || !is(type, one.type()) || !is(reason, one.reason) || !is(client, one.client()))
        return false;
    return !older_than || one.died_at_s + static_cast<std::uint64_t>(older_than->count()) <= now_s;
}

dead_letters::dead_letters(net::shard& home, const amqp::url& where, const net::tls_client_options& tls)
    : home_(home),
      client_(home, {.urls = {where}, .connection_name = "foz dead", .tls = tls}, this),
      publisher_(client_),
      wake_(home.context()) {}

boost::asio::awaitable<amqp::result<void>> dead_letters::read(std::size_t most) {
    most_ = std::min(most, prefetch_max);
    channel_ = client_.open_channel(*this);
    client_.start();
    if (!told_) co_await wait(answer_patience);
    if (!told_) co_return std::unexpected(amqp::error{amqp::errc::timed_out, 0, "the broker did not answer in time"});
    // Others may take some, so that fewer come than were counted.
    const std::size_t expected = std::min(most_, in_queue_);
    for (std::size_t before = 0; *told_ && all_.size() < expected;) {
        co_await wait(message_patience);
        if (all_.size() == std::exchange(before, all_.size())) break;
    }
    co_return *told_;
}

boost::asio::awaitable<void> dead_letters::wait(std::chrono::seconds within) {
    wake_.expires_after(within);
    auto [ignored] = co_await wake_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    (void)ignored;
}

boost::asio::awaitable<amqp::result<void>> dead_letters::set_up(amqp::channel& self) {
    // What is held is void when the connection is lost; it is not begun again.
    if (told_) co_return std::unexpected(amqp::error{amqp::errc::channel_closed, 0, "the connection was lost"});
    auto there = co_await self.call(look_at_queue());
    if (!there) co_return std::unexpected(there.error());
    in_queue_ = there->message_count;
    if (in_queue_ == 0) co_return amqp::result<void>{};
    auto limited = co_await self.call(limit_to(most_));
    if (!limited) co_return std::unexpected(limited.error());
    auto consuming = co_await self.call(consume_dead());
    if (!consuming) co_return std::unexpected(consuming.error());
    co_return amqp::result<void>{};
}

void dead_letters::on_delivery(amqp::channel&, const amqp::delivery& d) {
    if (all_.size() >= most_) return;  // one that came in the place of one that was settled
    dead_letter one{.delivery = d.id, .properties = d.properties, .body = std::string(d.body)};
    read_deaths(one);
    all_.push_back(std::move(one));
    if (all_.size() >= std::min(most_, in_queue_)) wake_.cancel();
}

// It stays where it is: it can't be shown.
void dead_letters::on_too_large(amqp::channel&, const amqp::delivery& d, const amqp::skipped_body&) {
    on_delivery(*channel_, d);
    if (!all_.empty()) all_.back().body.clear();
}

void dead_letters::tell(amqp::result<void> outcome) {
    if (!told_ || *told_) told_ = std::move(outcome);
    wake_.cancel();
}

boost::asio::awaitable<amqp::outcome> dead_letters::retry(const dead_letter& one, std::string body) {
    amqp::publication again;
    again.exchange = one.exchange.empty() ? std::string(contract::inbound_exchange) : one.exchange;
    again.routing_key = one.routing_key;
    again.properties = one.properties;
    take_off_death(again.properties);
    again.body = std::move(body);
    std::optional<amqp::outcome> became;
    boost::asio::steady_timer settled(home_.context(), retry_patience + std::chrono::seconds(5));
    publisher_.publish(std::move(again), std::chrono::milliseconds(retry_patience), [&](amqp::outcome result) {
        became = result;
        settled.cancel();
    });
    while (!became) {
        auto [ignored] = co_await settled.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
        (void)ignored;
    }
    if (became == amqp::outcome::confirmed) channel_->ack(one.delivery);
    co_return *became;
}

boost::asio::awaitable<void> dead_letters::close() {
    if (channel_) channel_->close();
    co_await client_.stop();
}

}  // namespace foz::ops
