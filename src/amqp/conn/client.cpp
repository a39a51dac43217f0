#include "amqp/conn/client.hpp"

#include "amqp/conn/channel.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foz::amqp {
namespace {

// Channels that nothing is held against are set up before one is tried that is suspected, if that takes no longer.
constexpr std::chrono::milliseconds others_first{2'000};
constexpr std::chrono::milliseconds look_again{50};
// Where there is another URL, an address is not waited for longer: time for one repeated SYN (1 s, RFC 6298 §2).
constexpr std::chrono::milliseconds address_timeout{2'000};
// Read at once, before the other sockets on the loop have their turn: some fifty small messages, which take half a
// millisecond to decode. A TLS record holds no more either.
constexpr std::size_t read_bytes_max = 16 * 1024;

}  // namespace

client::client(net::shard& home, client_options options, client_events* events)
    : home_(home),
      options_(std::move(options)),
      events_(events),
      pace_(options_.reconnect_min, options_.reconnect_max) {
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
    std::shared_ptr<channel> made(new channel(*this, handler, next_serial_++));
    channels_.push_back(made);
    if (connected_) made->begin();
    return made;
}

void client::connect() {
    if (stopping_) return;
    asio::co_spawn(home_.context(), connect_once(), asio::detached);
}

net::tls_client_options tls_of(const url& to, net::tls_client_options usual) {
    if (to.cacertfile) usual.ca_file = *to.cacertfile;
    if (to.server_name_indication) usual.server_name = *to.server_name_indication;
    if (to.verify) usual.verify = *to.verify;
    if (to.certfile) usual.certificate_file = *to.certfile;
    if (to.keyfile) usual.key_file = *to.keyfile;
    return usual;
}

connection_options client::handshake_options(const url& to) const {
    connection_options options;
    options.user = to.user;
    options.password = to.password;
    options.vhost = to.vhost;
    options.external = to.auth_mechanism == "EXTERNAL";
    if (to.channel_max.value_or(0) != 0) options.channel_max = *to.channel_max;
    if (to.frame_max.value_or(0) != 0) options.frame_max = *to.frame_max;
    options.name = options_.connection_name;
    options.heartbeat = to.heartbeat ? *to.heartbeat : options_.heartbeat;
    options.handshake_timeout = options_.connect_timeout;
    options.unacknowledged_max = options_.unacknowledged_max;
    options.content_bytes_max = options_.content_bytes_max;
    return options;
}

asio::awaitable<void> client::connect_once() {
    const auto alive = alive_;
    const url& to = options_.urls[next_url_];
    next_url_ = (next_url_ + 1) % options_.urls.size();
    net::connect_options target{.host = to.host, .port = to.port, .timeout = options_.connect_timeout};
    target.stream.read_bytes_max = read_bytes_max;
    target.turn = attempts_++ / options_.urls.size();
    if (to.connection_timeout)
        target.timeout = *to.connection_timeout;
    else if (options_.urls.size() > 1)
        target.address_timeout = std::min(address_timeout, target.timeout);
    if (to.tls) target.tls = tls_of(to, options_.tls);
    auto connected = co_await net::connect(home_, std::move(target));
    if (!*alive) co_return;
    if (stopping_) {
        if (connected) (*connected)->abort();
        co_return;
    }
    if (!connected) {
        retry({errc::connect_failed, 0, connected.error()}, link_end::unanswered);
        co_return;
    }
    connection_ = std::make_shared<connection>(std::move(*connected), handshake_options(to),
                                               static_cast<connection_handler&>(*this));
    where_ = to.redacted();
    connection_->start();
}

void client::on_open(connection&) {
    connected_ = true;
    attempts_ = 0;
    opened_at_ = home_.time().now();
    ++counters_.connects;
    if (events_) events_->on_connected(where_);
    const auto channels = channels_;  // beginning may open further channels
    for (const auto& weak : channels)
        if (const auto channel = weak.lock(); channel && !quarantine_.holds(channel->serial_)) channel->begin();
    try_suspects();
}

void client::on_closed(connection& which, const error& why) {
    const bool was_open = std::exchange(connected_, false);
    const bool answered = which.answered();
    const steady_time now = home_.time().now();
    blocked_ = false;
    connection_.reset();
    trial_timer_.cancel();
    auto sick = quarantine_.connection_ended(now, static_cast<double>(home_.random().below(1'001)) / 1'000);
    // Who was closed when it heard of the loss does not come back: the connection's own pauses are what grows then.
    std::erase_if(sick, [this](const quarantine::verdict& one) {
        if (find(one.channel)) return false;
        quarantine_.acquit(one.channel);
        return true;
    });
    if (stopping_) return;
    if (was_open) ++counters_.disconnects;
    if (!sick.empty()) ++counters_.sick;
    for (const auto& one : sick) {
        const auto told = sick_.try_emplace(one.channel, one.what).first;
        if (events_) events_->on_channel_sick(told->second, why, one.retry_in);
    }
    if (!was_open)
        return retry({why.code, why.reply_code, where_ + ": " + why.text},
                     answered ? link_end::turned_down : link_end::unanswered);
    if (!sick.empty()) return retry(why, link_end::lost_by_sick);
    retry(why, now - opened_at_ >= options_.good_after ? link_end::lost : link_end::lost_early);
}

void client::retry(const error& why, link_end what) {
    if (why.code == errc::connect_failed) ++counters_.connect_failures;
    const auto longest = pace_.longest_after(what, home_.time().now());
    const std::chrono::milliseconds pause(home_.random().below(static_cast<std::uint64_t>(longest.count()) + 1));
    retry_timer_.start(home_.wheel(), pause);
    if (events_) events_->on_disconnected(why, pause);
}

// --- Channels that the broker closes the connection for.

std::shared_ptr<channel> client::find(std::uint64_t serial) const {
    for (const auto& weak : channels_)
        if (auto known = weak.lock(); known && known->serial_ == serial && known->owner()) return known;
    return nullptr;
}

bool client::others_are_opening() const {
    for (const auto& weak : channels_)
        if (const auto one = weak.lock(); one && one->state_ == channel::state::opening) return true;
    return false;
}

// One at a time, and not while others have calls outstanding that might be blamed for what it does.
void client::try_suspects() {
    if (!connected_ || quarantine_.empty()) return;
    const steady_time now = home_.time().now();
    if (others_are_opening() && now - opened_at_ < others_first) return trial_timer_.start(home_.wheel(), look_again);
    if (const auto chosen = quarantine_.begin_trial(now)) {
        if (const auto tried = find(*chosen)) return tried->begin();
        quarantine_.acquit(*chosen);  // gone
    }
    const auto next = quarantine_.next_trial_at();
    if (!next) return;
    trial_timer_.start(home_.wheel(), std::max(look_again, std::chrono::ceil<std::chrono::milliseconds>(*next - now)));
}

void client::suspect(const channel& who, std::string queue) {
    quarantine_.accuse(who.serial_, std::move(queue));
}

void client::on_set_up(const channel& who) {
    if (quarantine_.holds(who.serial_)) acquit(who);
}

// A channel that fails for itself does no harm to the others: it is opened again in its own time.
void client::on_lost(const channel& who) {
    if (quarantine_.on_trial(who.serial_) && connection_ && connection_->open()) acquit(who);
}

void client::on_gone(const channel& who) {
    if (!quarantine_.empty()) return acquit(who);
    recover(who.serial_);
}

void client::on_opening_failed(const channel& who, bool sick, std::chrono::milliseconds retry_in) {
    ++counters_.channel_failures;
    if (!sick || !who.last_loss()) return;
    const auto told = sick_.try_emplace(who.serial_, who.about_).first;
    if (events_) events_->on_channel_sick(told->second, *who.last_loss(), retry_in);
}

void client::acquit(const channel& who) {
    quarantine_.acquit(who.serial_);
    recover(who.serial_);
    if (connected_ && !trial_timer_.active()) trial_timer_.start(home_.wheel(), look_again);
}

void client::recover(std::uint64_t serial) {
    const auto told = sick_.find(serial);
    if (told == sick_.end()) return;
    const std::string queue = std::move(told->second);
    sick_.erase(told);
    if (events_ && !stopping_) events_->on_channel_recovered(queue);
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
