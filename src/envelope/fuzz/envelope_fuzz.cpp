// Whatever the octets are: nothing is read beyond the padding; from JSON comes an envelope within its limits, with a
// message that is JSON, or an error that can be sent.
#include "base/json.hpp"
#include "base/utf8.hpp"
#include "envelope/envelope.hpp"
#include "envelope/events.hpp"
#include "envelope/topic.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace {

using namespace foz::envelope;

void require(bool condition) {
    if (!condition) std::abort();
}

void check(const envelope& e) {
    require(e.channels.size() <= channels_max && e.from.size() <= channels_max);
    require(e.to.multicast.size() + e.to.direct.size() <= receivers_max);
    require(e.consume_target.size() <= consume_targets_max && e.warnings.size() <= warnings_max);
    require(e.id.size() <= id_bytes_max && e.type.size() <= type_bytes_max && e.token.size() <= token_bytes_max);
    require(e.topic.empty() || !check_topic(e.topic));
    for (const auto pattern : e.consume_target) {
        require(!check_pattern(pattern));
        (void)matches(pattern, e.topic);
    }
    for (const auto& each : e.from)
        require(each.from.what != resume_from::kind::at ||
                parse_position(to_string(each.from.where)) == each.from.where);
    require(foz::is_json(e.message));

    std::string out;
    append(out, message_event{.channel = "c", .topic = e.topic, .type = e.type, .id = e.id, .message = e.message});
    require(foz::is_json(out));
    out.clear();
    const consuming_channel channel{.name = "c", .topics = e.consume_target, .groups = e.to.multicast};
    append(out, consuming_event{.id = e.id, .channels = {&channel, 1}, .warnings = e.warnings});
    require(foz::is_json(out));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static parser reused;
    // Exactly the padding that is promised, on the heap, so that a sanitizer sees every read beyond it.
    std::vector<char> padded(size + 64);
    std::copy_n(data, size, padded.begin());
    const std::string_view octets(padded.data(), size);
    const bool json = foz::is_json(octets);
    const auto found = reused.parse(octets);
    if (!found) {
        require(foz::is_utf8(found.error().text) && foz::is_utf8(found.error().field));
        std::string out;
        append(out,
               error_event{.code = found.error().code, .message = found.error().text, .field = found.error().field});
        require(foz::is_json(out));
    } else if (json) {
        check(**found);
    }
    return 0;
}
