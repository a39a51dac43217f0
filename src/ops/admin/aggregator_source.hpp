// The aggregator on the admin port, and which of its counters are shown under which names.
#pragma once

#include "aggregator/shard/snapshot.hpp"
#include "base/clock.hpp"
#include "ops/admin/rates.hpp"
#include "ops/admin/source.hpp"

#include <optional>

namespace foz::ops {

// On shard 0. The aggregator outlives it.
class aggregator_source final : public source {
public:
    aggregator_source(aggregator::aggregator& of, const clock& time) : of_(of), time_(time) {}

    void collect(std::function<void()> done) override;
    std::string not_ready() const override { return last_ ? last_->not_ready : "starting"; }
    std::vector<std::string> degraded() const override;
    void expose(exposition& to) const override;
    void overview(json_writer& to) const override;
    std::optional<std::string> page(std::string_view, secrets) const override { return std::nullopt; }

private:
    aggregator::aggregator& of_;
    const clock& time_;
    std::optional<aggregator::snapshot> last_;
    rates rates_;
};

}  // namespace foz::ops
