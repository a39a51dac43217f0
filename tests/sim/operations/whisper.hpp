// A stock page writes without an id: nothing comes back, and nothing is promised.
#pragma once

#include "operations/operation.hpp"

namespace foz::sim {

struct op_whisper {
    static constexpr std::string_view name = "whisper";
    static constexpr unsigned weight = 4;
    struct input {
        client* by;
        publish_wish what;
    };

    static std::optional<input> make(world& w) {
        client& by = w.any_client();
        if (by.plugin()) return std::nullopt;
        input made{.by = &by,
                   .what = {.channel = w.any_channel(), .number = w.oracle_.next_number(), .with_id = false}};
        made.what.message = make_body(w, made.what.number, w.any_receivers(), "");
        return made;
    }
    static void apply(world&, const input& in) {
        in.by->after({}, [in] { in.by->publish(in.what); });  // not while it is stopped
    }
};

}  // namespace foz::sim
