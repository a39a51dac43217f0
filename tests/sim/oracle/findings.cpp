#include "oracle/findings.hpp"

namespace foz::sim {

std::string_view to_string(invariant which) noexcept {
    switch (which) {
        case invariant::lost:
            return "lost";
        case invariant::repeated:
            return "repeated";
        case invariant::out_of_order:
            return "out of order";
        case invariant::gap_not_told:
            return "gap not told";
        case invariant::false_gap:
            return "gap told without one";
        case invariant::position_not_told:
            return "position not told";
        case invariant::answered:
            return "not answered";
        case invariant::acknowledged:
            return "acknowledged too early";
        case invariant::silence:
            return "silence";
        case invariant::bounded:
            return "not bounded";
        case invariant::fair:
            return "not fair";
        case invariant::publishing:
            return "published again";
        case invariant::protocol:
            return "protocol";
        case invariant::determinism:
            return "not deterministic";
        case invariant::livelock:
            return "an instant without end";
    }
    return {};
}

}  // namespace foz::sim
