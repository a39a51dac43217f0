// A service: takes work from one channel's queue, does it once, says what comes of it, and may die at any point.
#pragma once

#include "broker/client.hpp"
#include "broker/publisher.hpp"
#include "oracle/oracle.hpp"

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace foz::sim {

// What handlers have said, by message id: a database that all services of a channel share, and that outlives them.
struct service_store {
    struct done {
        std::vector<amqp::publication> said;
        bool sent = false;
    };
    std::map<std::string, done> by_id;
};

struct service_counters {
    std::uint64_t taken = 0, handled = 0, repeated = 0, crashes = 0, refused = 0, redelivered = 0;
};

class service final : public process, private channel_user {
public:
    service(environment& around, oracle& judge, findings& found, std::size_t channel, unsigned number,
            service_store& store);
    ~service() override;

    std::size_t channel() const noexcept { return channel_; }
    const service_counters& counters() const noexcept { return counters_; }
    // Says something of its own accord: not while handling anything.
    void say(amqp::publication what);

private:
    struct work {
        delivered from;
        amqp::basic_properties properties;
        std::string id;
        std::int64_t number = 0;
    };
    struct life {
        explicit life(service& home);
        service& home;
        broker_client consuming;
        broker_client publishing;
        publisher out;
    };

    void on_start() override;
    void on_kill() override;
    void begin() override;
    void lost() override;
    void on_closed(std::uint32_t channel) override;
    void on_delivery(std::uint32_t channel, const delivered& one) override;

    void next();
    void handle();
    void tell();
    // `then`: whether it is said.
    void publish(amqp::publication what, duration within, std::move_only_function<void(bool)> then);
    void settle();
    bool crashes(const char* where);
    std::vector<amqp::publication> answer_to(const work& what) const;
    amqp::publication reply(const work& what, std::string body) const;

    environment& around_;
    oracle& oracle_;
    findings& found_;
    const std::size_t channel_;
    service_store& store_;
    service_counters counters_;
    std::unique_ptr<life> run_;
    std::uint32_t number_ = 0;
    std::uint32_t opening_ = 0;  // counts them: what was taken before is not ours any more
    std::deque<work> waiting_;
    bool busy_ = false;
    std::size_t untold_ = 0;
};

}  // namespace foz::sim
