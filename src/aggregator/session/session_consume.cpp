// What a socket hears: consume and leave.
#include "aggregator/session/session.hpp"
#include "base/json.hpp"
#include "base/planted.hpp"
#include "contract/names.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <simdjson.h>

namespace foz::aggregator {
namespace {

struct join_answer {
    bool allow = false;
    std::optional<std::uint64_t> since_ms;  // since 1970
};

// A worker's answer to foz.join: {"allow":true,"since_ms":…}.
join_answer read_join(std::string_view body) {
    simdjson::dom::parser parser;
    simdjson::dom::element answer;
    join_answer made;
    std::uint64_t since = 0;
    if (parser.parse(body.data(), body.size()).get(answer) != simdjson::SUCCESS ||
        answer["allow"].get(made.allow) != simdjson::SUCCESS)
        return {};
    if (answer["since_ms"].get(since) == simdjson::SUCCESS) made.since_ms = since;
    return made;
}

client_error forbidden_group(const std::string& group) {
    return {error_code::forbidden, "group " + group + " is not open to this client", "distribution.multicast"};
}

}  // namespace

std::optional<client_error> session::resolve_channels(const envelope::envelope& asked,
                                                      std::vector<std::size_t>& out) const {
    for (const envelope::channel_flag& flag : asked.channels) {
        if (!flag.on) continue;
        const auto index = shared_.channel_index(flag.name);
        if (!index)
            return client_error{error_code::unknown_channel, "there is no channel " + std::string(flag.name),
                                "channel"};
        if (bound_channel_ && *bound_channel_ != *index)
            return client_error{error_code::channel_mismatch,
                                "this socket is bound to channel " + shared_.config.channels[*bound_channel_].name,
                                "channel"};
        out.push_back(*index);
    }
    if (!out.empty()) return {};
    if (!bound_channel_) return client_error{error_code::bad_envelope, "no channel is named", "channel"};
    out.push_back(*bound_channel_);
    return {};
}

bool session::is_me(std::string_view receiver) const {
    if (receiver == client()) return true;
    return receiver.starts_with(contract::session_prefix) && receiver.substr(contract::session_prefix.size()) == id();
}

// The kinds that a distribution names.
std::optional<client_error> session::read_kinds(const envelope::envelope& asked, interest& out) const {
    out.broadcast = asked.to.broadcast;
    for (const std::string_view group : asked.to.multicast) {
        // Messages to the group of one's own name are an interest of their own, which nobody else can have.
        if (group == client()) {
            out.own_name = true;
        } else {
            out.groups.emplace(group);
        }
    }
    for (const std::string_view receiver : asked.to.direct) {
        if (!is_me(receiver))
            return client_error{error_code::forbidden, "only one's own direct messages can be consumed",
                                "distribution.direct"};
        out.direct = true;
    }
    return {};
}

std::optional<client_error> session::read_interest(const envelope::envelope& asked, interest& out) const {
    if (asked.to.empty()) {
        out.broadcast = out.direct = out.own_name = true;
    } else if (auto error = read_kinds(asked, out)) {
        return error;
    }
    for (const std::string_view pattern : asked.consume_target) out.topics.emplace(pattern);
    out.all_topics = out.topics.empty();
    return {};
}

std::optional<client_error> session::read_from(const envelope::envelope& asked, pending_consume& out) const {
    for (const envelope::channel_from& item : asked.from) {
        std::optional<std::size_t> index;
        const std::string field = item.channel.empty() ? "from" : "from." + std::string(item.channel);
        if (!item.channel.empty()) {
            index = shared_.channel_index(item.channel);
        } else if (out.wanted.size() == 1) {
            index = out.wanted.begin()->first;
        }
        if (!index || !out.wanted.contains(*index))
            return client_error{error_code::bad_envelope, "names no channel that is consumed here", field};
        if (item.from.what == envelope::resume_from::kind::now) continue;
        if (shared_.config.channels[*index].delivery == contract::delivery_kind::volatile_)
            return client_error{error_code::bad_envelope, "a volatile channel has no past to go on from", field};
        out.from[*index] = item.from;
    }
    return {};
}

std::optional<client_error> session::read_consume(const envelope::envelope& asked, pending_consume& out) const {
    std::vector<std::size_t> channels;
    interest wanted;
    if (auto error = resolve_channels(asked, channels)) return error;
    if (auto error = read_interest(asked, wanted)) return error;
    for (const std::size_t channel : channels) {
        if (auto error = check_consume(channel, wanted)) return error;
        out.wanted.emplace(channel, wanted);
    }
    if (auto error = read_from(asked, out)) return error;
    std::size_t size = out.size();
    if (const auto* const waiting = pending_.find())
        for (const auto& pending : *waiting) size += pending->size();
    for (std::size_t i = 0; i < shared_.config.channels.size(); ++i) {
        const audience& heard = shared_.channels[i].heard;
        size += heard.names_of(self_);
        if (const auto at = out.wanted.find(i); at != out.wanted.end()) size -= heard.shared_with(self_, at->second);
    }
    if (size > limits().subscriptions)
        return client_error{error_code::overloaded, "too many groups and topics on one socket", "consume_target"};
    return read_joins(out);
}

// Before anything is asked: what can't be had as a whole is refused as a whole.
std::optional<client_error> session::read_joins(pending_consume& out) const {
    for (const auto& [channel, wanted] : out.wanted) {
        for (const std::string& group : wanted.groups) {
            if (shared_.channels[channel].heard.in_group(self_, group)) continue;
            const joining may = may_join(channel, group);
            if (may == joining::refused) return forbidden_group(group);
            if (may == joining::allowed) continue;
            if (shared_.channels[channel].reply_queue.empty())
                return client_error{error_code::unavailable, "the broker can't be reached"};
            if (shared_.no_service(channel, false))
                return client_error{error_code::no_service, "nobody is there to say who may join group " + group};
            out.joins.emplace(channel, group);
        }
    }
    // Each of them is a request that somebody has to answer.
    if (!out.joins.empty() && shared_.asked.waiting(client_id(client())) + out.joins.size() > limits().requests)
        return client_error{error_code::overloaded, "too many requests of this client wait for an answer"};
    return {};
}

void session::consume(const envelope::envelope& asked, const reply_context& context) {
    auto what = std::make_unique<pending_consume>();
    what->number = ++tickets_;
    what->context = context;
    if (const auto error = read_consume(asked, *what)) return send_error(*error, context);
    // Questions who may join, and presence, are messages that the client makes the aggregator send.
    std::vector<std::size_t> sent;
    for (const auto& [channel, group] : what->joins) sent.push_back(channel);
    for (const auto& [channel, wanted] : what->wanted)
        if (shared_.config.channels[channel].presence && !hears(channel)) sent.push_back(channel);
    if (!sent.empty() && publishes_too_fast(sent, context)) return;
    if (what->joins.empty()) return complete(*what);
    const pending_consume& waiting = *pending_.get().emplace_back(std::move(what));
    for (const auto& [channel, group] : waiting.joins) ask_to_join(waiting, channel, group);
}

void session::ask_to_join(const pending_consume& what, std::size_t channel, const std::string& group) {
    const contract::correlation asked{client_id(client()), contract::correlation::request_kind::internal,
                                      shared_.random.token()};
    amqp::publication question = make_internal(channel, contract::type_join, "{\"group\":" + json_string(group) + "}");
    question.properties.reply_to = shared_.channels[channel].reply_queue;
    question.properties.correlation_id = contract::to_string(asked);
    question.properties.message_id = message_id_of(asked.request);
    question.properties.expiration = std::to_string(shared_.config.request_timeout.count());

    const auto waiting = std::make_shared<request>();
    waiting->key = requests::key_of(channel, asked);
    waiting->channel = channel;
    waiting->counted_for = asked.client;
    waiting->join = join_question{.session = self_, .consume = what.number, .channel = channel, .group = group};
    shared_.asked.begin(waiting, shared_.config.request_timeout);
    shared_.publish(channel, asked.client, std::move(question), shared_.asked.await_outcome(waiting));
}

void session::on_join(const join_question& join, const entry_answer* answer, const client_error* error) {
    // It may have been left meanwhile.
    if (!pending_.there()) return;
    auto& pending = pending_.get();
    const auto at = std::ranges::find(pending, join.consume, [](const auto& one) { return one->number; });
    if (at == pending.end() || (*at)->joins.erase({join.channel, join.group}) == 0) return;
    const bool answered = answer && answer->what == entry_answer::kind::answer;
    const join_answer said = answered ? read_join(answer->body) : join_answer();
    if (said.since_ms) (*at)->since[{join.channel, join.group}] = *said.since_ms / 1'000;
    if (!(*at)->error && !said.allow) (*at)->error = error ? *error : forbidden_group(join.group);
    if ((*at)->joins.empty()) complete_pending();
}

// All that wait for no answer any more.
void session::complete_pending() {
    if (!pending_.there()) return;
    std::vector<std::unique_ptr<pending_consume>> done;
    std::erase_if(pending_.get(), [&](auto& pending) {
        const bool complete = pending->joins.empty();
        if (complete) done.push_back(std::move(pending));
        return complete;
    });
    if (pending_.get().empty()) pending_.drop();
    for (const auto& pending : done) complete(*pending);
}

void session::complete(const pending_consume& what) {
    if (what.error) return send_error(*what.error, what.context);
    note_joins(what);
    for (const auto& [channel, wanted] : what.wanted) hear(channel, wanted);
    // From here on live messages wait: the answer comes first, then the past, then the present.
    send_consuming(what.context, what.from);
    for (const auto& [channel, from] : what.from) resume(channel, from);
}

// Of groups that are joined now: from when on it may hear what was said to them.
void session::note_joins(const pending_consume& what) {
    for (const auto& [channel, wanted] : what.wanted)
        for (const std::string& group : wanted.groups) {
            if (shared_.channels[channel].heard.in_group(self_, group)) continue;
            const auto said = what.since.find({channel, group});
            note_join(channel, group, said != what.since.end() ? std::optional(said->second) : std::nullopt);
        }
}

void session::note_join(std::size_t channel, const std::string& group, std::optional<std::uint64_t> since_s) {
    if (!since_s && !shared_.config.channels[channel].group_past)
        since_s = static_cast<std::uint64_t>(now_ms() / 1'000);
    if (since_s) {
        odd_.get().joined_at[{channel, group}] = *since_s;
    } else if (auto* const odd = odd_.find()) {
        odd->joined_at.erase({channel, group});
    }
}

// Of groups that it has left: who joins and leaves for ever costs no more for it.
void session::forget_joins(std::size_t channel, const interest& left) {
    auto* const odd = odd_.find();
    if (!odd || odd->joined_at.empty()) return;
    if (!hears(channel))
        return void(std::erase_if(odd->joined_at, [&](const auto& one) { return one.first.first == channel; }));
    for (const std::string& group : left.groups) odd->joined_at.erase({channel, group});
}

// What the client's rights leave of it: they may have changed since it asked.
void session::hear(std::size_t channel, const interest& wanted) {
    const interest allowed = narrowed(channel, wanted);
    if (!allowed.names_nothing() || wanted.names_nothing()) begin_to_hear(channel, allowed);
}

void session::begin_to_hear(std::size_t channel, const interest& allowed) {
    auto& on = shared_.channels[channel];
    const bool first = !hears(channel);
    on.heard.add(self_, allowed);
    if (auto* const behind = resuming_on(channel)) read_interest(*behind);
    if (!first) return;
    if (durable(channel) && !planted(bug::position_never_told)) on.positions.track(self_, on.entries);
    tell_presence(channel, true);
}

}  // namespace foz::aggregator
