#include "clients/stock.hpp"

#include "base/json.hpp"
#include "oracle/oracle.hpp"

#include <algorithm>
#include <utility>

namespace foz::sim {

handshake stock_client::greeting() {
    greeted_.clear();
    if (in_query_)
        for (const auto& [channel, what] : wanted_)
            if (what == aggregator::interest::everything()) greeted_.push_back(channel);
    return {.client = identity(), .consume_at_open = greeted_, .hello = false};
}

// What its page has changed since the handshake began is said now.
void stock_client::on_opened() {
    for (const std::size_t channel : greeted_)
        oracle_.asks_to_hear(*this, channel, aggregator::interest::everything(), true, "");
    for (const std::size_t channel : greeted_)
        if (!wanted_.contains(channel)) say_leave(channel);
    for (const auto& [channel, what] : wanted_) {
        const bool greeted = std::ranges::find(greeted_, channel) != greeted_.end();
        if (!greeted || what != aggregator::interest::everything()) say_consume(channel);
    }
}

void stock_client::say_consume(std::size_t channel) {
    // Unlike that of another page of this client.
    const std::string id = "k" + std::to_string(index()) + "." + std::to_string(++consumes_);
    oracle_.asks_to_hear(*this, channel, wanted_.at(channel), true, id);
    write(consume_frame(channel_name(channel), id, wanted_.at(channel), identity(), ""));
}

void stock_client::consume(std::size_t channel, const aggregator::interest& what) {
    const bool fresh = wanted_.emplace(channel, what).second;
    if (!fresh) return;
    if (open()) say_consume(channel);
}

void stock_client::leave(std::size_t channel) {
    if (wanted_.erase(channel) > 0 && open()) say_leave(channel);
}

void stock_client::say_leave(std::size_t channel) {
    oracle_.leaves(*this, channel, true);
    write(R"({"packet_action":"leave","channel":)" + json_string(channel_name(channel)) + "}");
}

void stock_client::publish(const publish_wish& what) {
    const std::string id = what.with_id ? "m" + std::to_string(what.number) : std::string();
    std::string frame = R"({"packet_action":"publish","channel":)" + json_string(channel_name(what.channel));
    if (!id.empty()) frame += ",\"id\":" + json_string(id);
    if (!what.topic.empty()) frame += ",\"topic\":" + json_string(what.topic);
    frame += what.more + ",\"message\":" + what.message + "}";
    oracle_.submits(*this, what, id);
    if (what.answer) {
        const std::string request = "r" + std::to_string(what.number);
        callbacks_[request] = what.number;
        frame = R"({"plugin":"primus-responder","requestId":)" + json_string(request) + ",\"data\":" + frame + "}";
    }
    write(std::move(frame));
}

void stock_client::on_heard(const heard& frame) {
    if (!frame.response_id.empty()) {
        const auto at = callbacks_.find(frame.response_id);
        if (at == callbacks_.end()) return;  // an unknown responseId is ignored
        const std::int64_t number = at->second;
        callbacks_.erase(at);
        if (frame.event == "error") return oracle_.fails(*this, number, frame);
        return oracle_.gets_answer(*this, number, frame);
    }
    if (frame.event == "message") {
        oracle_.gets_message(*this, frame, true);
    } else if (frame.event == "consuming") {
        oracle_.gets_consuming(*this, frame);
    } else if (frame.event == "position") {
        oracle_.gets_position(*this, frame);
    } else if (frame.event == "gap") {
        oracle_.gets_gap(*this, frame);
    } else if (frame.event == "receipt") {
        if (!frame.id.empty()) oracle_.gets_receipt(*this, oracle_.number_of(*this, frame.id));
    } else if (frame.event == "error") {
        oracle_.fails(*this, frame.id.empty() ? 0 : oracle_.number_of(*this, frame.id), frame);
        // The page looks at its consume again.
        if (frame.code == "no_service" || frame.code == "unavailable" || frame.code == "overloaded" ||
            frame.code == "timeout" || frame.code == "interrupted")
            after(std::chrono::seconds(1), [this, session = session()] {
                if (!open() || session != this->session()) return;
                for (const auto& [channel, what] : wanted_)
                    if (!oracle_.hears(*this, channel)) say_consume(channel);
            });
    }
}

}  // namespace foz::sim
