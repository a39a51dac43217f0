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
      prefix_(around.random.clients.token(96) + "-") {}

duration plugin_client::first_pause() {
    return around_.random.clients.between(std::chrono::milliseconds(200), std::chrono::milliseconds(500));
}

plugin_client::message* plugin_client::find(const std::string& id) {
    const auto at = std::ranges::find(outbox_, id, &message::id);
    return at == outbox_.end() ? nullptr : &*at;
}

// --- Sending.

// While a channel pauses, what is published on it waits behind what was refused.
void plugin_client::send(message& entry) {
    const auto paused = pauses_.find(entry.channel);
    if (!connected() || (paused != pauses_.end() && paused->second.waits)) return;
    entry.sent = true;
    write(entry.frame);
}

void plugin_client::send_unsent(std::optional<std::size_t> channel) {
    for (message& one : outbox_)
        if (!one.sent && (!channel || one.channel == *channel)) send(one);
}

duration plugin_client::growing_pause(unsigned failures) {
    const auto first = around_.random.clients.between(std::chrono::milliseconds(500), std::chrono::milliseconds(1'000));
    return std::min<duration>(std::chrono::seconds(10), duration(first) * (1 << std::min(failures, 16U)));
}

void plugin_client::pause_channel(std::size_t channel, const heard& why) {
    pause& of = pauses_[channel];
    if (of.waits) return;
    of.waits = true;
    const duration span =
        why.retry_after_ms ? duration(std::chrono::milliseconds(*why.retry_after_ms)) : growing_pause(of.failures);
    ++of.failures;
    after(span, [this, channel, id = why.id, socket = sockets_] {
        if (socket != sockets_) return;
        note("timer", id);
        pauses_[channel].waits = false;
        send_unsent(channel);
    });
}

void plugin_client::publish(const publish_wish& what) {
    const std::string id = next_id();
    std::string frame = R"({"packet_action":"publish","channel":)" + json_string(channel_name(what.channel)) +
                        ",\"id\":" + json_string(id) + (what.answer ? R"(,"ack":"answer")" : R"(,"ack":"confirmed")");
    if (!what.topic.empty()) frame += ",\"topic\":" + json_string(what.topic);
    frame += what.more + ",\"message\":" + what.message + "}";
    oracle_.submits(*this, what, id);
    note("publish", frame);
    outbox_.push_back({id, std::move(frame), what.number, what.channel});
    send(outbox_.back());
}

std::optional<plugin_client::message> plugin_client::settle(const std::string& id) {
    const auto at = std::ranges::find(outbox_, id, &message::id);
    if (at == outbox_.end()) return std::nullopt;
    message settled = std::move(*at);
    outbox_.erase(at);
    return settled;
}

// --- Consuming.

plugin_client::consumed* plugin_client::state_of(std::size_t channel) {
    const auto at = std::ranges::find(channels_, channel, &std::pair<std::size_t, consumed>::first);
    return at == channels_.end() ? nullptr : &at->second;
}

bool plugin_client::is_asked(std::size_t channel) const {
    return std::ranges::any_of(
        consuming_, [channel](const pending_consume& one) { return one.channel == channel && one.asks.has_value(); });
}

void plugin_client::forget_unless_wanted(std::size_t channel) {
    const consumed* const of = state_of(channel);
    if (!of || of->granted || is_asked(channel)) return;
    std::erase_if(channels_, [channel](const auto& one) { return one.first == channel; });
}

void plugin_client::say_consume(pending_consume pending) {
    pending.id = next_id();
    consuming_.push_back(pending);
    // Until the welcome has come, the own name is not known; what comes after it asks for everything anyway.
    if (!connected()) return;
    const consumed& of = *state_of(pending.channel);
    aggregator::interest what;
    if (of.granted) add(what, *of.granted);
    if (pending.asks) add(what, *pending.asks);
    oracle_.asks_to_hear(*this, pending.channel, what, of.position.empty(), pending.id);
    write(consume_frame(channel_name(pending.channel), pending.id, what, me_, of.position));
}

void plugin_client::consume(std::size_t channel, const aggregator::interest& what) {
    if (!state_of(channel)) channels_.push_back({channel, {}});
    note("consume", consume_frame(channel_name(channel), "", what, "me", ""));
    say_consume({.id = {}, .channel = channel, .asks = what, .asked = {what}, .again = false});
}

void plugin_client::consume_again(std::size_t channel, std::optional<std::string> instead_of) {
    pending_consume sum{.id = {}, .channel = channel, .asks = {}, .asked = {}, .again = true};
    std::erase_if(consuming_, [&](const pending_consume& one) {
        if (one.channel != channel || (instead_of && one.id != *instead_of)) return false;
        if (one.asks && !sum.asks) sum.asks.emplace();
        if (one.asks) add(*sum.asks, *one.asks);
        sum.asked.insert(sum.asked.end(), one.asked.begin(), one.asked.end());
        return true;
    });
    say_consume(std::move(sum));
}

void plugin_client::leave(std::size_t channel) {
    if (!state_of(channel)) return;
    for (pending_consume& one : consuming_)
        if (one.channel == channel) one.asks.reset();
    std::erase_if(channels_, [channel](const auto& one) { return one.first == channel; });
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
        if (const auto one = settle(frame.id)) {
            pauses_[one->channel].failures = 0;
            oracle_.gets_receipt(*this, one->number);
        }
    } else if (frame.event == "answer") {
        if (const auto one = settle(frame.id)) {
            pauses_[one->channel].failures = 0;
            oracle_.gets_answer(*this, one->number, frame);
        }
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
    for (std::size_t i = 0; i < channels_.size(); ++i) consume_again(channels_[i].first, {});
    std::erase_if(consuming_, [this](const pending_consume& one) { return !state_of(one.channel); });
    send_unsent({});
}

void plugin_client::on_lost() {
    held_ = true;
    ++sockets_;
    pauses_.clear();
    for (message& one : outbox_) one.sent = false;
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
    if (const auto at = std::ranges::find(consuming_, frame.id, &pending_consume::id); at != consuming_.end()) {
        if (consumed* const of = state_of(at->channel)) {
            of->failures = 0;
            if (at->asks && !of->granted) of->granted.emplace();
            if (at->asks) add(*of->granted, *at->asks);
        }
        consuming_.erase(at);
    }
    oracle_.gets_consuming(*this, frame);
}

void plugin_client::ask_later(std::size_t channel, const aggregator::interest& what) {
    after(std::chrono::seconds(1), [this, channel, what] { consume(channel, what); });
}

bool plugin_client::on_consume_error(const heard& frame) {
    const auto at = std::ranges::find(consuming_, frame.id, &pending_consume::id);
    if (frame.id.empty() || at == consuming_.end()) return false;
    const std::size_t channel = at->channel;
    consumed* const of = state_of(channel);
    oracle_.fails(*this, 0, frame);
    // What was heard before the reconnect is wanted, whatever it takes.
    if (at->again && frame.retryable && of) {
        const duration span = frame.retry_after_ms ? duration(std::chrono::milliseconds(*frame.retry_after_ms))
                                                   : growing_pause(of->failures++);
        after(span, [this, channel, id = frame.id, socket = sockets_, number = at->retry = ++retries_] {
            const auto still = std::ranges::find(consuming_, id, &pending_consume::id);
            if (socket != sockets_ || still == consuming_.end() || still->retry != number) return;
            note("timer", id);
            if (!connected()) return;
            const consumed* const now = state_of(channel);
            if (now && (now->granted || still->asks)) return consume_again(channel, id);
            consuming_.erase(still);  // its page has left it
        });
        return true;
    }
    const pending_consume pending = std::move(*at);
    consuming_.erase(at);
    if (!of) return true;
    // Its page asks again for what it asked for.
    if (frame.retryable)
        for (const aggregator::interest& wanted : pending.asked) ask_later(channel, wanted);
    if (pending.again && pending.asked.empty()) {
        of->granted.reset();
    } else if (pending.again && of->granted) {
        consume_again(channel, "");
    }
    forget_unless_wanted(channel);
    return true;
}

void plugin_client::on_error(const heard& frame) {
    if (on_consume_error(frame)) return;
    if (message* const one = frame.id.empty() ? nullptr : find(frame.id); one && again(frame.code)) {
        oracle_.must_try_again(*this, one->number);
        one->sent = false;
        return pause_channel(one->channel, frame);
    }
    if (const auto one = settle(frame.id)) oracle_.fails(*this, one->number, frame);
}

}  // namespace foz::sim
