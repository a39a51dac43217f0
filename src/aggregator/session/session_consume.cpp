// What a socket hears: consume and leave.
#include "aggregator/session/session.hpp"
#include "base/json.hpp"
#include "contract/names.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <simdjson.h>

namespace foz::aggregator {
namespace {

// A worker's answer to foz.join: {"allow":true}.
bool allows(std::string_view body) {
    simdjson::dom::parser parser;
    simdjson::dom::element answer;
    bool allow = false;
    return parser.parse(body.data(), body.size()).get(answer) == simdjson::SUCCESS &&
           answer["allow"].get(allow) == simdjson::SUCCESS && allow;
}

client_error forbidden_group(const std::string& group) {
    return {error_code::forbidden, "group " + group + " is not open to this client", "distribution.multicast"};
}

}  // namespace

// A consume that may have to wait until services have said who may join which group.
struct session::pending_consume {
    reply_context context;
    std::map<std::size_t, interest> wanted;               // by channel
    std::map<std::size_t, envelope::resume_from> from;    // by channel
    std::set<std::pair<std::size_t, std::string>> joins;  // groups of channels that have not been answered yet
    std::optional<client_error> error;

    std::size_t size() const {
        std::size_t sum = 0;
        for (const auto& [channel, what] : wanted) sum += what.size();
        return sum;
    }
    // A leave undoes it, as if it had been complete.
    void leave(std::size_t channel, const interest& left) {
        const auto at = wanted.find(channel);
        if (at == wanted.end()) return;
        if (!at->second.take_away(left)) {
            wanted.erase(at);
            from.erase(channel);
        }
        std::erase_if(joins, [&](const auto& join) {
            return join.first == channel && (!wanted.contains(channel) || left.groups.contains(join.second));
        });
    }
};

std::optional<client_error> session::resolve_channels(const envelope::envelope& asked,
                                                      std::vector<std::size_t>& out) const {
    for (const envelope::channel_flag& flag : asked.channels) {
        if (!flag.on) continue;
        const auto index = hub_.channel_index(flag.name);
        if (!index)
            return client_error{error_code::unknown_channel, "there is no channel " + std::string(flag.name),
                                "channel"};
        if (options_.bound_channel && *options_.bound_channel != *index)
            return client_error{
                error_code::channel_mismatch,
                "this socket is bound to channel " + hub_.config().channels[*options_.bound_channel].name, "channel"};
        out.push_back(*index);
    }
    if (!out.empty()) return {};
    if (!options_.bound_channel) return client_error{error_code::bad_envelope, "no channel is named", "channel"};
    out.push_back(*options_.bound_channel);
    return {};
}

bool session::is_me(std::string_view receiver) const {
    if (receiver == client.view()) return true;
    return receiver.starts_with(contract::session_prefix) &&
           receiver.substr(contract::session_prefix.size()) == spark.view();
}

// The kinds that a distribution names.
std::optional<client_error> session::read_kinds(const envelope::envelope& asked, interest& out) const {
    out.broadcast = asked.to.broadcast;
    for (const std::string_view group : asked.to.multicast) {
        if (group == client.view()) {
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
            index = hub_.channel_index(item.channel);
        } else if (out.wanted.size() == 1) {
            index = out.wanted.begin()->first;
        }
        if (!index || !out.wanted.contains(*index))
            return client_error{error_code::bad_envelope, "names no channel that is consumed here", field};
        if (item.from.what == envelope::resume_from::kind::now) continue;
        if (hub_.config().channels[*index].delivery == contract::delivery_kind::volatile_)
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
    for (const std::size_t channel : channels) out.wanted.emplace(channel, wanted);
    if (auto error = read_from(asked, out)) return error;
    std::size_t size = out.size();
    for (const auto& pending : pending_) size += pending->size();
    for (std::size_t i = 0; i < hub_.config().channels.size(); ++i) {
        const audience& heard = hub_.heard_on(i);
        size += heard.names_of(self_);
        if (const auto at = out.wanted.find(i); at != out.wanted.end()) size -= heard.shared_with(self_, at->second);
    }
    if (size > hub_.config().subscriptions_per_session_max)
        return client_error{error_code::overloaded, "too many groups and topics on one socket", "consume_target"};
    return read_joins(out);
}

// Before anything is asked: what can't be had as a whole is refused as a whole.
std::optional<client_error> session::read_joins(pending_consume& out) const {
    for (const auto& [channel, wanted] : out.wanted) {
        const audience& heard = hub_.heard_on(channel);
        const auto policy = hub_.config().channels[channel].groups;
        if (policy == contract::groups_kind::open) continue;
        for (const std::string& group : wanted.groups) {
            if (heard.in_group(self_, group)) continue;
            if (policy == contract::groups_kind::token) return forbidden_group(group);
            if (hub_.reply_queue(channel).empty())
                return client_error{error_code::unavailable, "the broker can't be reached"};
            if (hub_.no_service(channel, false))
                return client_error{error_code::no_service, "nobody is there to say who may join group " + group};
            out.joins.emplace(channel, group);
        }
    }
    // Each of them is a request that somebody has to answer.
    if (!out.joins.empty() && hub_.asked().waiting(serial_) + out.joins.size() > hub_.config().requests_per_session_max)
        return client_error{error_code::overloaded, "too many requests of this socket wait for an answer"};
    return {};
}

void session::consume(const envelope::envelope& asked, const reply_context& context) {
    const auto what = std::make_shared<pending_consume>();
    what->context = context;
    if (const auto error = read_consume(asked, *what)) return send_error(*error, context);
    if (what->joins.empty()) return complete(*what);
    pending_.push_back(what);
    // A copy: a publish may fail at once, and with it the join.
    for (const auto& [channel, group] : std::set(what->joins)) ask_to_join(what, channel, group);
}

void session::ask_to_join(const std::shared_ptr<pending_consume>& what, std::size_t channel, const std::string& group) {
    const contract::correlation id{client, contract::correlation::request_kind::internal, hub_.home().random().token()};
    amqp::publication question = make_internal(channel, contract::type_join, "{\"group\":" + json_string(group) + "}");
    question.properties.reply_to = hub_.reply_queue(channel);
    question.properties.correlation_id = contract::to_string(id);
    question.properties.message_id = client.str() + "/" + id.request;
    question.properties.expiration = std::to_string(hub_.config().request_timeout.count());

    const auto waiting = std::make_shared<request>();
    waiting->key = requests::key_of(channel, id);
    waiting->channel = channel;
    waiting->unconfirmed = 1;
    waiting->first_session = serial_;
    waiting->internal = [&home = hub_, serial = serial_, what, channel, group](const entry_answer* answer,
                                                                               const client_error* error) {
        if (what->joins.erase({channel, group}) == 0) return;  // it has been left meanwhile
        const bool allowed = answer && answer->what == entry_answer::kind::answer && allows(answer->body);
        if (!what->error && !allowed) what->error = error ? *error : forbidden_group(group);
        if (session* const who = home.find(serial); who && what->joins.empty()) who->complete_pending();
    };
    hub_.asked().begin(waiting, hub_.config().request_timeout);
    hub_.publish(channel, std::move(question),
                 [&home = hub_, waiting](amqp::outcome result) { home.asked().on_outcome(waiting, result); });
}

// All that wait for no answer any more.
void session::complete_pending() {
    std::vector<std::shared_ptr<pending_consume>> done;
    std::erase_if(pending_, [&](const auto& pending) {
        if (pending->joins.empty()) done.push_back(pending);
        return pending->joins.empty();
    });
    for (const auto& pending : done) complete(*pending);
}

void session::complete(const pending_consume& what) {
    if (what.error) return send_error(*what.error, what.context);
    for (const auto& [channel, wanted] : what.wanted) hear(channel, wanted);
    // From here on live messages wait: the answer comes first, then the past, then the present.
    send_consuming(what.context, what.from);
    for (const auto& [channel, from] : what.from) resume(channel, from);
}

void session::hear(std::size_t channel, const interest& wanted) {
    const bool first = !hub_.heard_on(channel).contains(self_);
    hub_.heard_on(channel).add(self_, wanted);
    if (first) tell_presence(channel, true);
}

void session::leave(const envelope::envelope& asked, const reply_context& context) {
    std::vector<std::size_t> channels;
    interest left;
    if (const auto error = resolve_channels(asked, channels)) return send_error(*error, context);
    if (!asked.to.empty())
        if (const auto error = read_kinds(asked, left)) return send_error(*error, context);
    for (const std::string_view pattern : asked.consume_target) left.topics.emplace(pattern);
    for (const std::size_t channel : channels) {
        for (const auto& pending : pending_) pending->leave(channel, left);
        auto& heard = hub_.heard_on(channel);
        if (!heard.contains(self_) || heard.remove(self_, left)) continue;
        // Its place is told no more: what comes from now on has not been heard.
        end_resume(channel);
        hub_.untrack(channel, *this);
        tell_presence(channel, false);
    }
    complete_pending();
    send_consuming(context);
}

std::optional<envelope::position> session::place_of(std::size_t channel,
                                                    const std::map<std::size_t, envelope::resume_from>& from) const {
    if (const auto begins = from.find(channel); begins != from.end()) {
        if (begins->second.what != envelope::resume_from::kind::at) return {};
        return begins->second.where;
    }
    if (const auto behind = resuming_.find(channel); behind != resuming_.end()) return behind->second.last;
    return hub_.position(channel);
}

void session::send_consuming(const reply_context& context, const std::map<std::size_t, envelope::resume_from>& from) {
    const auto& all = hub_.config().channels;
    std::vector<envelope::consuming_channel> heard;
    // The event refers to names that have to stay where they are.
    std::vector<interest> sums;
    std::vector<std::vector<std::string_view>> names;
    sums.reserve(all.size());
    names.reserve(2 * all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto found = hub_.heard_on(i).find(self_);
        if (!found) continue;
        interest& has = sums.emplace_back(*std::move(found));
        if (has.own_name) has.groups.insert(client.str());  // clients know it as a group
        const auto& topics = names.emplace_back(has.topics.begin(), has.topics.end());
        const auto& groups = names.emplace_back(has.groups.begin(), has.groups.end());
        heard.push_back({.name = all[i].name, .topics = topics, .groups = groups, .where = place_of(i, from)});
    }
    std::string json;
    envelope::append(json,
                     envelope::consuming_event{.id = context.id, .channels = heard, .warnings = context.warnings});
    respond(context, json);
}

void session::tell_presence(std::size_t channel, bool here) {
    if (!hub_.config().channels[channel].presence) return;
    const std::string_view type = here ? contract::type_opened : contract::type_closed;
    amqp::publication event = make_internal(
        channel, type, "{\"client\":" + json_string(client.view()) + ",\"session\":" + json_string(spark.view()) + "}");
    // A socket may come and go on one channel many times.
    event.properties.message_id =
        client.str() + "/" + spark.str() + "." + std::string(type) + "." + std::to_string(++tickets_);
    hub_.publish(channel, std::move(event), {});
}

}  // namespace foz::aggregator
