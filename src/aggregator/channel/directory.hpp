// The names of one shard's sessions. No I/O.
#pragma once

#include "aggregator/channel/id_table.hpp"
#include "aggregator/channel/member.hpp"
#include "aggregator/channel/packed_name.hpp"
#include "base/strong.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace foz::aggregator {

// Client id → members, session id → member, and back. One for each shard, owned by its table of sessions and shared by
// the audiences of all channels, so that a channel keeps no names of clients. A session stands here from its beginning
// to its end; it leaves every audience before it leaves the directory. Everything is O(1) but what walks the members of
// one client.
class directory {
public:
    explicit directory(std::uint64_t hash_seed = 0) : seed_(hash_seed) {}
    directory(const directory&) = delete;
    directory& operator=(const directory&) = delete;

    // The slot is free, the session's id is new; a slot is at most a few above the highest one so far.
    void add(member who, const client_id& client, const session_id& session);
    void remove(member who);
    bool contains(member who) const noexcept;

    // Of a member that is here; valid until it (the client: its last member) has been removed.
    std::string_view client_of(member who) const;
    std::string_view session_of(member who) const;
    // A direct address, a client's id or "session:<id>", means this member.
    bool is_addressed(member who, std::string_view receiver) const;

    std::optional<member> find_session(std::string_view session) const;
    std::size_t members_of(std::string_view client) const;
    // Its member that came last.
    std::optional<member> newest_of(std::string_view client) const {
        const std::uint32_t found = find_client(client);
        if (found == none) return std::nullopt;
        const std::uint32_t slot = clients_[found].last;
        return member{slot, rows_[slot].generation};
    }
    // In the order in which they came. `to` must not add or remove members of this client.
    template <class F>
    void each_of(std::string_view client, F&& to) const {
        const std::uint32_t found = find_client(client);
        if (found == none) return;
        for (std::uint32_t slot = clients_[found].first; slot != none;) {
            const row& here = rows_[slot];
            const std::uint32_t next = here.next;
            to(member{slot, here.generation});
            slot = next;
        }
    }

    std::size_t size() const noexcept { return sessions_.size(); }
    std::size_t clients() const noexcept { return by_client_.size(); }
    std::uint64_t hash_seed() const noexcept { return seed_; }

private:
    static constexpr std::uint32_t none = id_table::none;

    // A session; its number is its slot.
    struct row {
        std::uint32_t generation = 0;
        std::uint32_t client = none;    // none: the slot is free
        std::uint32_t previous = none;  // of the same client
        std::uint32_t next = none;
        packed_name session;
    };
    struct client_row {
        packed_name name;
        std::uint32_t first = none;  // a slot; of a free row: the next free one
        std::uint32_t last = none;
        std::uint32_t members = 0;
    };

    std::uint32_t find_client(std::string_view name) const;
    std::uint32_t make_client(std::string_view name);
    void drop_client(std::uint32_t client);

    const std::uint64_t seed_;
    std::vector<row> rows_;
    std::vector<client_row> clients_;
    std::uint32_t free_client_ = none;
    id_table sessions_;
    id_table by_client_;
};

}  // namespace foz::aggregator
