// What a client may: the part of a session that knows its token.
#include "aggregator/session/session.hpp"
#include "contract/names.hpp"
#include "primus/packet.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {
namespace {

using std::chrono::milliseconds;

client_error not_allowed(const char* what, const std::string& channel) {
    return {error_code::forbidden, std::string("this client may not ") + what + " on channel " + channel, "channel"};
}

void join(interest& to, const interest& more) {
    to.broadcast |= more.broadcast;
    to.direct |= more.direct;
    to.own_name |= more.own_name;
    to.groups.insert(more.groups.begin(), more.groups.end());
    to.all_topics |= more.all_topics;
    to.topics.insert(more.topics.begin(), more.topics.end());
}

// Anonymous clients' ids and addresses of sockets: such a group would be taken for its namesake.
bool is_a_name_of_somebody(std::string_view group) {
    return group.starts_with(contract::anonymous_prefix) || group.starts_with(contract::session_prefix);
}

}  // namespace

void session::start_token_timer() {
    const auto& ends = authority_->rights->ends;
    authority_->timer.cancel();
    if (!ends) return;
    const auto left = std::chrono::ceil<milliseconds>(*ends - shared_.time.wall_now());
    const auto notice = std::min(shared_.config.refresh_notice, left / 4);
    const auto next = authority_->was_told ? left : left - notice;
    // Clocks may be set: it looks again now and then.
    constexpr milliseconds longest = std::chrono::hours(1);
    authority_->timer.start(shared_.wheel, std::clamp(next, milliseconds(1), longest));
}

void session::on_token_time() {
    if (closing_) return;
    const auto left = std::chrono::ceil<milliseconds>(*authority_->rights->ends - shared_.time.wall_now());
    if (left <= milliseconds(0)) return on_end_of_token();
    if (!authority_->was_told && left <= std::max(shared_.config.refresh_notice, milliseconds(1))) {
        authority_->was_told = true;
        std::string json;
        envelope::append(json, envelope::auth_event{.expires_in_ms = static_cast<std::uint64_t>(left.count())});
        send_control(json);
    }
    start_token_timer();
}

// With another token the client may come again, if it has one. Without a token a service says whether it may.
void session::on_end_of_token() {
    if (!rights().by_service) return shut_out({error_code::expired, "the token has expired"}, spec::close_expired);
    client_error again{error_code::unavailable, "the time that this client was let in for is over"};
    again.reason = "time_over";
    send_error(again, {});
    closing_ = true;
    shared_.out.close(self_, ws::close_code(spec::close_try_later), to_string(again.code));
}

// The last words of a session that its client may not have any more.
void session::shut_out(const client_error& why, std::uint16_t close_code) {
    if (closing_) return;
    send_error(why, {});
    std::string stay_away;
    primus::append_server_close(stay_away);
    send_control(stay_away);
    closing_ = true;
    shared_.out.close(self_, ws::close_code(close_code), to_string(why.code));
}

void session::revoke() {
    shut_out({error_code::revoked, "this client, its token or its session was revoked"}, spec::close_revoked);
}

void session::refresh(const envelope::envelope& asked, const reply_context& context) {
    auto shown = shared_.out.check_token(asked.token);
    if (!shown) {
        client_error why = std::move(shown.error());
        if (why.code == error_code::unsupported) why.field = "packet_action";
        return send_error(why, context);
    }
    const bool same_issuer = rights().any_issuer || shown->rights->issuer == rights().issuer;
    if (!authority_ || shown->client.view() != client() || !same_issuer) {
        client_error other{error_code::bad_token, "the token is another client's", "token"};
        other.reason = "other_client";
        return send_error(other, context);
    }
    if (shared_.revoked.meets(client(), id(), *shown->rights)) return revoke();
    const auto before = std::exchange(authority_->rights, std::move(shown->rights));
    take_limits(rights().limits);
    authority_->was_told = false;
    start_token_timer();
    withdraw_pending(*before);
    if (hear_what_is_allowed(*before)) send_consuming({});
    tell_rights(context);
}

void session::tell_rights(const reply_context& context) {
    const client_rights& now = rights();
    std::vector<envelope::granted_channel> channels;
    for (std::size_t i = 0; i < now.channels.size(); ++i) {
        const channel_rights& one = now.channels[i];
        if (one.allow_nothing()) continue;
        channels.push_back({.name = shared_.config.channels[i].name,
                            .consume = one.consume.patterns(),
                            .publish = one.publish.patterns(),
                            .request = one.request.patterns()});
    }
    const auto left = now.ends ? std::chrono::ceil<milliseconds>(*now.ends - shared_.time.wall_now()) : milliseconds(0);
    envelope::auth_event event{.id = context.id,
                               .expires_in_ms = static_cast<std::uint64_t>(std::max(left, milliseconds(0)).count()),
                               .channels = channels};
    if (now.groups) event.groups = *now.groups;
    std::string json;
    envelope::append(json, event);
    // Of this socket alone: another one has rights of its own.
    if (!closing_) send_response(context.request_id, json);
}

// Whether a consume of these topics and groups is allowed. Who names no topics hears those that are.
std::optional<client_error> session::check_consume(std::size_t channel, const interest& wanted) const {
    const topic_rights& may = rights().channels[channel].consume;
    if (may.none()) return not_allowed("consume", shared_.config.channels[channel].name);
    for (const std::string& topic : wanted.topics)
        if (!may.cover(topic))
            return client_error{error_code::forbidden, "topic " + topic + " is not open to this client",
                                "consume_target"};
    return std::nullopt;
}

std::optional<client_error> session::check_send(const envelope::envelope& asked, bool request,
                                                std::size_t channel) const {
    const channel_rights& may = rights().channels[channel];
    const topic_rights& topics = request ? may.request : may.publish;
    const std::string& name = shared_.config.channels[channel].name;
    if (topics.none()) return not_allowed(request ? "request" : "publish", name);
    if (!topics.allow(asked.topic))
        return client_error{error_code::forbidden,
                            asked.topic.empty() ? std::string("this client has to name a topic")
                                                : "this client may not send to topic " + std::string(asked.topic),
                            "topic"};
    if (!may.allow_type(asked.type))
        return client_error{error_code::forbidden,
                            asked.type.empty() ? std::string("this client has to name a type")
                                               : "this client may not send messages of type " + std::string(asked.type),
                            "type"};
    return std::nullopt;
}

session::joining session::may_join(std::size_t channel, const std::string& group) const {
    const contract::channel_settings& on = shared_.config.channels[channel];
    if (rights().may_join(group)) return joining::allowed;
    switch (on.groups) {
        case contract::groups_kind::service:
            return joining::ask;
        case contract::groups_kind::token:
            return joining::refused;
        case contract::groups_kind::open:
            break;
    }
    if (rights().groups || is_a_name_of_somebody(group)) return joining::refused;
    if (on.open_groups.empty()) return shared_.config.named_clients ? joining::refused : joining::allowed;
    return topic_rights(on.open_groups).allow(group) ? joining::allowed : joining::refused;
}

interest session::allowed_part(std::size_t channel, interest wanted) const {
    const topic_rights& may = rights().channels[channel].consume;
    if (may.none()) return {};
    if (!may.all()) {
        if (wanted.all_topics) {
            wanted.all_topics = false;
            wanted.topics = {may.patterns().begin(), may.patterns().end()};
        } else {
            std::erase_if(wanted.topics, [&](const std::string& topic) { return !may.cover(topic); });
        }
        if (wanted.topics.empty()) return {};
    }
    std::erase_if(wanted.groups,
                  [&](const std::string& group) { return may_join(channel, group) == joining::refused; });
    return wanted;
}

// To be called with what a client asks for; remembers what it does not get, for the next token.
interest session::narrowed(std::size_t channel, const interest& wanted) {
    interest allowed = allowed_part(channel, wanted);
    if (authority_ && (allowed != wanted || authority_->wanted.contains(channel)))
        join(authority_->wanted[channel], wanted);
    return allowed;
}

// A group that a token has let it into and this one doesn't: the channel's service was never asked.
bool session::was_granted(const client_rights& before, std::size_t channel, const std::string& group) const {
    return before.may_join(group) && may_join(channel, group) == joining::ask;
}

// Of consumes that wait for a service's word about other groups.
void session::withdraw_pending(const client_rights& before) {
    if (!pending_.there()) return;
    for (const auto& pending : pending_.get())
        for (auto& [channel, wanted] : pending->wanted)
            std::erase_if(wanted.groups, [&, on = channel](const std::string& group) {
                return !pending->joins.contains({on, group}) && was_granted(before, on, group);
            });
}

// With other rights than before. True: it hears something else now.
bool session::hear_what_is_allowed(const client_rights& before) {
    bool changed = false;
    for (std::size_t i = 0; i < shared_.channels.size(); ++i) {
        auto& heard = shared_.channels[i].heard;
        const auto has = heard.find(self_);
        const auto remembered = authority_->wanted.find(i);
        if (!has && remembered == authority_->wanted.end()) continue;
        interest wanted = has.value_or(interest{});
        if (remembered != authority_->wanted.end()) join(wanted, remembered->second);
        interest allowed = allowed_part(i, wanted);
        // What a service has let it into it keeps; what it has not been asked about stays left.
        std::erase_if(allowed.groups, [&](const std::string& group) {
            const bool heard_now = has && has->groups.contains(group);
            return was_granted(before, i, group) || (!heard_now && may_join(i, group) == joining::ask);
        });
        if (allowed == wanted) {
            authority_->wanted.erase(i);
        } else {
            authority_->wanted[i] = std::move(wanted);
        }
        if (allowed == has.value_or(interest{})) continue;
        changed = true;
        for (const std::string& group : allowed.groups)
            if (!has || !has->groups.contains(group)) note_join(i, group, std::nullopt);
        if (allowed.names_nothing()) {
            leave_channel(i, {});
        } else if (!has) {
            begin_to_hear(i, allowed);
        } else {
            heard.set(self_, allowed);
            if (auto* const behind = resuming_on(i)) read_interest(*behind);
        }
    }
    return changed;
}

}  // namespace foz::aggregator
