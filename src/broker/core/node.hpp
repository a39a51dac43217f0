// The broker's model: virtual hosts, time, and what waits for the disk.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "broker/core/vhost.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace foz::broker {

// Lives on one shard and knows of no other. Time, randomness and the storage are passed in and outlive it. Whoever owns
// it calls run_due() when next_due() has come, and on_committed() when the storage has committed.
class node final : private vhost_home, private surroundings {
public:
    node(storage& disk, const clock& time, random_source& random);
    ~node();
    node(const node&) = delete;
    node& operator=(const node&) = delete;

    // Makes these virtual hosts and takes up what the storage holds for them.
    void start(const std::vector<std::string>& vhosts, const std::vector<policy>& policies = {});

    vhost* find_vhost(std::string_view name) const;
    const auto& vhosts() const noexcept { return vhosts_; }
    owner_id new_owner() noexcept { return ++last_owner_; }
    storage& disk() override { return disk_; }

    // When something is to be done next, in ms since 1970; 0: nothing is.
    std::int64_t next_due() const noexcept;
    // Called when next_due() has come nearer.
    void on_next_due(std::function<void()> nearer) { nearer_ = std::move(nearer); }
    void run_due();
    void on_committed(commit_number committed);
    // Deletes queues that have nobody left. Called when nothing of a queue is on the stack.
    void remove_unused();
    bool has_unused() const noexcept { return !unused_.empty(); }

private:
    surroundings& around() override { return *this; }
    queue_number new_queue_number() override;
    std::string new_queue_name() override;

    std::int64_t now_ms() const override;
    void dead_letter(queue& from, entry dead, death why) override;
    void set_alarm(queue& whose, std::int64_t at_ms) override;
    void remove_soon(queue& gone) override;
    const storage& disk() const override { return disk_; }
    std::size_t memory_share() const override;
    void await_commit(queue& waiting, commit_number commit) override;

    storage& disk_;
    const clock& time_;
    random_source& random_;
    owner_id last_owner_ = 0;
    queue_number last_number_ = 0;
    queue_number numbers_end_ = 0;  // the storage knows that numbers before this one may be in use
    std::map<std::string, std::unique_ptr<vhost>, std::less<>> vhosts_;
    // Those of one time by the queues' numbers, never by addresses: a run can be repeated.
    std::set<std::tuple<std::int64_t, queue_number, queue*>> alarms_;
    std::unordered_map<queue*, std::int64_t> alarm_of_;
    std::multimap<commit_number, std::weak_ptr<queue>> awaiting_;
    std::vector<std::weak_ptr<queue>> unused_;
    std::function<void()> nearer_;
};

}  // namespace foz::broker
