// What only a session has whose client has shown who it is.
#pragma once

#include "aggregator/channel/interest.hpp"
#include "aggregator/session/client_rights.hpp"
#include "net/timing_wheel.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>

namespace foz::aggregator {

class session;

struct authority {
    authority(session& owner, void (session::*on_time)(), std::shared_ptr<const client_rights> what, std::string mark)
        : rights(std::move(what)), device(std::move(mark)), owner_(owner), on_time_(on_time) {}

    std::shared_ptr<const client_rights> rights;
    // Tells the client's devices apart; empty: it has not said which one it is.
    const std::string device;
    // By channel: what it asked to hear, where it may not hear all of that. A refresh may change it.
    std::map<std::size_t, interest> wanted;
    bool was_told = false;  // that its token ends soon
    net::wheel_timer timer{this, [](authority& self) { (self.owner_.*self.on_time_)(); }};

private:
    session& owner_;
    void (session::* const on_time_)();
};

}  // namespace foz::aggregator
