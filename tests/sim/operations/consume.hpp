// A client wants to hear a channel, or more of it.
#pragma once

#include "operations/operation.hpp"

namespace foz::sim {

struct op_consume {
    static constexpr std::string_view name = "consume";
    static constexpr unsigned weight = 6;
    struct input {
        client* by;
        std::size_t channel;
        aggregator::interest what;
    };

    static aggregator::interest draw(world& w) {
        rng& random = w.around_.random.workload;
        aggregator::interest made = aggregator::interest::everything();
        if (random.chance(500)) return made;
        if (random.chance(500)) {
            made.own_name = made.broadcast = made.direct = false;
            made.broadcast = random.chance(500);
            made.direct = random.chance(500);
            made.groups.insert(w.any_group());
        }
        if (random.chance(400)) {
            made.all_topics = false;
            made.topics.insert(random.chance(300) ? w.any_topic() + ".#" : w.any_topic());
        }
        return made;
    }
    static std::optional<input> make(world& w) {
        return input{.by = &w.any_client(), .channel = w.any_channel(), .what = draw(w)};
    }
    static void apply(world&, const input& in) {
        in.by->after({}, [in] { in.by->consume(in.channel, in.what); });
    }
};

}  // namespace foz::sim
