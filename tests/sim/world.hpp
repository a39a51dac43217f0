// One run: everybody, what they do, what befalls them, and whether it was well in the end.
#pragma once

#include "aggregator/aggregator_process.hpp"
#include "broker/broker_process.hpp"
#include "clients/client.hpp"
#include "core/environment.hpp"
#include "faults/coverage.hpp"
#include "oracle/oracle.hpp"
#include "services/service.hpp"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace foz::sim {

struct run_result {
    std::uint64_t seed = 0;
    std::uint64_t hash = 0;
    std::uint64_t events = 0;
    std::uint64_t operations = 0;
    std::uint64_t faults = 0;
    std::optional<finding> found;
    std::array<std::uint64_t, invariants_count> compared{};
    std::uint64_t answers = 0, receipts = 0, messages = 0, entries = 0;
    coverage covered;
    duration recovery{};  // from the end of the faults until all was well
    bool before_healing = false;
};

class world {
public:
    explicit world(std::uint64_t seed);
    ~world();

    run_result run();
    environment& around() noexcept { return around_; }

    // For operations and faults.
    environment around_;
    findings found_{around_.log};
    oracle oracle_{around_, found_};
    std::unique_ptr<broker_process> broker;
    std::vector<std::unique_ptr<aggregator_process>> aggregators;
    std::vector<std::unique_ptr<service_store>> stores;           // by channel
    std::vector<std::vector<std::unique_ptr<service>>> services;  // by channel
    std::vector<std::unique_ptr<client>> clients;
    coverage covered;

    client& any_client() { return *clients[around_.random.workload.pick(clients.size())]; }
    std::size_t any_channel() { return around_.random.workload.pick(around_.with.channels.size()); }
    std::string any_group();
    // Who is meant: "all", "group:…" or "client:…".
    std::string any_receivers();
    std::string any_topic();

private:
    void make();
    void begin();
    void arrange_operations();
    void arrange_faults();
    void strike();
    bool run_for(duration span);
    bool wait_until_well(duration at_most);
    bool can_be_well() const;
    void heal();
    std::vector<client*> all_clients() const;

    std::uint64_t operations_ = 0;
    bool no_more_strikes_ = false;
    std::uint64_t strikes_ = 0;
};

}  // namespace foz::sim
