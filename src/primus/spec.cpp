#include "primus/spec.hpp"

#include "base/json.hpp"

namespace foz::primus {

std::string spec_json(const spec_options& options) {
    std::string out = "{\"pingInterval\":";
    out += std::to_string(options.ping_interval.count());
    out += ",\"pathname\":";
    append_json_string(out, options.pathname);
    out += ",\"version\":";
    append_json_string(out, version);
    out += ",\"parser\":\"json\",\"transformer\":\"websockets\"}";
    return out;
}

}  // namespace foz::primus
