#include "amqp/conn/client.hpp"

#include "amqp/conn/channel.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foz::amqp {

client::client(net::shard& home, client_options options, client_events* events)
    : home_(home), options_(std::move(options)), events_(events) {
    next_url_ = home_.random().below(options_.urls.size());
}

client::~client() {
    *alive_ = false;
    for (auto& weak : channels_)
        if (const auto channel = weak.lock()) channel->close();
}

void client::start() {
    connect();
}

std::shared_ptr<channel> client::open_channel(channel_handler& handler) {
    std::erase_if(channels_, [](const auto& weak) { return weak.expired(); });
    std::shared_ptr<channel> made(new channel(*this, handler));
    channels_.push_back(made);
    if (connected_) made->begin();
    return made;
}

void client::connect() {
    if (stopping_) return;
    asio::co_spawn(home_.context(), connect_once(), asio::detached);
}

connection_options client::handshake_options(const url& to) const {
    connection_options options;
    options.user = to.user;
    options.password = to.password;
    options.vhost = to.vhost;
    options.name = options_.connection_name;
    options.heartbeat = to.heartbeat ? *to.heartbeat : options_.heartbeat;
    options.handshake_timeout = options_.connect_timeout;
    return options;
}

asio::awaitable<void> client::connect_once() {
    const auto alive = alive_;
    const url& to = options_.urls[next_url_];
    next_url_ = (next_url_ + 1) % options_.urls.size();
    net::connect_options target{.host = to.host, .port = to.port, .timeout = options_.connect_timeout};
    if (to.connection_timeout) target.timeout = *to.connection_timeout;
    if (to.tls) target.tls = options_.tls;
    auto connected = co_await net::connect(home_, std::move(target));
    if (!*alive) co_return;
    if (stopping_) {
        if (connected) (*connected)->abort();
        co_return;
    }
    if (!connected) {
        retry({errc::connect_failed, 0, connected.error()});
        co_return;
    }
    connection_ = std::make_shared<connection>(std::move(*connected), handshake_options(to),
                                               static_cast<connection_handler&>(*this));
    where_ = to.redacted();
    connection_->start();
}

void client::on_open(connection&) {
    connected_ = true;
    failures_ = 0;
    ++counters_.connects;
    if (events_) events_->on_connected(where_);
    const auto channels = channels_;  // beginning may open further channels
    for (const auto& weak : channels)
        if (const auto channel = weak.lock()) channel->begin();
}

void client::on_closed(connection&, const error& why) {
    const bool was_open = std::exchange(connected_, false);
    blocked_ = false;
    connection_.reset();
    if (stopping_) return;
    if (was_open) ++counters_.disconnects;
    retry(was_open ? why : error{why.code, why.reply_code, where_ + ": " + why.text});
}

void client::retry(const error& why) {
    if (why.code == errc::connect_failed) ++counters_.connect_failures;
    // Full jitter spreads the herd; the first try after a lost connection comes at once, within the minimum.
    const auto ceiling = std::min(options_.reconnect_max, options_.reconnect_min * (1 << std::min(failures_, 10u)));
    const std::chrono::milliseconds pause(home_.random().below(static_cast<std::uint64_t>(ceiling.count()) + 1));
    ++failures_;
    retry_timer_.start(home_.wheel(), pause);
    if (events_) events_->on_disconnected(why, pause);
}

bool client::next_url(const error& why, steady_time unless_confirmed_since) {
    if (!connected_ || stopping_ || last_confirm_ >= unless_confirmed_since) return false;
    ++counters_.moved_on;
    connection_->abandon(why);
    return true;
}

void client::on_blocked(connection&, bool blocked, const std::string& reason) {
    blocked_ = blocked;
    if (blocked) ++counters_.blocked;
    if (events_) events_->on_blocked(blocked, reason);
}

asio::awaitable<void> client::stop() {
    stopping_ = true;
    retry_timer_.cancel();
    if (connection_) connection_->close();
    while (connection_) {
        asio::steady_timer pause(home_.context(), std::chrono::milliseconds(5));
        co_await pause.async_wait(asio::use_awaitable);
    }
}

}  // namespace foz::amqp
