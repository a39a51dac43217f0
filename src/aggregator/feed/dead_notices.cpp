#include "aggregator/feed/dead_notices.hpp"

#include "base/json.hpp"
#include "contract/names.hpp"

namespace foz::aggregator {
namespace {

constexpr std::uint16_t notices_prefetch = 50;

amqp::basic_qos qos() {
    amqp::basic_qos method;
    method.prefetch_count = notices_prefetch;
    return method;
}

amqp::basic_consume consume() {
    amqp::basic_consume method;
    method.queue = contract::dead_notice_queue;
    return method;
}

// "timeout" for what expired before a service took it, "dead_lettered" for what was given up.
std::string code_of(const amqp::basic_properties& properties) {
    const auto* const headers = properties.headers ? &*properties.headers : nullptr;
    const auto reason = amqp::as_string(headers ? headers->find("x-first-death-reason") : nullptr);
    return reason == "expired" ? "timeout" : "dead_lettered";
}

amqp::publication error_for(const amqp::basic_properties& dead) {
    const std::string code = code_of(dead);
    amqp::publication p;
    p.routing_key = *dead.reply_to;  // through the default exchange, as any RPC answer
    p.properties.content_type = "application/json";
    p.properties.delivery_mode = 2;
    p.properties.type = contract::type_error;
    p.properties.correlation_id = dead.correlation_id;
    p.properties.message_id = dead.message_id.value_or("") + "/" + code;
    p.properties.headers.emplace().set(contract::header_error, code);
    if (code == "dead_lettered" && dead.message_id)
        p.properties.headers->set(contract::header_dead_letter, *dead.message_id);
    p.body = "{\"code\":" + json_string(code) + "}";
    return p;
}

}  // namespace

dead_notices::dead_notices(amqp::client& consume, amqp::client& publish, const settings& all)
    : settings_(all), out_(publish, all.channels), link_(consume.open_channel(*this)) {}

dead_notices::~dead_notices() {
    link_->close();
}

boost::asio::awaitable<amqp::result<void>> dead_notices::set_up(amqp::channel& self) {
    auto declared = co_await settings_.topology->ensure(self);
    if (!declared) co_return declared;
    auto limited = co_await self.call(qos());
    if (!limited) co_return std::unexpected(limited.error());
    auto consuming = co_await self.call(consume());
    if (!consuming) co_return std::unexpected(consuming.error());
    co_return amqp::result<void>{};
}

void dead_notices::on_delivery(amqp::channel& self, const amqp::delivery& notice) {
    if (!notice.properties.reply_to || !notice.properties.correlation_id) {
        ++counters_.nobody;
        return self.ack(notice.id);
    }
    out_.publish(error_for(notice.properties), self.owner()->home().time().now() + settings_.publish_timeout,
                 [this, link = link_, id = notice.id](amqp::outcome result) {
                     // A volatile caller's queue may be gone with its aggregator: nobody is left to tell.
                     const bool settled = result == amqp::outcome::confirmed || result == amqp::outcome::unroutable ||
                                          result == amqp::outcome::invalid;
                     if (settled) ++(result == amqp::outcome::confirmed ? counters_.told : counters_.nobody);
                     settled ? link->ack(id) : link->nack(id, true);
                 });
}

}  // namespace foz::aggregator
