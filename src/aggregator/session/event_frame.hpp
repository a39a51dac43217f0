// An event as a WebSocket frame that many sockets share.
#pragma once

#include "base/frame.hpp"
#include "envelope/events.hpp"
#include "ws/codec/writer.hpp"

#include <string>

namespace foz::aggregator {

template <class Event>
frame_ref event_frame(const Event& event) {
    std::string json, frame;
    envelope::append(json, event);
    ws::append_frame(frame, ws::opcode::text, json);
    return frame_ref::copy(frame);
}

}  // namespace foz::aggregator
