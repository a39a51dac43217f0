#include "contract/own_queue.hpp"

#include "amqp/conn/client.hpp"
#include "base/random.hpp"

#include <utility>

namespace foz::contract {

boost::asio::awaitable<amqp::result<std::string>> consume_own_queue(amqp::channel& on, own_queue what) {
    const std::string name = what.prefix + "." + on.owner()->home().random().token();
    amqp::queue_declare declare;
    declare.queue = name;
    declare.exclusive = true;
    declare.arguments = std::move(what.arguments);
    auto declared = co_await on.call(std::move(declare));
    if (!declared) co_return std::unexpected(declared.error());
    for (std::string& key : what.keys) {
        amqp::queue_bind bind;
        bind.queue = name;
        bind.exchange = what.exchange;
        bind.routing_key = std::move(key);
        auto bound = co_await on.call(std::move(bind));
        if (!bound) co_return std::unexpected(bound.error());
    }
    amqp::basic_consume consume;
    consume.queue = name;
    consume.no_ack = true;
    auto consuming = co_await on.call(std::move(consume));
    if (!consuming) co_return std::unexpected(consuming.error());
    co_return name;
}

}  // namespace foz::contract
