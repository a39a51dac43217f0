// A client asks and awaits the answer: it comes, or an error does, once, and it is the answer to this question.
#pragma once

#include "operations/operation.hpp"

namespace foz::sim {

struct op_request {
    static constexpr std::string_view name = "request";
    static constexpr unsigned weight = 30;
    struct input {
        client* by;
        publish_wish what;
    };

    static std::optional<input> make(world& w) {
        rng& random = w.around_.random.workload;
        input made{.by = &w.any_client(),
                   .what = {.channel = w.any_channel(), .number = w.oracle_.next_number(), .answer = true}};
        const bool refuse = random.chance(50);
        made.what.message = make_body(w, made.what.number, random.chance(200) ? w.any_receivers() : "",
                                      refuse ? ",\"refuse\":true" : "");
        made.what.with_id = random.chance(500);
        if (random.chance(200)) made.what.more = ",\"timeout_ms\":" + std::to_string(random.between(200, 8'000));
        if (random.chance(50)) made.what.more += ",\"fail_fast\":true";
        return made;
    }
    static void apply(world&, const input& in) {
        in.by->after({}, [in] { in.by->publish(in.what); });  // not while it is stopped
    }
};

}  // namespace foz::sim
