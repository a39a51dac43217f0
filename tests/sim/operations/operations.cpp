#include "operations/consume.hpp"
#include "operations/flood.hpp"
#include "operations/leave.hpp"
#include "operations/operation.hpp"
#include "operations/poison.hpp"
#include "operations/publish.hpp"
#include "operations/request.hpp"
#include "operations/say.hpp"
#include "operations/straight.hpp"
#include "operations/whisper.hpp"

namespace foz::sim {
namespace {

template <operation... All>
struct operations_of {
    static constexpr unsigned total = (All::weight + ...);

    // Draws until one has something to do.
    static std::string_view operate(world& w) {
        for (;;) {
            std::uint64_t drawn = w.around_.random.workload.pick(total);
            std::string_view done;
            (void)(try_one<All>(w, drawn, done) || ...);
            if (!done.empty()) return done;
        }
    }

private:
    template <operation One>
    static bool try_one(world& w, std::uint64_t& drawn, std::string_view& done) {
        if (drawn >= One::weight) {
            drawn -= One::weight;
            return false;
        }
        if (const auto in = One::make(w)) {
            One::apply(w, *in);
            done = One::name;
        }
        return true;
    }
};

using all_operations =
    operations_of<op_publish, op_whisper, op_request, op_say, op_straight, op_consume, op_leave, op_flood, op_poison>;

}  // namespace

std::string_view operate(world& w) {
    return all_operations::operate(w);
}

std::string make_body(world& w, std::int64_t number, std::string_view to, std::string_view more) {
    rng& random = w.around_.random.workload;
    std::string out = "{\"n\":" + std::to_string(number);
    if (!to.empty()) {
        out += ",\"to\":\"" + std::string(to) +
               "\",\"octets\":" + std::to_string(random.pick(w.around_.with.body_bytes_max));
        if (random.chance(300)) out += ",\"topic\":\"" + w.any_topic() + "\"";
    }
    out += more;
    return out + ",\"pad\":\"" + std::string(random.pick(w.around_.with.body_bytes_max / 4 + 1), 'p') + "\"}";
}

}  // namespace foz::sim
