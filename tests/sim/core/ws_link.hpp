// A WebSocket connection between a client and an aggregator: octets both ways.
#pragma once

#include "core/environment.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace foz::sim {

// One end of a link. Called in the end's process.
class link_end {
public:
    // The octets may be changed in place.
    virtual void on_octets(std::string& octets) = 0;
    // The other end has closed it, or the network has.
    virtual void on_end() = 0;
    virtual void on_room() {}

protected:
    ~link_end() = default;
};

class ws_link final : public std::enable_shared_from_this<ws_link> {
public:
    enum class side : bool { client, server };

    ws_link(environment& around, process& client, process& server);
    ~ws_link();

    void set(side of, link_end* end) { (of == side::client ? client_.end : server_.end) = end; }
    // From that side. What is sent may arrive in pieces.
    void send(side from, std::string_view octets);
    // The handshake: something that the other side does when it has arrived.
    void call(side from, std::size_t octets, action at_the_other_side);
    bool has_room(side from) const { return (from == side::client ? to_server_ : to_client_)->has_room(); }
    // That side reads, or does not.
    void pause(side reader, bool is) { (reader == side::server ? to_server_ : to_client_)->pause(is); }
    // Everything that was sent arrives before the end does. This side hears nothing any more.
    void close(side from);

    // Faults. Each side notices after so long.
    void cut(duration client_notices, duration server_notices);
    void stall(duration span);
    bool ended() const noexcept { return client_.over && server_.over; }
    process& of(side which) { return *(which == side::client ? client_ : server_).owner; }

private:
    struct endpoint {
        process* owner;
        std::uint32_t incarnation;
        link_end* end = nullptr;
        bool over = false;
    };

    endpoint& at(side which) { return which == side::client ? client_ : server_; }
    void finish(side which);
    void deliver(side to, std::string octets);

    environment& around_;
    endpoint client_;
    endpoint server_;
    std::shared_ptr<pipe> to_server_;
    std::shared_ptr<pipe> to_client_;
};

}  // namespace foz::sim
