#include "broker/client.hpp"

#include "broker/broker_process.hpp"

#include <algorithm>
#include <utility>

namespace foz::sim {
namespace {

constexpr std::chrono::milliseconds pause_min{100};
constexpr std::chrono::milliseconds pause_max{3'000};
constexpr std::chrono::milliseconds connect_timeout{5'000};

}  // namespace

// Users may come and go meanwhile.
template <class F>
void broker_client::for_each_user(F&& work) {
    const auto users = users_;
    for (channel_user* const user : users)
        if (std::ranges::find(users_, user) != users_.end()) work(*user);
}

broker_client::broker_client(environment& around, process& owner, std::string label, std::function<void()> turn)
    : around_(around), owner_(owner), label_(std::move(label)), turn_(std::move(turn)) {}

broker_client::~broker_client() {
    drop();
}

void broker_client::remove(channel_user& user) {
    std::erase(users_, &user);
    std::erase_if(by_channel_, [&](const auto& one) { return one.second == &user; });
}

void broker_client::start() {
    dial();
}

void broker_client::drop() {
    ++attempt_;
    by_channel_.clear();
    connected_ = false;
    if (current_) std::exchange(current_, nullptr)->close();
}

void broker_client::reconnect() {
    drop();
    for_each_user([](channel_user& user) { user.lost(); });
    dial();
}

void broker_client::dial() {
    const std::uint32_t attempt = ++attempt_;
    connection_events& events = *this;
    current_ = std::make_shared<connection>(around_.time, around_.random.network, owner_, *around_.broker, events,
                                            around_.pipe_to_broker());
    around_.connections.push_back({label_, current_});
    current_->open();
    owner_.after(connect_timeout, [this, attempt] {
        if (attempt == attempt_ && !connected_) reconnect();
    });
}

void broker_client::on_connected() {
    connected_ = true;
    failures_ = 0;
    around_.log.say(label_, "is connected to the broker");
    for_each_user([](channel_user& user) { user.begin(); });
    turn_();
}

void broker_client::on_disconnected() {
    around_.log.say(label_, "has lost the broker");
    drop();
    for_each_user([](channel_user& user) { user.lost(); });
    const auto pause = std::min(pause_max, pause_min * (1 << std::min(failures_++, 6U)));
    const std::uint32_t attempt = attempt_;
    owner_.after(around_.random.scheduling.between(pause / 2, pause), [this, attempt] {
        if (attempt == attempt_) dial();
    });
    turn_();
}

channel_user* broker_client::user_of(std::uint32_t channel) {
    const auto at = by_channel_.find(channel);
    return at == by_channel_.end() ? nullptr : at->second;
}

std::uint32_t broker_client::open_channel(channel_user& user) {
    if (!connected_) return 0;
    const std::uint32_t number = current_->open_channel();
    by_channel_[number] = &user;
    return number;
}

std::uint32_t broker_client::consume(channel_user& user, consume_wish wish) {
    if (!connected_) return 0;
    const std::uint32_t number = current_->consume(std::move(wish));
    by_channel_[number] = &user;
    return number;
}

void broker_client::close_channel(std::uint32_t channel) {
    by_channel_.erase(channel);
    if (connected_ && channel != 0) current_->close_channel(channel);
}

void broker_client::on_blocked(bool is) {
    for_each_user([&](channel_user& user) { user.on_blocked(is); });
    turn_();
}

void broker_client::on_channel_open(std::uint32_t channel) {
    if (channel_user* const user = user_of(channel)) user->on_open(channel);
    turn_();
}

void broker_client::on_channel_closed(std::uint32_t channel) {
    channel_user* const user = user_of(channel);
    by_channel_.erase(channel);
    if (user) user->on_closed(channel);
    turn_();
}

void broker_client::on_delivery(std::uint32_t channel, const delivered& one) {
    if (channel_user* const user = user_of(channel)) user->on_delivery(channel, one);
    turn_();
}

void broker_client::on_confirm(std::uint32_t channel, std::uint64_t tag, bool multiple, bool positive) {
    if (channel_user* const user = user_of(channel)) user->on_confirm(channel, tag, multiple, positive);
    turn_();
}

void broker_client::on_return(std::uint32_t channel, const amqp::basic_return& what,
                              const amqp::basic_properties& properties, std::string_view body) {
    if (channel_user* const user = user_of(channel)) user->on_return(channel, what, properties, body);
    turn_();
}

void broker_client::on_consumers(const std::string& queue, std::size_t count) {
    for_each_user([&](channel_user& user) { user.on_consumers(queue, count); });
    turn_();
}

}  // namespace foz::sim
