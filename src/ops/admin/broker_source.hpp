// The embedded broker on the admin port.
#pragma once

#include "base/clock.hpp"
#include "broker/snapshot.hpp"
#include "ops/admin/rates.hpp"
#include "ops/admin/source.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace foz::ops {

class broker_source final : public source {
public:
    // Looks at the broker, wherever it lives; `done` is called on the admin's shard.
    using look = std::function<void(std::function<void(broker::snapshot)> done)>;

    broker_source(look at, const clock& time) : look_(std::move(at)), time_(time) {}

    void collect(std::function<void()> done) override;
    std::string not_ready() const override { return last_ ? "" : "starting"; }
    void expose(exposition& to) const override;
    void overview(json_writer& to) const override;
    // queues, exchanges, bindings, connections, consumers, vhosts, definitions: as RabbitMQ's management API names what
    // it tells.
    std::optional<std::string> page(std::string_view name, secrets shown) const override;

private:
    struct totals;

    void count();
    totals sum() const;
    std::string queues() const;

    const look look_;
    const clock& time_;
    std::optional<broker::snapshot> last_;
    rates rates_;
};

}  // namespace foz::ops
