// What a drill works on: a broker, aggregators and workers, each a real process.
#pragma once

#include "cli/drill/brokers.hpp"
#include "cli/drill/history.hpp"
#include "cli/drill/process.hpp"

#include <memory>
#include <string>
#include <vector>

namespace foz::cli::drill {

struct drill_channel {
    std::string name;
    std::string toml;  // further lines of its table
    bool durable = true;
    bool ordered = false;
};

struct plan {
    unsigned aggregators = 1;
    unsigned workers = 2;
    std::string toml;  // tables beside those of the channels
    std::vector<drill_channel> channels = {{.name = "chat"},
                                           {.name = "orders"},
                                           {.name = "tickets", .toml = "order = \"client\"", .ordered = true},
                                           {.name = "voice", .toml = "delivery = \"volatile\"", .durable = false}};
    std::vector<std::string> worker_flags;
    std::string data;      // folder of the embedded broker; empty: in the drill's own
    unsigned clients = 0;  // 0: as many as was said
};

enum class build { own, other };

struct system_options {
    bool cluster = false;
    bool node_workers = false;  // on amqplib
    std::string other;          // the program of another build, which everything but the broker begins with; or empty
};

// Lives on the drill's own thread.
class system_under_test {
public:
    // Throws skipped.
    system_under_test(const temporary_folder& folder, const plan& what, system_options how);

    // Returns when everything is ready. Throws std::runtime_error.
    void start();

    broker_nodes& broker() { return *broker_; }
    process& aggregator(std::size_t which) { return *aggregators_.at(which).running; }
    std::size_t aggregators() const { return aggregators_.size(); }
    process& worker(std::size_t which) { return *workers_.at(which); }
    std::size_t workers() const { return workers_.size(); }

    // Of which build aggregators and workers are from now on, as they are launched.
    void set_build(build from) { from_ = from; }
    // Of one that has been killed or has ended: on its old port.
    void launch_aggregator(std::size_t which);
    void await_aggregator(std::size_t which);
    void launch_worker(std::size_t which);
    void await_worker(std::size_t which);

    // 127.0.0.1:PORT of each aggregator.
    std::vector<std::uint16_t> ports() const;
    // While it is down, each message fails.
    void set_dependency(bool up) const;
    std::vector<run> read_runs() const;

private:
    struct aggregator_process {
        std::uint16_t port = 0;
        std::unique_ptr<process> running;
    };

    void write_configuration(const plan& what) const;
    std::string program() const;

    const temporary_folder& folder_;
    const system_options how_;
    const std::vector<std::string> worker_flags_;
    const std::string channels_json_;
    build from_;
    std::unique_ptr<broker_nodes> broker_;
    std::vector<aggregator_process> aggregators_;
    std::vector<std::unique_ptr<process>> workers_;
};

}  // namespace foz::cli::drill
