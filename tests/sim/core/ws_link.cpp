#include "core/ws_link.hpp"

#include <utility>

namespace foz::sim {

ws_link::ws_link(environment& around, process& client, process& server)
    : around_(around),
      client_{&client, client.incarnation()},
      server_{&server, server.incarnation()},
      to_server_(pipe::make(around.time, around.random.network, server, around.pipe_to_client())),
      to_client_(pipe::make(around.time, around.random.network, client, around.pipe_to_client())) {
    // As a timer of the server's: one that is stopped hears of it when it goes on.
    to_client_->on_room = [this] {
        if (server_.owner->incarnation() != server_.incarnation) return;
        server_.owner->after({}, [link = weak_from_this()] {
            if (const auto self = link.lock(); self && self->server_.end) self->server_.end->on_room();
        });
    };
}

ws_link::~ws_link() {
    to_client_->on_room = nullptr;
}

void ws_link::send(side from, std::string_view octets) {
    rng& random = around_.random.network;
    const auto& way = from == side::client ? to_server_ : to_client_;
    const side to = from == side::client ? side::server : side::client;
    while (!octets.empty()) {
        const bool split =
            octets.size() > 1 && around_.with.split_permille > 0 && random.chance(around_.with.split_permille);
        const std::size_t size = split ? random.between(1, octets.size() - 1) : octets.size();
        way->send(size, [self = shared_from_this(), to, piece = std::string(octets.substr(0, size))]() mutable {
            self->deliver(to, std::move(piece));
        });
        octets.remove_prefix(size);
    }
}

void ws_link::call(side from, std::size_t octets, action at_the_other_side) {
    const side to = from == side::client ? side::server : side::client;
    const auto& way = from == side::client ? to_server_ : to_client_;
    way->send(octets, [self = shared_from_this(), to, what = std::move(at_the_other_side)]() mutable {
        endpoint& there = self->at(to);
        if (!there.over && there.owner->incarnation() == there.incarnation) what();
    });
}

void ws_link::deliver(side to, std::string octets) {
    endpoint& there = at(to);
    if (there.over || there.owner->incarnation() != there.incarnation) return;
    around_.log.mix(octets);
    if (there.end) there.end->on_octets(octets);
}

void ws_link::finish(side which) {
    endpoint& one = at(which);
    if (std::exchange(one.over, true) || one.owner->incarnation() != one.incarnation) return;
    if (link_end* const end = std::exchange(one.end, nullptr)) end->on_end();
}

void ws_link::close(side from) {
    endpoint& mine = at(from);
    mine.over = true;
    mine.end = nullptr;
    const side to = from == side::client ? side::server : side::client;
    const auto& way = from == side::client ? to_server_ : to_client_;
    (from == side::client ? to_client_ : to_server_)->pause(false);
    way->send(1, [self = shared_from_this(), to] { self->finish(to); });
}

void ws_link::cut(duration client_notices, duration server_notices) {
    to_server_->cut();
    to_client_->cut();
    const auto notice = [this](side which, duration span) {
        endpoint& one = at(which);
        if (one.over || one.owner->incarnation() != one.incarnation) return;
        one.owner->after(span, [self = shared_from_this(), which] { self->finish(which); });
    };
    notice(side::client, client_notices);
    notice(side::server, server_notices);
}

void ws_link::stall(duration span) {
    to_server_->stall(span);
    to_client_->stall(span);
}

}  // namespace foz::sim
