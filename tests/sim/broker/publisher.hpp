// Drives the product's publish_window over a channel of a broker_client.
#pragma once

#include "amqp/conn/publish_window.hpp"
#include "broker/client.hpp"
#include "oracle/findings.hpp"

#include <map>
#include <string>

namespace foz::sim {

class publisher final : public channel_user {
public:
    publisher(environment& around, process& owner, broker_client& over, findings& found, std::string label,
              std::function<void()> turn, amqp::publisher_options limits = {});
    ~publisher();

    void submit(amqp::publication what, amqp::publish_options options, amqp::on_outcome done);
    // What was decided is told and what can be sent is sent. Not within a call of whoever is told.
    void end_turn();
    bool full(std::string_view key) const { return window_.full(key); }
    std::function<void(const std::string& key)> on_room;
    const amqp::publish_window& window() const noexcept { return window_; }

private:
    void begin() override;
    void lost() override;
    void on_blocked(bool is) override;
    void on_open(std::uint32_t channel) override;
    void on_closed(std::uint32_t channel) override;
    void on_confirm(std::uint32_t channel, std::uint64_t tag, bool multiple, bool positive) override;
    void on_return(std::uint32_t channel, const amqp::basic_return& what, const amqp::basic_properties& properties,
                   std::string_view body) override;
    void pump();
    void act();
    void arm();
    void check_repetition(const amqp::publication& what);

    environment& around_;
    process& owner_;
    broker_client& client_;
    findings& found_;
    const std::string label_;
    const std::function<void()> turn_;
    amqp::publish_window window_;
    std::uint32_t channel_ = 0;
    bool open_ = false;
    bool armed_ = false;
    steady_time last_confirm_{};
    // What has been sent on this channel, by tag, and what became of it.
    std::map<std::uint64_t, std::string> sent_;
    std::map<std::string, int> owed_;      // by message id: handed in and not confirmed
    std::map<std::string, int> returned_;  // on this channel, by message id: its confirm, which follows, means nothing
    std::uint64_t tags_ = 0;
};

}  // namespace foz::sim
