#include "aggregator/feed/peers.hpp"

#include "base/json.hpp"
#include "contract/message_id.hpp"
#include "contract/names.hpp"
#include "contract/own_queue.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::size_t closed_at_once_max = 100;
constexpr std::int32_t peer_messages_max = 10'000;
constexpr std::int32_t peer_octets_max = 64 * 1024 * 1024;
// One behind the other: the others find holes by numbers.
constexpr std::string_view peer_key = "peers";

contract::own_queue peer_queue() {
    contract::own_queue made;
    made.prefix = contract::internal_exchange;
    made.exchange = contract::internal_exchange;
    made.keys = {""};
    made.arguments = {
        {"x-max-length", peer_messages_max}, {"x-max-length-bytes", peer_octets_max}, {"x-overflow", "drop-head"}};
    return made;
}

}  // namespace

peers::peers(amqp::client& consume, amqp::client& publish, const settings& all, peers_listener& listener)
    : settings_(all),
      listener_(listener),
      client_(consume),
      self_(consume.home().random().token()),
      roster_(self_, all.presence_lease, *this),
      publisher_(publish),
      link_(consume.open_channel(*this)) {
    publisher_.set_recipe([this](amqp::channel& on) { return settings_.topology->ensure(on); });
}

peers::~peers() {
    link_->close();
}

boost::asio::awaitable<amqp::result<void>> peers::set_up(amqp::channel& self) {
    auto ready = co_await settings_.topology->ensure(self);
    if (!ready) co_return ready;
    auto made = co_await contract::consume_own_queue(self, peer_queue());
    if (!made) co_return std::unexpected(made.error());
    co_return amqp::result<void>{};
}

void peers::on_ready(amqp::channel&) {
    roster_.on_attached(client_.home().time().now());
    on_beat();
}

void peers::on_delivery(amqp::channel&, const amqp::delivery& message) {
    auto said = parse_peer_message(message.body);
    if (!said) return;
    if (said->from != self_) ++counters_.heard;
    roster_.on_message(*said, client_.home().time().now());
    if (said->what == peer_message::kind::told && said->from != self_)
        listener_.on_told({client_id(said->client), std::move(said->request), std::move(said->json)});
}

void peers::on_beat() {
    roster_.on_beat(client_.home().time().now());
    beat_timer_.start(client_.home().wheel(), settings_.presence_lease / roster::beats_in_lease);
}

void peers::note(std::size_t channel, std::string client, std::string session, bool here) {
    roster_.note({settings_.channels[channel].name, std::move(client), std::move(session)}, here);
    // At once, and what comes until that is confirmed in one piece.
    if (changes_ == 0) roster_.flush();
}

void peers::tell(told_message what) {
    ++counters_.passed_on;
    say({.what = peer_message::kind::told,
         .from = self_,
         .client = what.client.str(),
         .request = std::move(what.request),
         .json = std::move(what.json),
         .device = std::move(what.device)});
}

void peers::leave() {
    roster_.flush();
    say({.what = peer_message::kind::leaving, .from = self_});
}

void peers::say(peer_message what) {
    using kind = peer_message::kind;
    const bool beat = what.what == kind::alive;
    // While the broker takes nothing they do not pile up.
    if (beat && std::exchange(beats_, true)) return;
    amqp::publication p;
    p.exchange = contract::internal_exchange;
    p.body = to_json(what);
    p.properties.content_type = "application/json";
    p.properties.type = contract::type_peer;
    const bool ordered = what.what != kind::told;
    const bool change = what.what == kind::presence;
    changes_ += change;
    publisher_.publish(std::move(p),
                       {.key = ordered ? std::string(peer_key) : what.client,
                        .ordered = ordered,
                        .deadline = client_.home().time().now() + settings_.publish_timeout},
                       [this, beat, change](amqp::outcome) {
                           if (beat) beats_ = false;
                           if (change && --changes_ == 0) roster_.flush();
                       });
}

void peers::tell_closed(const std::string& whom, const std::set<present_session>& sessions) {
    const auto made = std::make_shared<closing>();
    made->whom = whom;
    // Channels of another configuration are nothing that we could speak for.
    std::ranges::copy_if(sessions, std::back_inserter(made->left), [&](const present_session& one) {
        return std::ranges::any_of(settings_.channels, [&](const contract::channel_settings& channel) {
            return channel.presence && channel.name == one.channel;
        });
    });
    go_on(made);
}

// Some at a time: there may be very many.
void peers::go_on(const std::shared_ptr<closing>& with) {
    if (with->failed) with->left.clear();
    for (; with->under_way < closed_at_once_max && !with->left.empty(); with->left.pop_back()) {
        ++with->under_way;
        publisher_.publish(
            closed_event(with->left.back()), settings_.publish_timeout, [this, with](amqp::outcome result) {
                --with->under_way;
                // No queue takes it: no service wants to know.
                const bool settled = result == amqp::outcome::confirmed || result == amqp::outcome::unroutable ||
                                     result == amqp::outcome::invalid;
                settled ? void(++counters_.closed_told) : void(with->failed = true);
                go_on(with);
            });
    }
    if (with->under_way == 0 && with->left.empty()) roster_.told_closed(with->whom, !with->failed);
}

// As the session itself would have said it. Whoever says it says it under this id.
amqp::publication peers::closed_event(const present_session& who) const {
    amqp::publication p;
    p.exchange = contract::inbound_exchange;
    p.routing_key = who.channel;
    p.body = "{\"client\":" + json_string(who.client) + ",\"session\":" + json_string(who.session) + "}";
    p.properties.content_type = "application/json";
    p.properties.delivery_mode = 2;
    const auto now = unix_ms(client_.home().time().wall_now());
    p.properties.timestamp = static_cast<std::uint64_t>(now.count() / 1000);
    p.properties.type = contract::type_closed;
    p.properties.message_id = contract::message_id(who.client, std::nullopt,
                                                   who.session + "." + std::string(contract::type_closed) + ".lease");
    amqp::table headers;
    headers.set(contract::header_client, who.client);
    headers.set(contract::header_session, who.session);
    p.properties.headers = std::move(headers);
    return p;
}

void peers::tell_opened_again() {
    listener_.on_given_up();
}

}  // namespace foz::aggregator
