// A client publishes and wants a receipt: from the receipt on a service will handle the message, whatever dies.
#pragma once

#include "operations/operation.hpp"

namespace foz::sim {

struct op_publish {
    static constexpr std::string_view name = "publish";
    static constexpr unsigned weight = 30;
    struct input {
        client* by;
        publish_wish what;
    };

    static std::optional<input> make(world& w) {
        input made{.by = &w.any_client(), .what = {.channel = w.any_channel(), .number = w.oracle_.next_number()}};
        made.what.message = make_body(w, made.what.number, w.any_receivers(), "");
        if (w.around_.random.workload.chance(300)) made.what.topic = w.any_topic();
        return made;
    }
    static void apply(world&, const input& in) {
        in.by->after({}, [in] { in.by->publish(in.what); });  // not while it is stopped
    }
};

}  // namespace foz::sim
