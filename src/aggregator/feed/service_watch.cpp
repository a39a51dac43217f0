#include "aggregator/feed/service_watch.hpp"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace foz::aggregator {
namespace {

constexpr std::chrono::milliseconds look_every{1000};
constexpr std::chrono::milliseconds look_every_when_missed{250};

amqp::queue_declare passive(const std::string& queue) {
    amqp::queue_declare method;
    method.queue = queue;
    method.passive = true;
    return method;
}

}  // namespace

service_watch::service_watch(amqp::client& consume, const settings& all, found tell)
    : client_(consume),
      settings_(all),
      tell_(std::move(tell)),
      there_(all.channels.size(), true),
      timer_(this, [](service_watch& self) { self.begin_look(); }),
      link_(consume.open_channel(*this)) {}

service_watch::~service_watch() {
    *alive_ = false;
    link_->close();
}

// The queues are declared here too: looked at before the readers have made them, they would cost the channel and a
// while without knowing.
boost::asio::awaitable<amqp::result<void>> service_watch::set_up(amqp::channel& self) {
    auto declared = co_await settings_.topology->ensure(self);
    co_return declared;
}

// At once: a request that wants to fail fast may be the first thing that comes.
void service_watch::on_ready(amqp::channel&) {
    begin_look();
}

void service_watch::begin_look() {
    boost::asio::co_spawn(client_.home().context(), look(link_, link_->opening()), boost::asio::detached);
}

void service_watch::on_lost(amqp::channel&, const amqp::error&) {
    timer_.cancel();
    for (std::size_t i = 0; i < there_.size(); ++i) tell(i, true);
}

boost::asio::awaitable<void> service_watch::look(std::shared_ptr<amqp::channel> on, std::uint32_t opening) {
    const auto alive = alive_;
    for (std::size_t i = 0; i < there_.size(); ++i) {
        auto declared = co_await on->call(passive(settings_.channels[i].in_queue()));
        if (!*alive || on->opening() != opening) co_return;
        if (declared) tell(i, declared->consumer_count > 0);
    }
    const bool missed = std::find(there_.begin(), there_.end(), false) != there_.end();
    timer_.start(client_.home().wheel(), missed ? look_every_when_missed : look_every);
}

void service_watch::tell(std::size_t channel, bool there) {
    if (there_[channel] == there) return;
    there_[channel] = there;
    tell_(channel, there);
}

}  // namespace foz::aggregator
