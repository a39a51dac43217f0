// A few questions to one broker: one attempt to connect, and a channel that is replaced when a question breaks it.
#pragma once

#include "amqp/codec/publication.hpp"
#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "net/runtime.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

namespace foz::ops {

namespace asio = boost::asio;

// Runs the work on a shard of its own until it has ended; its result, or what it throws.
int run_alone(const std::function<asio::awaitable<int>(net::shard&)>& work);

// Lives on one shard, used by one coroutine. Destroyed after close().
class probe final : private amqp::client_events, private amqp::channel_handler {
public:
    probe(net::shard& home, const amqp::url& where, const net::tls_client_options& tls);

    // Connects, once. The error says at which step it failed.
    asio::awaitable<amqp::result<void>> open();
    asio::awaitable<void> close();

    amqp::table server_properties() const { return client_.server_properties(); }

    // An open channel: the last one, or a new one after that has failed.
    asio::awaitable<amqp::result<std::shared_ptr<amqp::channel>>> channel();

    template <class Method>
    asio::awaitable<amqp::result<typename Method::response>> call(Method m) {
        auto on = co_await channel();
        if (!on) co_return std::unexpected(on.error());
        auto reply = co_await (*on)->call(std::move(m));
        co_return reply;
    }

    // Publishes a mandatory message without content and waits for its confirm. True when a queue took it.
    asio::awaitable<amqp::result<bool>> publish(std::string exchange, std::string routing_key);
    // Likewise this message.
    asio::awaitable<amqp::result<bool>> publish(const amqp::publication& what);

private:
    void on_connected(const std::string&) override { tell({}); }
    void on_disconnected(const amqp::error& why, std::chrono::milliseconds) override { tell(std::unexpected(why)); }

    asio::awaitable<amqp::result<void>> set_up(amqp::channel&) override { co_return amqp::result<void>{}; }
    void on_ready(amqp::channel&) override { tell({}); }
    void on_lost(amqp::channel&, const amqp::error& why) override;
    void on_return(amqp::channel&, const amqp::basic_return&, const amqp::basic_properties&,
                   std::string_view) override {
        returned_ = true;
    }
    void on_confirm(amqp::channel&, std::uint64_t, bool, bool positive) override;

    // One thing is waited for at a time; what is told first counts.
    void tell(amqp::result<void> outcome);
    asio::awaitable<amqp::result<void>> wait();

    amqp::client client_;
    asio::steady_timer wake_;
    std::shared_ptr<amqp::channel> channel_;
    std::optional<amqp::result<void>> told_;
    bool lost_ = false;
    bool returned_ = false;
};

}  // namespace foz::ops
