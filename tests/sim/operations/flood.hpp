// A client publishes much at once: it is read more slowly, it alone, and everything is handled all the same.
#pragma once

#include "operations/operation.hpp"

namespace foz::sim {

struct op_flood {
    static constexpr std::string_view name = "flood";
    static constexpr unsigned weight = 1;
    struct input {
        client* by;
        std::vector<publish_wish> what;
    };

    static std::optional<input> make(world& w) {
        input made{.by = &w.any_client(), .what = {}};
        const std::size_t channel = w.any_channel();
        for (std::uint64_t left = w.around_.random.workload.between(5, 40); left > 0; --left) {
            publish_wish one{.channel = channel, .number = w.oracle_.next_number()};
            one.message = make_body(w, one.number, "", "");
            made.what.push_back(std::move(one));
        }
        return made;
    }
    static void apply(world&, const input& in) {
        for (const publish_wish& one : in.what) in.by->after({}, [by = in.by, one] { by->publish(one); });
    }
};

}  // namespace foz::sim
