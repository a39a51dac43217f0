#include "aggregator/channel/directory.hpp"

#include "aggregator/channel/give_back.hpp"
#include "contract/names.hpp"

#include <cassert>

namespace foz::aggregator {

void directory::add(member who, const client_id& client, const session_id& session) {
    if (who.slot >= rows_.size()) rows_.resize(who.slot + 1);
    assert(rows_[who.slot].client == none);
    assert(!find_session(session.view()));
    std::uint32_t owner = find_client(client.view());
    if (owner == none) owner = make_client(client.view());
    client_row& all = clients_[owner];
    rows_[who.slot] = {who.generation, owner, all.last, none, packed_name(session.view())};
    (all.last == none ? all.first : rows_[all.last].next) = who.slot;
    all.last = who.slot;
    ++all.members;
    sessions_.insert(name_hash(session.view(), seed_), who.slot);
}

void directory::remove(member who) {
    assert(contains(who));
    row& gone = rows_[who.slot];
    sessions_.erase(name_hash(gone.session.view(), seed_), who.slot);
    client_row& all = clients_[gone.client];
    (gone.previous == none ? all.first : rows_[gone.previous].next) = gone.next;
    (gone.next == none ? all.last : rows_[gone.next].previous) = gone.previous;
    if (--all.members == 0) drop_client(gone.client);
    gone = {};
    if (size() > 0) return;
    give_back(rows_);
    give_back(clients_);
    free_client_ = none;
}

bool directory::contains(member who) const noexcept {
    return who.slot < rows_.size() && rows_[who.slot].client != none && rows_[who.slot].generation == who.generation;
}

std::string_view directory::client_of(member who) const {
    assert(contains(who));
    return clients_[rows_[who.slot].client].name.view();
}

std::string_view directory::session_of(member who) const {
    assert(contains(who));
    return rows_[who.slot].session.view();
}

bool directory::is_addressed(member who, std::string_view receiver) const {
    if (!receiver.starts_with(contract::session_prefix)) return receiver == client_of(who);
    return receiver.substr(contract::session_prefix.size()) == session_of(who);
}

std::optional<member> directory::find_session(std::string_view session) const {
    const auto same = [&](std::uint32_t slot) { return rows_[slot].session.view() == session; };
    const std::uint32_t slot = sessions_.find(name_hash(session, seed_), same);
    if (slot == none) return std::nullopt;
    return member{slot, rows_[slot].generation};
}

std::size_t directory::members_of(std::string_view client) const {
    const std::uint32_t found = find_client(client);
    return found == none ? 0 : clients_[found].members;
}

std::uint32_t directory::find_client(std::string_view name) const {
    return by_client_.find(name_hash(name, seed_), [&](std::uint32_t id) { return clients_[id].name.view() == name; });
}

std::uint32_t directory::make_client(std::string_view name) {
    std::uint32_t made = free_client_;
    if (made == none) {
        made = static_cast<std::uint32_t>(clients_.size());
        clients_.emplace_back();
    } else {
        free_client_ = clients_[made].first;
    }
    clients_[made] = {.name = packed_name(name)};
    by_client_.insert(name_hash(name, seed_), made);
    return made;
}

void directory::drop_client(std::uint32_t client) {
    by_client_.erase(name_hash(clients_[client].name.view(), seed_), client);
    clients_[client] = {.first = free_client_};
    free_client_ = client;
}

}  // namespace foz::aggregator
