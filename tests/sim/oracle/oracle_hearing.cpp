// What clients hear: nothing is left out, nothing comes twice, everything in its order, and gaps are told.
#include "amqp/codec/property_view.hpp"
#include "clients/client.hpp"
#include "contract/names.hpp"
#include "contract/receivers.hpp"
#include "envelope/topic.hpp"
#include "oracle/oracle.hpp"

#include <algorithm>

namespace foz::sim {

void address(stream_entry& made, const std::string& channel, std::string_view routing_key,
             const amqp::basic_properties& properties) {
    if (routing_key.starts_with(channel + ".")) made.topic = routing_key.substr(channel.size() + 1);
    made.expires = properties.expiration.has_value();
    if (!properties.headers) return;
    const amqp::table& headers = *properties.headers;
    if (const auto* const all = headers.find(contract::header_broadcast))
        made.broadcast = amqp::as_bool(all).value_or(false);
    made.groups =
        contract::parse_receivers(headers.find(contract::header_multicast)).value_or(std::vector<std::string>());
    made.receivers =
        contract::parse_receivers(headers.find(contract::header_direct)).value_or(std::vector<std::string>());
    made.addressed = made.broadcast || !made.groups.empty() || !made.receivers.empty();
}

void oracle::on_entry(const std::string& name, unsigned generation, std::uint64_t offset,
                      const broker::message_ref& what) {
    std::size_t channel = 0;
    while (around_.with.channels[channel].out_queue() != name) ++channel;
    stream_state& stream = streams_[channel];
    while (stream.generations.size() <= generation) {
        // What was said in the stream before, and is said again in this one, is known to those who read both.
        stream.generations.push_back(stream.entries.size());
        stream.first_kept = 0;
    }
    const auto properties = amqp::decode_properties(what->properties());
    stream_entry made{.generation = generation, .offset = offset, .at = around_.time.now()};
    made.id = properties.message_id.value_or("");
    made.check = envelope::check_of(made.id, what->body());
    address(made, around_.with.channels[channel].name, what->routing_key(), properties);
    made.too_large = what->body().size() > around_.with.stream_message_bytes_max;
    if (made.addressed && !made.id.empty()) {
        const auto [at, fresh] = stream.first_by_id.emplace(made.id, stream.entries.size());
        if (!fresh) made.first = at->second;
    }
    if (made.id.ends_with("/reply")) answer_appears(what->body(), stream.entries.size());
    around_.log.mix(made.check);
    around_.log.say("stream", "{} {}.{} is {} (check {:08x})", name, generation, offset, made.id, made.check);
    for (const std::size_t begin : stream.generations) {
        const std::size_t at = begin + offset;
        if (at >= stream.entries.size() || stream.entries[at].generation == generation) continue;
        if (stream.entries[at].offset == offset && stream.entries[at].check == made.check) stream.alike = true;
    }
    stream.entries.push_back(std::move(made));
}

std::uint64_t oracle::entries() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& one : streams_) sum += one.entries.size();
    return sum;
}

std::size_t oracle::index_of(std::size_t channel, const place& at) const {
    return streams_[channel].generations[at.generation] + at.offset;
}

std::optional<oracle::place> oracle::resolve(std::size_t channel, const std::string& position,
                                             std::size_t* index) const {
    const auto read = envelope::parse_position(position);
    if (!read) return std::nullopt;
    const stream_state& stream = streams_[channel];
    for (std::size_t generation = stream.generations.size(); generation-- > 0;) {
        const std::size_t at = stream.generations[generation] + read->offset;
        if (at >= stream.entries.size() || stream.entries[at].generation != generation) continue;
        if (stream.entries[at].check != read->check) continue;
        if (index) *index = at;
        return place{static_cast<unsigned>(generation), read->offset};
    }
    return std::nullopt;
}

bool oracle::wants(const client& who, const aggregator::interest& what, const stream_entry& entry) const {
    if (what.direct)
        for (const std::string& receiver : entry.receivers)
            if (receiver == who.identity()) return true;
    const bool topic = what.all_topics || std::ranges::any_of(what.topics, [&](const std::string& pattern) {
                           return envelope::matches(pattern, entry.topic);
                       });
    if (!topic) return false;
    for (const std::string& group : entry.groups)
        if (what.groups.contains(group) || (what.own_name && group == who.identity())) return true;
    return entry.broadcast && what.broadcast;
}

bool oracle::must_hear(const client& who, std::size_t channel, const listening& state, const stream_entry& entry,
                       std::size_t index) const {
    if (!entry.addressed || entry.expires || entry.first) return false;
    (void)channel, (void)index;
    return wants(who, state.wanted, entry);
}

oracle::listening* oracle::listening_of(const client& who, const std::string& name, std::size_t& index) {
    for (index = 0; index < around_.with.channels.size(); ++index)
        if (around_.with.channels[index].name == name) return &listeners_[who.index()].channels[index];
    found_.add(invariant::protocol, "{} hears of a channel {}", who.name(), name);
    return nullptr;
}

unsigned oracle::who_index(const client& who) {
    return who.index();
}

void oracle::session_begins(client& who) {
    if (listeners_.size() <= who.index()) listeners_.resize(who.index() + 1);
    listener& one = listeners_[who.index()];
    one.channels.resize(around_.with.channels.size());
    one.heard_at = around_.time.now();
    one.leaving.clear();
    one.handshake_awaited = false;
    for (listening& state : one.channels) {
        state.active = state.may_go_back = false;
        state.asks.clear();
        state.wanted = {};
        state.sequence = state.certain = 0;
        state.untold.reset();
    }
}

void oracle::session_ends(client& who) {
    listener& one = listeners_[who.index()];
    one.left_at = one.heard_at;
    for (listening& state : one.channels) {
        state.was_live = state.active && state.live;
        state.active = state.live = false;
        state.asks.clear();
    }
    if (who.plugin()) return;
    // It may be on its way through the aggregator that was left, and come after what is sent on the next one.
    for (auto& [number, sent] : inbound_)
        if (sent.client == who.index() && !sent.receipt && !sent.answered && !sent.failed) sent.unknown = true;
}

void oracle::asks_to_hear(client& who, std::size_t channel, const aggregator::interest& what, bool fresh,
                          const std::string& id) {
    listening& state = listeners_[who.index()].channels[channel];
    const bool there = state.is_there();
    state.asks.push_back({.id = id, .what = what, .resumes = !fresh});
    if (id.empty()) listeners_[who.index()].handshake_awaited = true;
    if (!fresh) state.live = false;
    // What is asked twice before it is answered may begin twice, each time where it says.
    if (there) {
        state.may_go_back = state.may_go_back || !fresh;
    } else if (fresh) {
        state.at.reset();
        state.furthest.reset();
        state.gap_open = false;
    }
}

void oracle::leaves(client& who, std::size_t channel, bool told) {
    if (listeners_.size() <= who.index() || listeners_[who.index()].channels.empty()) return;
    listeners_[who.index()].channels[channel] = {};
    if (told) listeners_[who.index()].leaving.push_back(channel);
}

bool oracle::is_leaving(const client& who, std::size_t channel) const {
    return std::ranges::find(listeners_[who.index()].leaving, channel) != listeners_[who.index()].leaving.end();
}

bool oracle::hears(const client& who, std::size_t channel) const {
    return who.index() < listeners_.size() && !listeners_[who.index()].channels.empty() &&
           listeners_[who.index()].channels[channel].active;
}

void oracle::gets_consuming(client& who, const heard& frame) {
    listener& self = listeners_[who.index()];
    if (frame.id.empty() && !std::exchange(self.handshake_awaited, false)) {
        if (!self.leaving.empty()) self.leaving.pop_front();
        return;
    }
    for (const heard::consumed& one : frame.consuming) {
        std::size_t channel = 0;
        listening* const state = listening_of(who, one.channel, channel);
        if (!state) continue;
        const auto answered = std::ranges::find(state->asks, frame.id, &ask::id);
        if (answered == state->asks.end()) continue;
        const ask asked = std::move(*answered);
        state->asks.erase(answered);
        const auto said = resolve(channel, one.position);
        if (!one.position.empty() && !said)
            found_.add(invariant::protocol, "{} is told the position {} on {}, which is nowhere", who.name(),
                       one.position, one.channel);
        // Who says where to go on has heard everything up to there. While it hears, it is for it to say: it may have
        // asked twice before the first one was answered, and the last one counts.
        if (!state->active && asked.resumes) state->at = state->furthest;
        const bool ahead = state->at && said && *said > *state->at;
        if (ahead && state->active != asked.resumes) check_hole(who, channel, *state, *said, true);
        if (said && (ahead || !state->at || state->may_go_back || asked.resumes)) state->is_at(*said);
        add(state->wanted, asked.what);
        if (asked.resumes) state->resumed_from = state->at;
        if (!state->active && !asked.resumes) state->live = true;
        state->active = true;
        state->may_go_back = state->asks_to_go_back();
    }
}

void oracle::refuse_consume(client& who, const heard& frame) {
    if (frame.id.empty() || listeners_.size() <= who.index()) return;
    for (listening& state : listeners_[who.index()].channels)
        if (std::erase_if(state.asks, [&](const ask& one) { return one.id == frame.id; }) > 0)
            state.may_go_back = state.asks_to_go_back();
}

void oracle::check_hole(client& who, std::size_t channel, listening& state, const place& to, bool inclusive) {
    const stream_state& stream = streams_[channel];
    if (state.gap_open || !state.at || stream.alike) return;
    if (to.generation != state.at->generation)
        return found_.add(invariant::gap_not_told, "{} goes from one stream of {} to another and is not told",
                          who.name(), around_.with.channels[channel].name);
    const std::size_t end = index_of(channel, to) + (inclusive ? 1 : 0);
    for (std::size_t i = index_of(channel, *state.at) + 1; i < end; ++i) {
        const stream_entry& entry = stream.entries[i];
        found_.compared(invariant::lost);
        if (!must_hear(who, channel, state, entry, i)) continue;
        found_.add(entry.too_large ? invariant::gap_not_told : invariant::lost,
                   "{} ({}) does not hear {} at {}.{} of {}: it was at {}.{} and is told {}.{}", who.name(),
                   who.plugin() ? "plugin" : "stock", entry.id, entry.generation, entry.offset,
                   around_.with.channels[channel].name, state.at->generation, state.at->offset, to.generation,
                   to.offset);
    }
}

void oracle::gets_message(client& who, const heard& frame, bool to_page) {
    std::size_t channel = 0;
    listening* const state = listening_of(who, frame.channel, channel);
    if (!state || !state->is_there()) return;  // it has left
    ++messages_;
    if (!durable(channel)) return hears_volatile(who, channel, *state, frame);
    std::size_t index = 0;
    const auto at = resolve(channel, frame.position, &index);
    if (!at)
        return found_.add(invariant::protocol, "{} hears {} at {}, which is nowhere", who.name(), frame.id,
                          frame.position);
    if (streams_[channel].alike) return;
    if (is_leaving(who, channel)) return check_repetition(who, channel, index, frame, to_page);
    const stream_entry& entry = streams_[channel].entries[index];
    found_.compared(invariant::out_of_order);
    const bool asked = std::ranges::any_of(state->asks, [&](const ask& one) { return wants(who, one.what, entry); });
    if (!asked && !wants(who, state->wanted, entry))
        found_.add(invariant::protocol, "{} hears {} on {}, which is not for it", who.name(), frame.id, frame.channel);
    if (state->at && *at <= *state->at && !state->may_go_back && !state->gap_open)
        found_.add(invariant::out_of_order, "{} hears {} at {}.{} of {} when it has heard everything up to {}.{}",
                   who.name(), frame.id, at->generation, at->offset, frame.channel, state->at->generation,
                   state->at->offset);
    check_repetition(who, channel, index, frame, to_page);
    if (state->at && *at > *state->at) check_hole(who, channel, *state, *at, false);
    if (!state->may_go_back || !state->at || *at > *state->at) state->is_at(*at);
    state->gap_open = false;
}

void oracle::check_repetition(client& who, std::size_t channel, std::size_t index, const heard& frame, bool to_page) {
    if (!to_page || frame.id.empty()) return;
    found_.compared(invariant::repeated);
    const auto [at, fresh] = listeners_[who.index()].page_ids.emplace(std::to_string(channel) + '\n' + frame.id, index);
    if (fresh) return;
    const std::size_t before = at->second;
    at->second = index;
    if (who.plugin()) {
        // Its page hears everything once, as long as its own window reaches.
        if (listeners_[who.index()].page_ids.size() < 1'000)
            found_.add(invariant::repeated, "the page of {} hears {} again", who.name(), frame.id);
        return;
    }
    // A stock page may hear an entry again from an aggregator that is behind the one before. What was published again
    // it hears once, as far as the aggregators' windows reach: one that has started since knows what was kept.
    refresh_bounds(channel);
    const auto& entries = streams_[channel].entries;
    const bool same_stream = entries[before].generation == entries[index].generation;
    const bool kept = entries[before].offset >= streams_[channel].first_kept;
    if (before != index && same_stream && kept && index - before < around_.with.ids_max / 2)
        found_.add(invariant::repeated, "{} hears {} again, which was published again {} entries later", who.name(),
                   frame.id, index - before);
}

void oracle::gets_position(client& who, const heard& frame) {
    std::size_t channel = 0;
    listening* const state = listening_of(who, frame.channel, channel);
    if (!state || !state->is_there()) return;
    const auto at = resolve(channel, frame.position);
    if (!at)
        return found_.add(invariant::protocol, "{} is told the position {}, which is nowhere", who.name(),
                          frame.position);
    if (is_leaving(who, channel) || streams_[channel].alike) return;
    found_.compared(invariant::out_of_order);
    if (state->at && *at < *state->at && !state->may_go_back && !state->gap_open)
        return found_.add(invariant::out_of_order, "{} is told the position {} of {} when it is at {}.{}", who.name(),
                          frame.position, frame.channel, state->at->generation, state->at->offset);
    if (state->at && *at > *state->at) check_hole(who, channel, *state, *at, true);
    if (!state->may_go_back || !state->at || *at > *state->at) state->is_at(*at);
    state->gap_open = false;
    if (state->asks.empty()) state->live = true;
}

void oracle::refresh_bounds(std::size_t channel) {
    stream_state& stream = streams_[channel];
    const auto [first, end] = around_.broker->bounds(around_.with.channels[channel].out_queue());
    stream.first_kept = std::max(stream.first_kept, first);
}

bool oracle::is_gone(std::size_t channel, std::size_t index) {
    refresh_bounds(channel);
    const stream_state& stream = streams_[channel];
    const stream_entry& entry = stream.entries[index];
    return entry.generation != stream.entries.back().generation || entry.offset < stream.first_kept;
}

void oracle::gets_gap(client& who, const heard& frame) {
    ++gaps[frame.cause];
    std::size_t channel = 0;
    listening* const state = listening_of(who, frame.channel, channel);
    if (!state || !state->is_there() || is_leaving(who, channel)) return;
    check_gap(who, channel, *state, frame);
    state->gap_open = true;
    state->sequence = state->certain = 0;
    state->untold.reset();
}

void oracle::check_gap(client& who, std::size_t channel, const listening& state, const heard& frame) {
    // A gap was told, and nothing since: where it is is not known.
    if (!durable(channel) || !state.at || state.gap_open || streams_[channel].alike) return;
    found_.compared(invariant::false_gap);
    refresh_bounds(channel);
    const stream_state& stream = streams_[channel];
    const unsigned newest = around_.broker->generation(around_.with.channels[channel].out_queue());
    const auto wrong = [&](std::string_view why) {
        found_.add(invariant::false_gap, "{} is told of a gap ({}) on {} at {}.{}, but {}", who.name(), frame.cause,
                   frame.channel, state.at->generation, state.at->offset, why);
    };
    if (frame.cause == "recreated") {
        if (newest == state.at->generation) wrong("the stream is the same");
    } else if (frame.cause == "retention") {
        if (newest == state.at->generation && stream.first_kept <= state.at->offset) wrong("nothing is gone");
    } else if (frame.cause == "too_far") {
        if (newest == state.at->generation && state.resumed_from && state.resumed_from->generation == newest &&
            stream.entries.size() - index_of(channel, *state.resumed_from) <= around_.with.resume_entries_max)
            wrong("it was not that far");
        check_position_was_told(who, channel, state);
    }
}

void oracle::disturb(const client& who) {
    if (listeners_.size() <= who.index()) listeners_.resize(who.index() + 1);
    listeners_[who.index()].disturbed = around_.time.now();
}

bool oracle::disturbed_recently(const client& who) const {
    const auto recently = [&](const std::optional<steady_time>& when) {
        return when && around_.time.now() - *when < std::chrono::seconds(90);
    };
    return recently(disturbed_) || recently(listeners_[who.index()].disturbed);
}

// A session that is told its position in time can be too far only when it was away.
void oracle::check_position_was_told(client& who, std::size_t channel, const listening& state) {
    if (!state.was_live || disturbed_recently(who)) return;
    found_.compared(invariant::position_not_told);
    const stream_state& stream = streams_[channel];
    const steady_time since = listeners_[who.index()].left_at - std::chrono::seconds(3);
    const std::size_t away = static_cast<std::size_t>(
        std::ranges::count_if(stream.entries, [&](const stream_entry& entry) { return entry.at >= since; }));
    const std::size_t all = stream.entries.size() - index_of(channel, *state.at);
    if (away + around_.with.resume_entries_max / 4 < around_.with.resume_entries_max)
        found_.add(invariant::position_not_told, "{} is {} entries back on {}, but was away for {} of them only",
                   who.name(), all, around_.with.channels[channel].name, away);
}

std::optional<finding> oracle::still_to_hear(client& who, std::size_t channel) {
    const listening& state = listeners_[who.index()].channels[channel];
    const auto& name = around_.with.channels[channel].name;
    if (!state.asks.empty())
        return finding{invariant::silence, fmt::format("{} waits for its consume of {}", who.name(), name)};
    if (state.untold)
        return finding{invariant::gap_not_told,
                       fmt::format("{} has not heard {} on {} and is not told", who.name(), state.untold->id, name)};
    if (!state.active || !state.at || !durable(channel)) return std::nullopt;
    const stream_state& stream = streams_[channel];
    if (stream.entries.empty() || stream.alike) return std::nullopt;
    if (stream.entries.back().generation != state.at->generation) {
        if (state.gap_open) return std::nullopt;
        const std::size_t begin = stream.generations[stream.entries.back().generation];
        for (std::size_t i = begin; i < stream.entries.size(); ++i)
            if (must_hear(who, channel, state, stream.entries[i], i))
                return finding{invariant::gap_not_told,
                               fmt::format("{} still hears the stream of {} from before", who.name(), name)};
        return std::nullopt;
    }
    if (state.gap_open) return std::nullopt;
    for (std::size_t i = index_of(channel, *state.at) + 1; i < stream.entries.size(); ++i) {
        const stream_entry& entry = stream.entries[i];
        if (!must_hear(who, channel, state, entry, i)) continue;
        return finding{invariant::lost,
                       fmt::format("{} ({}) has not heard {} at {}.{} of {}; it is at {}.{}", who.name(),
                                   who.plugin() ? "plugin" : "stock", entry.id, entry.generation, entry.offset, name,
                                   state.at->generation, state.at->offset)};
    }
    return std::nullopt;
}

}  // namespace foz::sim
