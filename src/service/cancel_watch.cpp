#include "service/cancel_watch.hpp"

#include "contract/names.hpp"
#include "contract/own_queue.hpp"

#include <utility>

namespace foz::service {
namespace {

contract::own_queue control_queue(const std::vector<std::string>& channels) {
    contract::own_queue made;
    made.prefix = contract::control_exchange;
    made.exchange = contract::control_exchange;
    for (const std::string& channel : channels) made.keys.push_back(contract::control_key(channel));
    return made;
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
    auto made = co_await contract::consume_own_queue(self, control_queue(channels_));
    if (!made) co_return std::unexpected(made.error());
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
