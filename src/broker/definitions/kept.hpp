// What the storage keeps of users, permissions, virtual hosts and policies, beside the model's own records.
#pragma once

#include "broker/core/storage.hpp"
#include "broker/definitions/definition_set.hpp"

#include <functional>
#include <string_view>

namespace foz::broker {

// Calls its argument for each record.
using record_source = std::function<void(const std::function<void(std::string_view key, std::string_view value)>&)>;

// Users, permissions, policies, and the virtual hosts: those that are kept and those that have queues or exchanges, so
// that no start loses what is in them. With `topology` what the model's records hold, too: of a broker that is stopped.
enum class topology { without, with };
definition_set kept_definitions(const record_source& records, topology which = topology::without);

// Writes what of these is different from what was kept.
void keep(storage& disk, const definition_set& was, const definition_set& is);

}  // namespace foz::broker
