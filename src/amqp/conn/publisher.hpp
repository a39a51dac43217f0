// Publishing with certainty: each message is confirmed, or its sender learns what became of it.
#pragma once

#include "amqp/conn/channel.hpp"
#include "amqp/conn/publish_window.hpp"
#include "net/timing_wheel.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace foz::amqp {

// Owns a channel in confirm mode and drives a publish_window, which says what is sent when. Lives on the client's
// shard; the client is stopped before the publisher is destroyed.
class publisher final : private channel_handler {
public:
    using on_outcome = amqp::on_outcome;

    explicit publisher(client& owner, publisher_options options = {});
    ~publisher();

    // `done` is called exactly once, never from inside publish(), except at the publisher's destruction, when it is
    // dropped. While the connection is down messages wait, each until its own deadline.
    void publish(publication p, publish_options options, on_outcome done);
    // For those who publish in nobody's name. The deadline counts from now.
    void publish(publication p, std::chrono::milliseconds deadline, on_outcome done);

    // Back-pressure: whoever hands in messages of a key that is full() stops, and goes on when `room` is called with
    // that key; never from inside publish().
    bool full(std::string_view key) const { return window_.full(key); }
    void on_room(std::function<void(const std::string& key)> room) { room_ = std::move(room); }
    std::size_t waiting_messages(std::string_view key) const { return window_.waiting_messages(key); }
    std::size_t waiting_octets(std::string_view key) const { return window_.waiting_octets(key); }

    // What is to be declared before anything is published, at every opening.
    using recipe = std::function<asio::awaitable<result<void>>(channel&)>;
    void set_recipe(recipe r) { recipe_ = std::move(r); }

    std::size_t pending() const noexcept { return window_.pending(); }      // without an outcome
    std::size_t waiting() const noexcept { return window_.waiting(); }      // of these, for a place in the window
    std::size_t in_flight() const noexcept { return window_.in_flight(); }  // sent, not answered
    bool ready() const noexcept { return channel_->ready(); }
    const publisher_counters& counters() const noexcept { return window_.counters(); }

private:
    asio::awaitable<result<void>> set_up(channel& self) override;
    void on_ready(channel&) override;
    void on_lost(channel&, const error&) override;
    void on_return(channel&, const basic_return&, const basic_properties&, std::string_view body) override;
    void on_too_large_return(channel&, const basic_return&, const basic_properties&, const skipped_body&) override;
    void on_confirm(channel&, std::uint64_t tag, bool multiple, bool positive) override;

    steady_time now() const;
    void tick();
    void act();
    void send();
    void tell_later();
    void tell();

    client& client_;
    recipe recipe_;
    std::function<void(const std::string&)> room_;
    publish_window window_;
    const std::chrono::milliseconds confirm_timeout_;
    std::vector<publish_window::settled> to_tell_;
    std::vector<std::string> rooms_to_tell_;
    bool telling_ = false;  // tell() has been posted
    bool acting_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    net::wheel_timer tick_timer_{this, [](publisher& self) { self.tick(); }};
    std::shared_ptr<channel> channel_;  // last: its opening may begin in the constructor
};

}  // namespace foz::amqp
