// A client hears enough of a channel.
#pragma once

#include "operations/operation.hpp"

namespace foz::sim {

struct op_leave {
    static constexpr std::string_view name = "leave";
    static constexpr unsigned weight = 2;
    struct input {
        client* by;
        std::size_t channel;
    };

    static std::optional<input> make(world& w) { return input{.by = &w.any_client(), .channel = w.any_channel()}; }
    static void apply(world&, const input& in) {
        in.by->after({}, [in] { in.by->leave(in.channel); });
    }
};

}  // namespace foz::sim
