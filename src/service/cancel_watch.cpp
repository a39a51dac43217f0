#include "service/cancel_watch.hpp"

#include "base/random.hpp"
#include "contract/names.hpp"

#include <utility>

namespace foz::service {
namespace {

amqp::queue_declare own_queue(const std::string& name) {
    amqp::queue_declare method;
    method.queue = name;
    method.exclusive = true;
    return method;
}

amqp::queue_bind binding(const std::string& queue, const std::string& channel) {
    amqp::queue_bind method;
    method.queue = queue;
    method.exchange = contract::control_exchange;
    method.routing_key = contract::control_key(channel);
    return method;
}

amqp::basic_consume consume_at_once(const std::string& queue) {
    amqp::basic_consume method;
    method.queue = queue;
    method.no_ack = true;
    return method;
}

}  // namespace

cancel_watch::cancel_watch(amqp::client& consume, events tell) : client_(consume), tell_(std::move(tell)) {}

void cancel_watch::start(std::vector<std::string> channels) {
    channels_ = std::move(channels);
    link_ = client_.open_channel(*this);
}

boost::asio::awaitable<amqp::result<void>> cancel_watch::set_up(amqp::channel& self) {
    auto prepared = co_await tell_.prepare(self);
    if (!prepared) co_return prepared;
    const std::string queue = std::string(contract::control_exchange) + "." + client_.home().random().token();
    auto declared = co_await self.call(own_queue(queue));
    if (!declared) co_return std::unexpected(declared.error());
    for (const std::string& channel : channels_) {
        auto bound = co_await self.call(binding(queue, channel));
        if (!bound) co_return std::unexpected(bound.error());
    }
    auto consuming = co_await self.call(consume_at_once(queue));
    if (!consuming) co_return std::unexpected(consuming.error());
    co_return amqp::result<void>{};
}

// Without rights to it, or without the exchange, a worker works all the same.
void cancel_watch::on_lost(amqp::channel& self, const amqp::error& why) {
    constexpr std::uint16_t not_found = 404;
    if (why.code != amqp::errc::channel_closed || !(why.permanent() || why.reply_code == not_found)) return;
    tell_.notice("this worker is not told which requests are cancelled: " + why.text);
    self.close();
}

void cancel_watch::on_delivery(amqp::channel&, const amqp::delivery& d) {
    if (d.properties.type == contract::type_cancel && d.properties.correlation_id)
        tell_.cancelled(*d.properties.correlation_id);
}

}  // namespace foz::service
