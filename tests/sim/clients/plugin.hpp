// A page with the Foz plugin (clients/js/foz.js), step by step as the plugin does it.
#pragma once

#include "clients/client.hpp"

#include <deque>
#include <map>
#include <set>
#include <unordered_set>

namespace foz::sim {

class plugin_client final : public client {
public:
    plugin_client(environment& around, oracle& judge, std::vector<aggregator_process*> to, unsigned index,
                  std::string identity);

    bool plugin() const noexcept override { return true; }
    std::string prefix() const override { return prefix_; }
    void consume(std::size_t channel, const aggregator::interest& what) override;
    void leave(std::size_t channel) override;
    void publish(const publish_wish& what) override;
    std::size_t waiting() const override { return outbox_.size(); }

private:
    static constexpr std::size_t seen_max = 1000;

    // What is wanted of a channel, and where it was.
    struct consumed {
        aggregator::interest what;
        aggregator::interest last;  // that its page has asked for
        std::string position;
    };
    struct message {
        std::string id;
        std::string frame;
        std::int64_t number;
    };
    struct pending_consume {
        std::size_t channel;
        std::optional<consumed> before;
        std::optional<aggregator::interest> asked;  // by its page; nothing: at a reconnect
    };

    handshake greeting() override { return {.client = identity(), .consume_at_open = {}, .hello = true}; }
    void on_opened() override {}
    void on_lost() override { held_ = true; }
    void on_heard(const heard& frame) override;
    duration first_pause() override { return pause_; }

    bool connected() const { return open() && !held_; }
    std::string next_id() { return prefix_ + std::to_string(++count_); }
    void send(const std::string& id);
    void say_consume(std::size_t channel, const std::string& id);
    void consume_again();
    void remember(const heard& frame);
    void on_welcome(const heard& frame);
    void take_message(const heard& frame);
    void on_consuming(const heard& frame);
    void on_error(const heard& frame);
    message* find(const std::string& id);
    std::optional<message> settle(const std::string& id);
    void ask_later(std::size_t channel, const aggregator::interest& what);

    const std::string prefix_;
    const duration pause_;
    std::deque<message> outbox_;                              // in the order of sending
    std::vector<std::pair<std::size_t, consumed>> channels_;  // in the order of consuming
    std::map<std::string, pending_consume> consuming_;
    std::unordered_set<std::string> seen_;
    std::deque<std::string> seen_order_;
    std::uint64_t count_ = 0;
    std::string me_;
    bool held_ = true;  // until the welcome
};

}  // namespace foz::sim
