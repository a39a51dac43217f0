#include "broker/front/channel.hpp"

#include "broker/front/connection.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

namespace foz::broker {
namespace {

using amqp::reply_code;

std::uint32_t count32(std::size_t count) {
    return static_cast<std::uint32_t>(std::min<std::size_t>(count, 0xffff'ffff));
}

}  // namespace

channel::channel(connection& home, std::uint16_t number)
    : home_(home), number_(number), assembler_(home.limits().message_bytes_max, amqp::properties_as::encoded) {}

channel::~channel() = default;

void channel::on_message(amqp::message& received) {
    if (closing_) {
        if (std::holds_alternative<amqp::channel_close_ok>(received.method)) closed_ = true;
        if (std::holds_alternative<amqp::channel_close>(received.method)) {
            home_.send(number_, amqp::channel_close_ok{});
            closed_ = true;
        }
        return;
    }
    if (std::holds_alternative<amqp::channel_close>(received.method)) {
        release();
        home_.send(number_, amqp::channel_close_ok{});
        closed_ = true;
        return;
    }
    result<void> done;
    if (const auto* const sent = std::get_if<amqp::basic_publish>(&received.method))
        done = publish(*sent, received);
    else
        done = std::visit([this](const auto& m) { return on(m); }, received.method);
    if (done) return;
    const amqp::method_info& what = amqp::info(received.method);
    fail(done.error(), what.class_id, what.method_id);
}

void channel::fail(const refusal& why, std::uint16_t class_id, std::uint16_t method_id) {
    if (amqp::scope_of(why.code) == amqp::error_scope::connection) return home_.fail(why, class_id, method_id);
    closing_ = true;
    release();
    amqp::channel_close said;
    said.reply_code = static_cast<std::uint16_t>(why.code);
    said.reply_text = amqp::reply_text({.code = why.code, .text = why.text});
    said.failing_class_id = class_id;
    said.failing_method_id = method_id;
    home_.send(number_, said);
}

void channel::release() {
    touched_queues touched;
    give_back(touched);
    leave(touched);
}

void channel::give_back(touched_queues& touched) {
    // What comes back from here goes to others, not to another consumer of this channel that is about to leave.
    released_ = true;
    end_replies();
    flush_confirms();
    unconfirmed_.clear();
    transaction_.reset();
    for (unacked_entry& one : unacked_) settle(one, outcome::give_back, touched);
    unacked_.clear();
    unacked_count_ = 0;
}

void channel::leave(const touched_queues& touched) {
    auto leaving = std::move(subscriptions_);
    subscriptions_.clear();
    by_number_.clear();
    for (const auto& [tag, one] : leaving) one->from->cancel(*one);
    deliver_again(touched);
}

void channel::tell(std::vector<consumer_info>& consumers) const {
    for (const auto& [tag, one] : subscriptions_)
        consumers.push_back({.vhost = one->from->identity().vhost,
                             .queue = one->from->name(),
                             .tag = tag,
                             .channel = number_,
                             .prefetch = one->prefetch,
                             .unacknowledged = one->unacked,
                             .no_ack = one->no_ack,
                             .exclusive = one->exclusive,
                             .priority = one->priority});
}

template <class Method>
result<void> channel::on(const Method& m) {
    const amqp::method_info& what = amqp::info(amqp::method(m));
    if constexpr (std::is_same_v<Method, amqp::channel_open>)
        return refuse(reply_code::channel_error, "second 'channel.open' seen");
    else if constexpr (std::is_same_v<Method, amqp::basic_cancel_ok> || std::is_same_v<Method, amqp::channel_flow_ok>)
        return {};
    return refuse(reply_code::command_invalid, "unexpected method " + std::string(what.name));
}

void channel::answer(bool no_wait, const amqp::method& m) {
    if (!no_wait) home_.send(number_, m);
}

result<void> channel::require(permission what, std::string_view kind, const std::string& name) {
    if (home_.allows(what, name)) return {};
    return refuse(reply_code::access_refused, "access to " + std::string(kind) + " '" + name + "' in vhost '" +
                                                  home_.home_vhost().name() + "' refused for user '" + home_.user() +
                                                  "'");
}

// What messages go on to without their publisher has to be writable, and what they are taken from readable.
result<void> channel::may_declare(const amqp::exchange_declare& m) {
    if (auto allowed = require(permission::configure, "exchange", m.exchange); !allowed) return allowed;
    const auto next = amqp::as_string(m.arguments.find("alternate-exchange"));
    if (!next || home_.home_vhost().exchanges().contains(m.exchange)) return {};
    if (auto allowed = require(permission::read, "exchange", m.exchange); !allowed) return allowed;
    return require(permission::write, "exchange", std::string(*next));
}

result<void> channel::may_declare(const amqp::queue_declare& m) {
    // A name that is still to be made: permissions know it by its beginning.
    const std::string name = m.queue.empty() ? "amq.gen-" : m.queue;
    if (auto allowed = require(permission::configure, "queue", name); !allowed) return allowed;
    const auto next = amqp::as_string(m.arguments.find("x-dead-letter-exchange"));
    if (!next || home_.home_vhost().queues().contains(name)) return {};
    if (auto allowed = require(permission::read, "queue", name); !allowed) return allowed;
    return require(permission::write, "exchange", std::string(*next));
}

result<std::string> channel::named(const std::string& queue) const {
    if (!queue.empty()) return queue;
    if (last_queue_.empty()) return refuse(reply_code::not_found, "no previously declared queue");
    return last_queue_;
}

result<void> channel::on(const amqp::channel_flow& m) {
    if (!m.active) return refuse(reply_code::not_implemented, "active=false");
    amqp::channel_flow_ok done;
    done.active = true;
    home_.send(number_, done);
    return {};
}

result<void> channel::on(const amqp::exchange_declare& m) {
    if (m.passive) {
        if (m.exchange.empty())
            return refuse(reply_code::access_refused, "operation not permitted on the default exchange");
        const auto found = home_.home_vhost().find_exchange(m.exchange);
        if (!found) return std::unexpected(found.error());
    } else {
        if (auto allowed = may_declare(m); !allowed) return allowed;
        const auto declared = home_.home_vhost().declare(exchange_request{.name = m.exchange,
                                                                          .type = m.type,
                                                                          .durable = m.durable,
                                                                          .auto_delete = m.auto_delete,
                                                                          .internal = m.internal,
                                                                          .arguments = m.arguments});
        if (!declared) return declared;
    }
    answer(m.no_wait, amqp::exchange_declare_ok{});
    return {};
}

result<void> channel::on(const amqp::exchange_delete& m) {
    if (auto allowed = require(permission::configure, "exchange", m.exchange); !allowed) return allowed;
    if (auto done = home_.home_vhost().delete_exchange(m.exchange, m.if_unused); !done) return done;
    answer(m.no_wait, amqp::exchange_delete_ok{});
    return {};
}

result<void> channel::on(const amqp::exchange_bind& m) {
    if (auto allowed = require(permission::write, "exchange", m.destination); !allowed) return allowed;
    if (auto allowed = require(permission::read, "exchange", m.source); !allowed) return allowed;
    const auto done = home_.home_vhost().bind({.source = m.source,
                                               .destination = m.destination,
                                               .to_exchange = true,
                                               .routing_key = m.routing_key,
                                               .arguments = m.arguments},
                                              home_.owner());
    if (done) answer(m.no_wait, amqp::exchange_bind_ok{});
    return done;
}

result<void> channel::on(const amqp::exchange_unbind& m) {
    if (auto allowed = require(permission::write, "exchange", m.destination); !allowed) return allowed;
    if (auto allowed = require(permission::read, "exchange", m.source); !allowed) return allowed;
    const auto done = home_.home_vhost().unbind({.source = m.source,
                                                 .destination = m.destination,
                                                 .to_exchange = true,
                                                 .routing_key = m.routing_key,
                                                 .arguments = m.arguments},
                                                home_.owner());
    if (done) answer(m.no_wait, amqp::exchange_unbind_ok{});
    return done;
}

result<void> channel::on(const amqp::queue_declare& m) {
    if (is_reply_queue(m.queue)) return declare_reply_queue(m);
    result<queue*> found;
    if (m.passive) {
        // By name alone: RabbitMQ does not take an empty one for the last declared queue here.
        found = home_.home_vhost().find_queue(m.queue, home_.owner());
    } else {
        if (auto allowed = may_declare(m); !allowed) return allowed;
        found = home_.home_vhost().declare(
            queue_request{.name = m.queue,
                          .flags = {.durable = m.durable, .exclusive = m.exclusive, .auto_delete = m.auto_delete},
                          .arguments = m.arguments},
            home_.owner());
    }
    if (!found) return std::unexpected(found.error());
    last_queue_ = (*found)->name();
    amqp::queue_declare_ok done;
    done.queue = last_queue_;
    done.message_count = count32((*found)->ready_count());
    // Of a stream RabbitMQ counts neither messages nor readers.
    if ((*found)->settings().kind != queue_kind::stream) done.consumer_count = count32((*found)->consumer_count());
    answer(m.no_wait, done);
    return {};
}

result<void> channel::on(const amqp::queue_delete& m) {
    const auto name = named(m.queue);
    if (!name) return std::unexpected(name.error());
    if (auto allowed = require(permission::configure, "queue", *name); !allowed) return allowed;
    const auto count =
        home_.home_vhost().delete_queue(*name, {.if_unused = m.if_unused, .if_empty = m.if_empty}, home_.owner());
    if (!count) return std::unexpected(count.error());
    amqp::queue_delete_ok done;
    done.message_count = count32(*count);
    answer(m.no_wait, done);
    return {};
}

result<void> channel::on(const amqp::queue_bind& m) {
    const auto name = named(m.queue);
    if (!name) return std::unexpected(name.error());
    if (auto allowed = require(permission::write, "queue", *name); !allowed) return allowed;
    if (auto allowed = require(permission::read, "exchange", m.exchange); !allowed) return allowed;
    // Without both names: the queue's name is the key too (AMQP 0-9-1, queue.bind).
    const bool unnamed = m.queue.empty() && m.routing_key.empty();
    const auto done = home_.home_vhost().bind({.source = m.exchange,
                                               .destination = *name,
                                               .routing_key = unnamed ? *name : m.routing_key,
                                               .arguments = m.arguments},
                                              home_.owner());
    if (done) answer(m.no_wait, amqp::queue_bind_ok{});
    return done;
}

result<void> channel::on(const amqp::queue_unbind& m) {
    const auto name = named(m.queue);
    if (!name) return std::unexpected(name.error());
    if (auto allowed = require(permission::write, "queue", *name); !allowed) return allowed;
    if (auto allowed = require(permission::read, "exchange", m.exchange); !allowed) return allowed;
    const auto done = home_.home_vhost().unbind(
        {.source = m.exchange, .destination = *name, .routing_key = m.routing_key, .arguments = m.arguments},
        home_.owner());
    if (done) answer(false, amqp::queue_unbind_ok{});
    return done;
}

result<void> channel::on(const amqp::queue_purge& m) {
    const auto name = named(m.queue);
    if (!name) return std::unexpected(name.error());
    if (auto allowed = require(permission::read, "queue", *name); !allowed) return allowed;
    const auto found = home_.home_vhost().find_queue(*name, home_.owner());
    if (!found) return std::unexpected(found.error());
    const auto count = (*found)->purge();
    if (!count) return std::unexpected(count.error());
    amqp::queue_purge_ok done;
    done.message_count = count32(*count);
    answer(m.no_wait, done);
    return {};
}

}  // namespace foz::broker
