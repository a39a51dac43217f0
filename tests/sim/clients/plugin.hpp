// A page with the Foz plugin (clients/js/src), step by step as the plugin does it.
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

    // What of a channel was granted, and where it was.
    struct consumed {
        std::optional<aggregator::interest> granted;
        std::string position;
        unsigned failures = 0;
    };
    struct message {
        std::string id;
        std::string frame;
        std::int64_t number;
        std::size_t channel;
        bool sent = false;
    };
    struct pending_consume {
        std::string id;
        std::size_t channel;
        std::optional<aggregator::interest> asks;  // what its page wants more than it has
        std::vector<aggregator::interest> asked;   // by its page, call by call
        bool again;                                // the plugin's own, after a reconnect
        unsigned retry = 0;                        // the timer that counts
    };
    // A channel on which something was refused that is to be sent again.
    struct pause {
        unsigned failures = 0;
        bool waits = false;
    };

    handshake greeting() override { return {.client = identity(), .consume_at_open = {}, .hello = true}; }
    void on_opened() override {}
    void on_lost() override;
    void on_heard(const heard& frame) override;
    duration first_pause() override;

    bool connected() const { return open() && !held_; }
    std::string next_id() { return prefix_ + std::to_string(++count_); }
    void send(message& entry);
    void send_unsent(std::optional<std::size_t> channel);
    void pause_channel(std::size_t channel, const heard& why);
    duration growing_pause(unsigned failures);
    void say_consume(pending_consume pending);
    // Instead of the one of this id, or of all of them.
    void consume_again(std::size_t channel, std::optional<std::string> instead_of);
    bool is_asked(std::size_t channel) const;
    consumed* state_of(std::size_t channel);
    void remember(const heard& frame);
    void on_welcome(const heard& frame);
    void take_message(const heard& frame);
    void on_consuming(const heard& frame);
    void on_error(const heard& frame);
    message* find(const std::string& id);
    std::optional<message> settle(const std::string& id);
    bool on_consume_error(const heard& frame);
    void forget_unless_wanted(std::size_t channel);
    void ask_later(std::size_t channel, const aggregator::interest& what);

    const std::string prefix_;
    std::deque<message> outbox_;                              // in the order of sending
    std::vector<std::pair<std::size_t, consumed>> channels_;  // in the order of consuming
    std::vector<pending_consume> consuming_;                  // in the order of sending
    std::map<std::size_t, pause> pauses_;
    unsigned sockets_ = 0;
    unsigned retries_ = 0;
    std::unordered_set<std::string> seen_;
    std::deque<std::string> seen_order_;
    std::uint64_t count_ = 0;
    std::string me_;
    bool held_ = true;  // until the welcome
};

}  // namespace foz::sim
