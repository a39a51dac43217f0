// Who is not let in any more. No I/O.
#pragma once

#include "aggregator/session/client_rights.hpp"
#include "base/clock.hpp"
#include "contract/revocation.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace foz::aggregator {

using contract::revocation;

// Lookups are O(log n) in the number of revocations in force. Lives on one shard.
class revocations {
public:
    static constexpr std::size_t entries_max = 1'000'000;

    // False when there is no room: an aggregator that forgets one is not to be trusted.
    bool add(const revocation& what, wall_time now);
    bool meets(std::string_view client, std::string_view session, const client_rights& rights) const;
    std::size_t size() const noexcept { return clients_.size() + tokens_.size() + sessions_.size(); }

    // Whether this one revocation meets it.
    static bool meets(const revocation& one, std::string_view client, std::string_view session,
                      const client_rights& rights);

private:
    using key = std::pair<std::string, std::string>;
    struct bound {
        std::optional<wall_time> before;  // nothing: whenever it was issued
        wall_time until;
    };

    void forget(wall_time now);

    std::map<std::string, bound, std::less<>> clients_;  // "": everybody
    std::map<key, wall_time> tokens_;                    // issuer or "", token id; until
    std::map<std::string, wall_time, std::less<>> sessions_;
    wall_time next_{};  // when something may be forgotten
};

}  // namespace foz::aggregator
