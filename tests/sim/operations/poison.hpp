// A message that kills whoever handles it: its caller is told, its neighbours are handled.
#pragma once

#include "operations/operation.hpp"

namespace foz::sim {

struct op_poison {
    static constexpr std::string_view name = "poison";
    static constexpr unsigned weight = 1;
    struct input {
        client* by;
        publish_wish what;
    };

    static std::optional<input> make(world& w) {
        if (!w.around_.random.workload.chance(300)) return std::nullopt;
        input made{.by = &w.any_client(),
                   .what = {.channel = w.any_channel(), .number = w.oracle_.next_number(), .answer = true}};
        made.what.message = make_body(w, made.what.number, "", ",\"poison\":true");
        return made;
    }
    static void apply(world& w, const input& in) {
        in.by->after({}, [in] { in.by->publish(in.what); });
        w.oracle_.excuse(in.what.number);
    }
};

}  // namespace foz::sim
