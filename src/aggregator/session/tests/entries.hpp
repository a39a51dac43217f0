// Entries as a reader makes them, for tests.
#pragma once

#include "aggregator/session/tests/hub_fixture.hpp"
#include "ws/codec/writer.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace foz::aggregator::test {

inline shared_octets frame_of(std::string_view json) {
    std::string frame;
    ws::append_frame(frame, ws::opcode::text, json);
    return std::make_shared<const std::string>(frame);
}

// One entry with one route.
struct said {
    std::size_t channel = 0;
    std::uint64_t offset = 0;  // 0: of a volatile channel
    envelope::via how = envelope::via::broadcast;
    std::vector<std::string> to = {};
    std::string body = "0";

    entry_ref make() const {
        auto made = std::make_shared<entry>();
        made->channel = channel;
        made->durable = offset != 0;
        if (offset != 0) made->where = place_of(offset);
        std::string json;
        envelope::append(json, envelope::message_event{.channel = channel == 0 ? "chat" : "voice",
                                                       .how = how,
                                                       .group = to.empty() ? std::string_view() : to.front(),
                                                       .where = made->where,
                                                       .message = body});
        made->routes.push_back({how, to, frame_of(json)});
        return made;
    }
};

inline entry_ref numbered(std::uint64_t offset) {
    return said{.offset = offset, .body = std::to_string(offset)}.make();
}

inline entry_ref answer_to(const amqp::publication& request, std::string body = "\"yes\"",
                           entry_answer::kind what = entry_answer::kind::answer) {
    auto made = std::make_shared<entry>();
    made->answer = entry_answer{.to = *contract::parse_correlation(*request.properties.correlation_id),
                                .what = what,
                                .body = std::move(body),
                                .deadline = {}};
    return made;
}

inline std::string from_position(std::uint64_t offset) {
    return R"({"packet_action":"consume","channel":"chat","from":")" + envelope::to_string(place_of(offset)) + R"("})";
}

}  // namespace foz::aggregator::test
