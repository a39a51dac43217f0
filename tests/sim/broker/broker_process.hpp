// The broker: the real model with a storage in memory, and a front without octets.
#pragma once

#include "broker/connection.hpp"
#include "broker/core/tests/memory_storage.hpp"
#include "contract/channel_settings.hpp"
#include "core/history.hpp"
#include "core/process.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace foz::sim {

// Sees what the broker has, whoever else does.
class broker_watcher {
public:
    // It is in a queue, durably, and its publisher is about to be told so.
    virtual void on_confirmed(const std::string& message_id) = 0;
    virtual void on_published(const amqp::publication& what, const process& by) = 0;
    // An entry of a stream, in its order. `generation`: how often the stream was made anew.
    virtual void on_entry(const std::string& stream, unsigned generation, std::uint64_t offset,
                          const broker::message_ref& what) = 0;
    // It was given up: it came back too often, or was refused.
    virtual void on_dead(const broker::message_ref& what) = 0;

protected:
    ~broker_watcher() = default;
};

class broker_process final : public process {
public:
    struct options {
        std::vector<contract::channel_settings> channels;
        std::uint64_t retention_bytes = 0;  // of each stream; 0: all
        std::uint64_t segment_bytes = 4'096;
        duration commit_min{std::chrono::microseconds(200)};
        duration commit_max{std::chrono::milliseconds(3)};
    };

    broker_process(scheduler& time, random_streams& random, history& log, broker_watcher& watcher, options all);
    ~broker_process() override;

    // Faults.
    void refuse_publishes(duration span) { refusing_until_ = time_.now() + span; }
    void hold_confirms(duration span);
    // Nothing is delivered, though consumers may come.
    void hold_deliveries(duration span);
    void block(duration span);
    void recreate_stream(const std::string& name);
    bool blocked() const noexcept { return blocked_; }
    bool refusing() const noexcept { return time_.now() < refusing_until_; }
    bool holding() const noexcept { return time_.now() < holding_until_; }
    bool holds_deliveries() const noexcept { return time_.now() < delivering_from_; }
    // As RabbitMQ does, it takes connections before it has recovered its streams: nobody can consume them, and what is
    // published to them is returned, or confirmed and dropped.
    bool recovers_streams() const noexcept { return time_.now() < streams_from_; }
    bool routes_to_stream(const amqp::publication& what) const;
    // How often it has started so.
    std::uint64_t late_recoveries() const noexcept { return late_recoveries_; }

    // For connections.
    void attach(const std::shared_ptr<connection>& one);
    void detach(const connection* one);
    broker::node& model() { return *model_; }
    broker::vhost& host() { return *model_->find_vhost("/"); }
    broker::commit_number pending_commit() const { return disk_.pending_commit(); }
    broker_watcher& watcher() noexcept { return watcher_; }
    void declare_topology();
    void changed();
    unsigned generation(const std::string& stream) const;
    // Where a stream begins and ends, for those who check; of a broker that is down: where it did.
    std::pair<std::uint64_t, std::uint64_t> bounds(const std::string& stream);
    std::size_t ready(const std::string& queue);

    history& log;

private:
    struct tap;

    void on_start() override;
    void on_kill() override;
    void commit();
    void arrange_due();
    void attach_taps();
    void look_at_dead();

    random_streams& random_;
    broker_watcher& watcher_;
    const options options_;
    broker::memory_storage disk_;
    std::unique_ptr<broker::node> model_;
    std::vector<std::shared_ptr<connection>> connections_;
    std::vector<std::unique_ptr<tap>> taps_;
    steady_time refusing_until_{};
    steady_time holding_until_{};
    steady_time delivering_from_{};
    steady_time streams_from_{};
    std::uint64_t late_recoveries_ = 0;
    bool blocked_ = false;
    bool committing_ = false;
    std::int64_t due_ms_ = 0;
};

}  // namespace foz::sim
