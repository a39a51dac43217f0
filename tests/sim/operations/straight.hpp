// A client publishes straight to other clients (publish_target OUTBOUND), which hear it as they hear services.
#pragma once

#include "operations/operation.hpp"

namespace foz::sim {

struct op_straight {
    static constexpr std::string_view name = "publish straight to clients";
    static constexpr unsigned weight = 6;
    struct input {
        client* by;
        publish_wish what;
    };

    static std::optional<input> make(world& w) {
        input made{.by = &w.any_client(), .what = {.channel = w.any_channel(), .number = w.oracle_.next_number()}};
        made.what.message = "{\"straight\":" + std::to_string(made.what.number) + "}";
        made.what.more = R"(,"publish_target":"OUTBOUND","distribution":{"broadcast":true})";
        return made;
    }
    static void apply(world& w, const input& in) {
        in.by->after({}, [in] { in.by->publish(in.what); });
        w.oracle_.excuse(in.what.number);  // no service sees it
    }
};

}  // namespace foz::sim
