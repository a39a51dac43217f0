#include "aggregator/feed/control.hpp"

#include "contract/names.hpp"

#include <chrono>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::size_t pending_max = 1'024;
constexpr std::chrono::milliseconds of_use_for = std::chrono::seconds(5);

}  // namespace

control::control(amqp::client& publish, const settings& all) : settings_(all), publisher_(publish) {
    publisher_.set_recipe([this](amqp::channel& on) { return settings_.topology->ensure(on); });
}

void control::tell_cancelled(std::size_t channel, const std::string& client, std::string message_id) {
    if (publisher_.pending() >= pending_max) {
        ++counters_.given_up;
        return;
    }
    amqp::publication p;
    p.exchange = contract::control_exchange;
    p.routing_key = contract::control_key(settings_.channels[channel].name);
    p.mandatory = false;  // nobody may care
    p.body = "null";
    p.properties.content_type = "application/json";
    p.properties.type = contract::type_cancel;
    p.properties.correlation_id = std::move(message_id);
    p.properties.headers.emplace().set(contract::header_client, client);
    publisher_.publish(std::move(p), of_use_for, [this](amqp::outcome result) {
        ++(result == amqp::outcome::confirmed ? counters_.told : counters_.given_up);
    });
}

}  // namespace foz::aggregator
