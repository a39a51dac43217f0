#include "clients/plugin.hpp"

#include "base/json.hpp"
#include "oracle/oracle.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace foz::sim {
namespace {

// Errors after which the same message may simply be sent again.
bool again(std::string_view code) {
    return code == "unavailable" || code == "unknown" || code == "overloaded";
}

}  // namespace

plugin_client::plugin_client(environment& around, oracle& judge, std::vector<aggregator_process*> to, unsigned index,
                             std::string identity)
    : client(around, judge, std::move(to), index, std::move(identity)),
      prefix_(around.random.clients.token(96) + "-"),
      pause_(around.random.clients.between(std::chrono::milliseconds(200), std::chrono::milliseconds(500))) {}

plugin_client::message* plugin_client::find(const std::string& id) {
    const auto at = std::ranges::find(outbox_, id, &message::id);
    return at == outbox_.end() ? nullptr : &*at;
}

// --- Sending.

void plugin_client::send(const std::string& id) {
    const message* const entry = find(id);
    if (entry && connected()) write(entry->frame);
}

void plugin_client::publish(const publish_wish& what) {
    const std::string id = next_id();
    std::string frame = R"({"packet_action":"publish","channel":)" + json_string(channel_name(what.channel)) +
                        ",\"id\":" + json_string(id) + (what.answer ? R"(,"ack":"answer")" : R"(,"ack":"confirmed")");
    if (!what.topic.empty()) frame += ",\"topic\":" + json_string(what.topic);
    frame += what.more + ",\"message\":" + what.message + "}";
    oracle_.submits(*this, what, id);
    note("publish", frame);
    outbox_.push_back({id, std::move(frame), what.number});
    send(id);
}

std::optional<plugin_client::message> plugin_client::settle(const std::string& id) {
    const auto at = std::ranges::find(outbox_, id, &message::id);
    if (at == outbox_.end()) return std::nullopt;
    message settled = std::move(*at);
    outbox_.erase(at);
    return settled;
}

// --- Consuming.

void plugin_client::say_consume(std::size_t channel, const std::string& id) {
    const auto at = std::ranges::find(channels_, channel, &std::pair<std::size_t, consumed>::first);
    const bool resumes = !at->second.position.empty();
    oracle_.asks_to_hear(*this, channel, at->second.what, !resumes, id);
    write(consume_frame(channel_name(channel), id, at->second.what, me_, at->second.position));
}

void plugin_client::consume(std::size_t channel, const aggregator::interest& what) {
    auto at = std::ranges::find(channels_, channel, &std::pair<std::size_t, consumed>::first);
    std::optional<consumed> before;
    if (at == channels_.end()) {
        channels_.push_back({channel, {}});
        at = std::prev(channels_.end());
    } else {
        before = at->second;
    }
    note("consume", consume_frame(channel_name(channel), "", what, "me", ""));
    add(at->second.what, what);
    const std::string id = next_id();
    at->second.last = what;
    consuming_[id] = {channel, std::move(before), what};
    // Until the welcome has come, the own name is not known; the open that follows asks for everything anyway.
    if (connected() && !me_.empty()) say_consume(channel, id);
}

// After each open: one consume for each channel, which carries everybody who waits for it.
void plugin_client::consume_again() {
    for (std::size_t i = 0; i < channels_.size(); ++i) {
        const std::size_t channel = channels_[i].first;
        std::erase_if(consuming_, [channel](const auto& one) { return one.second.channel == channel; });
        const std::string id = next_id();
        consuming_[id] = {channel, std::nullopt, std::nullopt};
        say_consume(channel, id);
    }
}

void plugin_client::leave(std::size_t channel) {
    if (std::erase_if(channels_, [channel](const auto& one) { return one.first == channel; }) == 0) return;
    note("leave", "{\"channel\":" + json_string(channel_name(channel)) + "}");
    oracle_.leaves(*this, channel, connected());
    if (connected()) write(R"({"packet_action":"leave","channel":)" + json_string(channel_name(channel)) + "}");
}

// --- Hearing.

void plugin_client::remember(const heard& frame) {
    const auto channel = channel_of(frame.channel);
    if (!channel || frame.position.empty()) return;
    const auto at = std::ranges::find(channels_, *channel, &std::pair<std::size_t, consumed>::first);
    if (at != channels_.end()) at->second.position = frame.position;
}

void plugin_client::on_heard(const heard& frame) {
    if (frame.event == "welcome") {
        on_welcome(frame);
    } else if (frame.event == "message") {
        take_message(frame);
    } else if (frame.event == "consuming") {
        on_consuming(frame);
    } else if (frame.event == "receipt") {
        if (const auto one = settle(frame.id)) oracle_.gets_receipt(*this, one->number);
    } else if (frame.event == "answer") {
        if (const auto one = settle(frame.id)) oracle_.gets_answer(*this, one->number, frame);
    } else if (frame.event == "error") {
        on_error(frame);
    } else if (frame.event == "position") {
        remember(frame);
        oracle_.gets_position(*this, frame);
    } else if (frame.event == "gap") {
        if (frame.cause != "retention") remember(frame);
        oracle_.gets_gap(*this, frame);
    }
}

void plugin_client::on_welcome(const heard& frame) {
    me_ = frame.client;
    held_ = false;
    consume_again();
    std::vector<std::string> ids;
    for (const message& one : outbox_) ids.push_back(one.id);
    for (const std::string& id : ids) send(id);
}

void plugin_client::take_message(const heard& frame) {
    remember(frame);
    bool fresh = true;
    if (!frame.id.empty()) {
        fresh = seen_.insert(frame.id).second;
        if (fresh) {
            seen_order_.push_back(frame.id);
            if (seen_order_.size() > seen_max) {
                seen_.erase(seen_order_.front());
                seen_order_.pop_front();
            }
        }
    }
    oracle_.gets_message(*this, frame, fresh);
}

void plugin_client::on_consuming(const heard& frame) {
    for (const heard::consumed& one : frame.consuming) {
        const auto channel = channel_of(one.channel);
        const auto at = channel ? std::ranges::find(channels_, *channel, &std::pair<std::size_t, consumed>::first)
                                : channels_.end();
        if (at != channels_.end() && at->second.position.empty()) at->second.position = one.position;
    }
    consuming_.erase(frame.id);
    oracle_.gets_consuming(*this, frame);
}

void plugin_client::ask_later(std::size_t channel, const aggregator::interest& what) {
    after(std::chrono::seconds(1), [this, channel, what] { consume(channel, what); });
}

void plugin_client::on_error(const heard& frame) {
    if (const auto at = consuming_.find(frame.id); at != consuming_.end()) {
        const pending_consume pending = at->second;
        consuming_.erase(at);
        const auto of = std::ranges::find(channels_, pending.channel, &std::pair<std::size_t, consumed>::first);
        if (of != channels_.end()) {
            // Its page asks again for what it asked for.
            const aggregator::interest wanted = pending.asked.value_or(of->second.last);
            if (pending.before) {
                of->second = *pending.before;
            } else if (!frame.retryable) {
                channels_.erase(of);
            }
            if (frame.retryable) ask_later(pending.channel, wanted);
        }
        return oracle_.fails(*this, 0, frame);
    }
    if (message* const one = frame.id.empty() ? nullptr : find(frame.id); one && again(frame.code)) {
        oracle_.must_try_again(*this, one->number);
        const duration pause = frame.retry_after_ms ? duration(std::chrono::milliseconds(*frame.retry_after_ms))
                                                    : around_.random.clients.between(std::chrono::milliseconds(500),
                                                                                     std::chrono::milliseconds(1'000));
        after(pause, [this, id = frame.id] {
            note("timer", id);
            send(id);
        });
        return;
    }
    if (const auto one = settle(frame.id)) oracle_.fails(*this, one->number, frame);
}

}  // namespace foz::sim
