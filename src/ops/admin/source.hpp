// What the admin port shows is told by sources: one for each part of the process.
#pragma once

#include "base/json_writer.hpp"
#include "ops/admin/exposition.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::ops {

// Whether passwords' hashes and the like are told.
enum class secrets : bool { hidden, shown };

// Lives on the admin's shard and outlives it. Between collections it tells what the last one has found: an answer can't
// wait for other shards.
class source {
public:
    virtual ~source() = default;
    // Looks again; `done` is called on this shard, soon and not inside.
    virtual void collect(std::function<void()> done) = 0;
    // Of what was collected: empty when this part is ready, else why it is not.
    virtual std::string not_ready() const = 0;
    // Of what was collected: what does not work while the rest does, each in words. Ready all the same.
    virtual std::vector<std::string> degraded() const { return {}; }
    // Families and samples of /metrics.
    virtual void expose(exposition& to) const = 0;
    // Its members of the object that /api/overview is.
    virtual void overview(json_writer& to) const = 0;
    // The JSON of /api/<name>; nothing when it has no such page.
    virtual std::optional<std::string> page(std::string_view name, secrets shown) const = 0;
};

}  // namespace foz::ops
