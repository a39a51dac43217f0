// How aggregators and services keep a connection: after each loss it is opened anew, with pauses that grow.
#pragma once

#include "broker/connection.hpp"
#include "core/environment.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace foz::sim {

// One channel's user. Called in the owner's process, each call in a turn of its own.
class channel_user {
public:
    // There is a connection: open what is needed.
    virtual void begin() = 0;
    // The connection has gone, and all channels with it.
    virtual void lost() = 0;
    virtual void on_blocked(bool) {}
    virtual void on_open(std::uint32_t) {}
    virtual void on_closed(std::uint32_t) {}
    virtual void on_delivery(std::uint32_t, const delivered&) {}
    virtual void on_confirm(std::uint32_t, std::uint64_t, bool, bool) {}
    virtual void on_return(std::uint32_t, const amqp::basic_return&, const amqp::basic_properties&, std::string_view) {}
    virtual void on_consumers(const std::string&, std::size_t) {}

protected:
    ~channel_user() = default;
};

class broker_client final : private connection_events {
public:
    // `turn`: called after each call of a user.
    broker_client(environment& around, process& owner, std::string label, std::function<void()> turn);
    ~broker_client();

    void add(channel_user& user) { users_.push_back(&user); }
    void remove(channel_user& user);
    void start();
    // The owner dies, or gives the connection up for another one.
    void drop();
    void reconnect();

    connection* live() { return connected_ ? current_.get() : nullptr; }
    // 0 while there is no connection.
    std::uint32_t open_channel(channel_user& user);
    std::uint32_t consume(channel_user& user, consume_wish wish);
    void close_channel(std::uint32_t channel);

private:
    void on_connected() override;
    void on_disconnected() override;
    void on_blocked(bool is) override;
    void on_channel_open(std::uint32_t channel) override;
    void on_channel_closed(std::uint32_t channel) override;
    void on_delivery(std::uint32_t channel, const delivered& one) override;
    void on_confirm(std::uint32_t channel, std::uint64_t tag, bool multiple, bool positive) override;
    void on_return(std::uint32_t channel, const amqp::basic_return& what, const amqp::basic_properties& properties,
                   std::string_view body) override;
    void on_consumers(const std::string& queue, std::size_t count) override;

    template <class F>
    void for_each_user(F&& work);
    void dial();
    channel_user* user_of(std::uint32_t channel);

    environment& around_;
    process& owner_;
    const std::string label_;
    const std::function<void()> turn_;
    std::vector<channel_user*> users_;
    std::map<std::uint32_t, channel_user*> by_channel_;
    std::shared_ptr<connection> current_;
    bool connected_ = false;
    unsigned failures_ = 0;
    std::uint32_t attempt_ = 0;
};

}  // namespace foz::sim
