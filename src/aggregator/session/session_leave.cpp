// What a socket hears: leave, and what it is told of what it hears.
#include "aggregator/session/session.hpp"
#include "base/json.hpp"
#include "contract/names.hpp"

#include <algorithm>
#include <deque>
#include <utility>

namespace foz::aggregator {

void session::leave(const envelope::envelope& asked, const reply_context& context) {
    std::vector<std::size_t> channels;
    interest left;
    if (const auto error = resolve_channels(asked, channels)) return send_error(*error, context);
    if (!asked.to.empty())
        if (const auto error = read_kinds(asked, left)) return send_error(*error, context);
    for (const std::string_view pattern : asked.consume_target) left.topics.emplace(pattern);
    for (const std::size_t channel : channels) {
        if (const auto* const waiting = pending_.find())
            for (const auto& pending : *waiting) pending->leave(channel, left);
        if (authority_)
            if (const auto at = authority_->wanted.find(channel); at != authority_->wanted.end())
                if (!at->second.take_away(left)) authority_->wanted.erase(at);
        leave_channel(channel, left);
    }
    complete_pending();
    send_consuming(context);
}

void session::leave_channel(std::size_t channel, const interest& left) {
    auto& from = shared_.channels[channel];
    if (!hears(channel)) return;
    from.heard.remove(self_, left);
    forget_joins(channel, left);
    if (hears(channel)) {
        if (auto* const behind = resuming_on(channel)) read_interest(*behind);
        return;
    }
    // Its place is told no more: what comes from now on has not been heard.
    end_resume(channel);
    from.positions.untrack(self_);
    tell_presence(channel, false);
}

std::optional<envelope::position> session::place_of(std::size_t channel,
                                                    const std::map<std::size_t, envelope::resume_from>& from) const {
    if (const auto begins = from.find(channel); begins != from.end()) {
        if (begins->second.what != envelope::resume_from::kind::at) return {};
        return begins->second.where;
    }
    if (const auto* const behind = resuming_on(channel)) return behind->cursor.last();
    return shared_.channels[channel].where;
}

void session::send_consuming(const reply_context& context, const std::map<std::size_t, envelope::resume_from>& from) {
    const auto& all = shared_.config.channels;
    std::vector<envelope::consuming_channel> heard;
    // The event refers to names that have to stay where they are.
    std::deque<interest> interests;
    std::deque<std::vector<std::string_view>> names;
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto found = shared_.channels[i].heard.find(self_);
        if (!found) continue;
        const interest* const has = &interests.emplace_back(std::move(*found));
        const auto& topics = names.emplace_back(has->topics.begin(), has->topics.end());
        auto& groups = names.emplace_back(has->groups.begin(), has->groups.end());
        // As a group of that name, in its place.
        if (has->own_name) groups.insert(std::ranges::lower_bound(groups, client()), client());
        heard.push_back({.name = all[i].name, .topics = topics, .groups = groups, .where = place_of(i, from)});
    }
    std::string json;
    envelope::append(json,
                     envelope::consuming_event{.id = context.id, .channels = heard, .warnings = context.warnings});
    respond(context, json);
}

void session::tell_presence(std::size_t channel, bool here) {
    if (!shared_.config.channels[channel].presence) return;
    const std::string_view type = here ? contract::type_opened : contract::type_closed;
    amqp::publication event = make_internal(
        channel, type, "{\"client\":" + json_string(client()) + ",\"session\":" + json_string(id()) + "}");
    // A socket may come and go on one channel many times.
    event.properties.message_id =
        message_id_of(std::string(id()) + "." + std::string(type) + "." + std::to_string(++tickets_));
    shared_.publish(channel, client_id(client()), std::move(event));
    shared_.out.presence(channel, client(), id(), here);
}

void session::tell_presence_again() {
    for (std::size_t i = 0; i < shared_.channels.size(); ++i)
        if (hears(i)) tell_presence(i, true);
}

}  // namespace foz::aggregator
