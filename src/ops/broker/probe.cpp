#include "ops/broker/probe.hpp"

#include <exception>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foz::ops {
namespace {

// Longer than every limit of the client's own.
constexpr std::chrono::seconds patience{25};

}  // namespace

int run_alone(const std::function<asio::awaitable<int>(net::shard&)>& work) {
    net::runtime cores(1);
    int result = 1;
    std::exception_ptr failure;
    asio::co_spawn(cores.at(0).context(), work(cores.at(0)), [&](std::exception_ptr thrown, int returned) {
        failure = thrown;
        result = returned;
        cores.stop();
    });
    cores.run();
    if (failure) std::rethrow_exception(failure);
    return result;
}

probe::probe(net::shard& home, const amqp::url& where, const net::tls_client_options& tls)
    : client_(home, {.urls = {where}, .connection_name = "foz probe", .tls = tls}, this), wake_(home.context()) {}

asio::awaitable<amqp::result<void>> probe::open() {
    told_.reset();
    client_.start();
    auto opened = co_await wait();
    co_return opened;
}

asio::awaitable<void> probe::close() {
    if (channel_) channel_->close();
    channel_.reset();
    co_await client_.stop();
}

asio::awaitable<amqp::result<std::shared_ptr<amqp::channel>>> probe::channel() {
    if (channel_ && !lost_ && channel_->ready()) co_return channel_;
    if (channel_) channel_->close();
    lost_ = false;
    told_.reset();
    channel_ = client_.open_channel(*this);
    auto ready = co_await wait();
    if (!ready) co_return std::unexpected(ready.error());
    co_return channel_;
}

asio::awaitable<amqp::result<bool>> probe::publish(std::string exchange, std::string routing_key) {
    amqp::publication empty;
    empty.exchange = std::move(exchange);
    empty.routing_key = std::move(routing_key);
    co_return co_await publish(empty);
}

asio::awaitable<amqp::result<bool>> probe::publish(const amqp::publication& what) {
    auto selected = co_await call(amqp::confirm_select{});
    if (!selected) co_return std::unexpected(selected.error());
    amqp::basic_publish target;
    target.exchange = what.exchange;
    target.routing_key = what.routing_key;
    target.mandatory = true;
    told_.reset();
    returned_ = false;
    auto sent = channel_->publish(target, what.properties, what.body);
    if (!sent) co_return std::unexpected(sent.error());
    auto confirmed = co_await wait();
    if (!confirmed) co_return std::unexpected(confirmed.error());
    co_return !returned_;
}

void probe::on_lost(amqp::channel&, const amqp::error& why) {
    lost_ = true;
    tell(std::unexpected(why));
}

void probe::on_confirm(amqp::channel&, std::uint64_t, bool, bool positive) {
    if (positive) return tell({});
    tell(std::unexpected(amqp::error{amqp::errc::channel_closed, 0, "the broker refused the message"}));
}

void probe::tell(amqp::result<void> outcome) {
    if (!told_) told_ = std::move(outcome);
    wake_.cancel();
}

asio::awaitable<amqp::result<void>> probe::wait() {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!told_ && std::chrono::steady_clock::now() < deadline) {
        wake_.expires_at(deadline);
        auto [ignored] = co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
        (void)ignored;
    }
    if (!told_) co_return std::unexpected(amqp::error{amqp::errc::timed_out, 0, "the broker did not answer in time"});
    co_return *told_;
}

}  // namespace foz::ops
