// POST /api/clients/disconnect: an operator closes a client's sockets.
#pragma once

#include "aggregator/shard/aggregator.hpp"
#include "ops/admin/action.hpp"

namespace foz::ops {

// {"client":"…"} or {"session":"…"}, and "stay_away":true when the client is not to come back by itself. The answer is
// {"closed":N}; status 404 when there is no such socket in this process.
class disconnect_action final : public action {
public:
    // The aggregator outlives it.
    explicit disconnect_action(aggregator::aggregator& of) : of_(of) {}

    std::string_view path() const override { return "clients/disconnect"; }
    void run(const action_arguments& what, std::function<void(action_outcome)> done) override;

private:
    aggregator::aggregator& of_;
};

}  // namespace foz::ops
