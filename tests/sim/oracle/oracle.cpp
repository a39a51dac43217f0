// What clients say: it is handled, answered, acknowledged when it is safe, and in its order.
#include "oracle/oracle.hpp"

#include "amqp/codec/property_view.hpp"
#include "clients/client.hpp"
#include "contract/correlation.hpp"
#include "contract/names.hpp"

#include <algorithm>
#include <charconv>
#include <tuple>

namespace foz::sim {

oracle::oracle(environment& around, findings& found) : around_(around), found_(found) {
    streams_.resize(around.with.channels.size());
    for (auto& one : streams_) one.generations.push_back(0);
    listeners_.resize(around.with.clients);
    for (auto& one : listeners_) one.channels.resize(around.with.channels.size());
}

void oracle::on_published(const amqp::publication& what, const process& by) {
    const std::string id = what.properties.message_id.value_or("");
    around_.log.mix(id);
    around_.log.say("broker", "takes {} for {}{} from {}", id, what.exchange.empty() ? "queue " : what.exchange + " ",
                    what.routing_key, by.name());
    if (what.exchange == contract::outbound_exchange) note_volatile(what);
}

void oracle::on_dead(const broker::message_ref& what) {
    const std::int64_t number = number_in(what->body());
    around_.log.say("broker", "has given message {} up", number);
    excuse(number);
}

void oracle::submits(client& who, const publish_wish& what, const std::string& id) {
    inbound& made = inbound_[what.number];
    made.client = who.index();
    made.order = ++said_;
    made.identity = who.identity();
    made.channel = what.channel;
    made.id = id;
    made.answer = what.answer;
    made.plugin = who.plugin();
    made.session = who.open() ? who.session() : 0;
    if (!id.empty()) numbers_by_id_[who.identity() + "/" + id] = what.number;
    sharing_[who.identity()].insert(who.index());
}

std::int64_t oracle::number_of(const client& who, const std::string& id) const {
    const auto at = numbers_by_id_.find(who.identity() + "/" + id);
    return at == numbers_by_id_.end() ? 0 : at->second;
}

void oracle::handled(std::int64_t number, std::size_t channel, const std::string& by) {
    const auto at = inbound_.find(number);
    if (at == inbound_.end()) return;
    inbound& one = at->second;
    // A request that has timed out may be asked again, and comes later then.
    if (one.handled++ > 0 || one.answer || one.unknown) return;
    if (around_.with.channels[channel].order != contract::order_kind::client) return;
    const std::pair key(by, channel);
    // What was told to try again comes later, and two pages of one name know nothing of each other.
    if (disordered_.contains(key) || sharing_[by].size() > 1) return;
    found_.compared(invariant::out_of_order);
    auto& [order, last] = last_handled_[key];
    if (one.order < order)
        found_.add(invariant::out_of_order, "message {} of {} on {} is handled after {}", number, by,
                   around_.with.channels[channel].name, last);
    if (one.order > order) std::tie(order, last) = std::pair(one.order, number);
}

void oracle::told_confirmed(const process& who, const std::string& id) {
    found_.compared(invariant::acknowledged);
    if (!confirmed_.contains(id))
        found_.add(invariant::acknowledged, "{} is told that {} is confirmed, which no queue has taken", who.name(),
                   id);
}

void oracle::excuse(std::int64_t number) {
    inbound_[number].excused = true;
}

void oracle::gets_receipt(client& who, std::int64_t number) {
    const auto at = inbound_.find(number);
    if (at == inbound_.end()) return;
    ++receipts_;
    at->second.receipt = true;
    found_.compared(invariant::acknowledged);
    if (!confirmed_.contains(at->second.identity + "/" + at->second.id))
        found_.add(invariant::acknowledged, "{} gets the receipt of message {}, which the broker has not confirmed",
                   who.name(), number);
}

void oracle::gets_answer(client& who, std::int64_t number, const heard& frame) {
    const auto at = inbound_.find(number);
    if (at == inbound_.end()) return;
    ++answers_;
    inbound& one = at->second;
    one.answered = true;
    found_.compared(invariant::answered);
    // A receipt where the page has asked for no more.
    if (frame.event == "answer" && frame.number != number)
        found_.add(invariant::protocol, "{} asked {} and is answered {}", who.name(), number,
                   frame.number.value_or(-1));
    if (frame.event == "answer" && one.handled == 0)
        found_.add(invariant::acknowledged, "{} is answered {}, which nobody has handled", who.name(), number);
}

void oracle::fails(client& who, std::int64_t number, const heard& frame) {
    ++errors[frame.code];
    if (number == 0) refuse_consume(who, frame);
    const auto at = inbound_.find(number);
    if (at == inbound_.end() || number == 0) return;
    at->second.failed = true;
    found_.compared(invariant::answered);
}

void oracle::must_try_again(client&, std::int64_t number) {
    const auto at = inbound_.find(number);
    if (at == inbound_.end()) return;
    ++errors["again"];
    at->second.retried = true;
    disordered_.insert({at->second.identity, at->second.channel});
}

void oracle::given_up(std::int64_t number) {
    const auto at = inbound_.find(number);
    if (at != inbound_.end()) disordered_.insert({at->second.identity, at->second.channel});
}

namespace {

std::int64_t number_behind(std::string_view key, std::string_view text) {
    const std::size_t at = text.find(key);
    std::int64_t number = 0;
    if (at != std::string_view::npos) std::from_chars(text.data() + at + key.size(), text.data() + text.size(), number);
    return number;
}

}  // namespace

std::int64_t oracle::number_answered(std::string_view text) {
    return number_behind("\"responseId\":\"r", text);
}

std::int64_t oracle::number_asked(std::string_view text) {
    return number_behind("\"requestId\":\"r", text);
}

void oracle::may_have_heard(std::int64_t number) {
    if (const auto at = inbound_.find(number); at != inbound_.end()) at->second.told = true;
}

std::int64_t oracle::number_in(std::string_view body) {
    constexpr std::string_view begin = "{\"n\":";
    std::int64_t number = 0;
    if (body.starts_with(begin)) std::from_chars(body.data() + begin.size(), body.data() + body.size(), number);
    return number;
}

void oracle::answer_appears(std::string_view body, std::size_t index) {
    const auto at = inbound_.find(number_in(body));
    if (at == inbound_.end() || at->second.answer_in_stream) return;
    at->second.answer_in_stream = around_.time.now();
    at->second.answer_index = index;
}

// Who waits: the plugin for everything; a stock page for what it has asked on the socket that it still has, and for
// answers that have come since it has had this one: primus-responder's callbacks survive a reconnect. What went into a
// socket that showed life afterwards, and died all the same, nobody tells again.
std::optional<finding> oracle::still_to_answer(const client& who) {
    for (const auto& [number, one] : inbound_) {
        if (one.identity.empty() || one.client != who.index() || one.answered || one.failed || one.receipt) continue;
        const bool same_socket = one.session != 0 && one.session == who.session();
        const bool came_since = one.answer_in_stream &&
                                *one.answer_in_stream > who.open_since() + std::chrono::seconds(1) &&
                                !is_gone(one.channel, one.answer_index);
        if (!one.plugin && (one.told || !one.answer || !(same_socket || came_since))) continue;
        return finding{invariant::answered,
                       fmt::format("{} ({}) waits for what became of message {} on {}", who.name(),
                                   one.plugin ? "plugin" : "stock", number, around_.with.channels[one.channel].name)};
    }
    return std::nullopt;
}

std::optional<finding> oracle::still_to_handle() const {
    for (const auto& [number, one] : inbound_) {
        if (!one.receipt || one.handled > 0 || one.excused) continue;
        return finding{invariant::lost, fmt::format("message {} of client{} on {} has its receipt and is not handled",
                                                    number, one.client, around_.with.channels[one.channel].name)};
    }
    return std::nullopt;
}

std::optional<finding> oracle::unfinished(const std::vector<client*>& all) {
    for (client* const who : all) {
        if (!who->open()) return finding{invariant::silence, who->name() + " does not get back in"};
        if (auto left = still_to_answer(*who)) return left;
        for (std::size_t channel = 0; channel < around_.with.channels.size(); ++channel)
            if (auto left = still_to_hear(*who, channel)) return left;
    }
    return still_to_handle();
}

}  // namespace foz::sim
