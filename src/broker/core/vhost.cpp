#include "broker/core/vhost.hpp"

#include "broker/core/stream.hpp"
#include "broker/core/work_queue.hpp"

#include <algorithm>
#include <array>

namespace foz::broker {
namespace {

using amqp::reply_code;

constexpr std::string_view reserved_prefix = "amq.";

// The arguments that a second declaration has to repeat.
constexpr std::array compared_arguments{"x-queue-type",
                                        "x-expires",
                                        "x-message-ttl",
                                        "x-dead-letter-exchange",
                                        "x-dead-letter-routing-key",
                                        "x-dead-letter-strategy",
                                        "x-max-length",
                                        "x-max-length-bytes",
                                        "x-overflow",
                                        "x-single-active-consumer",
                                        "x-delivery-limit",
                                        "x-max-age",
                                        "x-stream-max-segment-size-bytes",
                                        "x-initial-cluster-size"};

std::string quoted(std::string_view kind, std::string_view name, std::string_view vhost) {
    return std::string(kind).append(" '").append(name).append("' in vhost '").append(vhost).append("'");
}

}  // namespace

vhost::vhost(std::string name, vhost_home& home, policy_list policies)
    : name_(std::move(name)), home_(home), policies_(std::move(policies)) {
    const auto add = [this](std::string called, exchange_kind kind, bool internal = false) {
        return &make_exchange(
            {.name = std::move(called), .kind = kind, .durable = true, .internal = internal, .arguments = {}});
    };
    default_exchange_ = add("", exchange_kind::direct);
    add("amq.direct", exchange_kind::direct);
    add("amq.fanout", exchange_kind::fanout);
    add("amq.topic", exchange_kind::topic);
    add("amq.headers", exchange_kind::headers);
    add("amq.match", exchange_kind::headers);
    add("amq.rabbitmq.trace", exchange_kind::topic, true);
}

vhost::~vhost() = default;

exchange& vhost::make_exchange(exchange_identity identity) {
    const std::string name = identity.name;
    const policy_settings* const said = name.empty() ? nullptr : policies_.of_exchange(name);
    auto made =
        std::make_unique<exchange>(std::move(identity), said ? said->alternate_exchange.value_or("") : std::string());
    return *exchanges_.emplace(name, std::move(made)).first->second;
}

queue* vhost::look_up(std::string_view name) const {
    const auto at = queues_.find(name);
    return at == queues_.end() ? nullptr : at->second.get();
}

exchange* vhost::look_up_exchange(std::string_view name) const {
    const auto at = exchanges_.find(name);
    return at == exchanges_.end() ? nullptr : at->second.get();
}

result<queue*> vhost::find_queue(std::string_view name, owner_id who) {
    queue* const found = look_up(name);
    if (!found) return refuse(reply_code::not_found, "no " + quoted("queue", name, name_));
    const queue_identity& is = found->identity();
    if (is.flags.exclusive && is.owner != who)
        return refuse(reply_code::resource_locked,
                      "cannot obtain exclusive access to locked " + found->described() +
                          ". It could be originally declared on another connection or the exclusive property value "
                          "does not match that of the original declaration.");
    return found;
}

result<queue*> vhost::check_same(queue& known, const queue_request& wish, const queue_settings&) const {
    const queue_identity& is = known.identity();
    const std::string described = known.described();
    if (is.flags.exclusive != wish.flags.exclusive)
        return refuse(reply_code::resource_locked,
                      "cannot obtain exclusive access to locked " + described +
                          ". It could be originally declared on another connection or the exclusive property value "
                          "does not match that of the original declaration.");
    if (auto same = require_same("durable", wish.flags.durable, is.flags.durable, described); !same)
        return std::unexpected(same.error());
    if (auto same = require_same("auto_delete", wish.flags.auto_delete, is.flags.auto_delete, described); !same)
        return std::unexpected(same.error());
    for (const char* const name : compared_arguments)
        if (auto same = require_same(name, wish.arguments, is.arguments, described); !same)
            return std::unexpected(same.error());
    return &known;
}

std::shared_ptr<queue> vhost::make_queue(queue_identity identity) {
    if (const policy_settings* const said = policies_.of_queue(identity.name, identity.settings.kind))
        merge(identity.settings, identity.arguments, *said);
    auto log = home_.disk().open(identity.number, identity.flags.durable);
    if (identity.settings.kind == queue_kind::stream)
        return std::make_shared<stream>(std::move(identity), home_.around(), std::move(log));
    return std::make_shared<work_queue>(std::move(identity), home_.around(), std::move(log));
}

result<queue*> vhost::declare(const queue_request& wish, owner_id who) {
    const std::string name = wish.name.empty() ? home_.new_queue_name() : wish.name;
    if (look_up(name)) {
        const auto known = find_queue(name, who);
        if (!known) return known;
        const auto settings = read_arguments(wish.arguments, wish.flags, (*known)->described());
        if (!settings) return std::unexpected(settings.error());
        const auto same = check_same(**known, wish, *settings);
        if (same) (*known)->touch();
        return same;
    }
    if (!wish.name.empty() && name.starts_with(reserved_prefix) && who != 0)
        return refuse(reply_code::access_refused, "queue name '" + name + "' contains reserved prefix 'amq.*'");
    auto settings = read_arguments(wish.arguments, wish.flags, quoted("queue", name, name_));
    if (!settings) return std::unexpected(settings.error());
    // A queue that goes with its connection need not be on disk, whatever it says.
    queue_record record{name_, name, home_.new_queue_number(), wish.flags, wish.arguments};
    auto made = make_queue({.vhost = name_,
                            .name = name,
                            .number = record.number,
                            .flags = wish.flags,
                            .owner = wish.flags.exclusive ? who : 0,
                            .arguments = wish.arguments,
                            .settings = std::move(*settings)});
    queue* const result = made.get();
    queues_.emplace(name, std::move(made));
    if (wish.flags.durable && !wish.flags.exclusive) {
        auto [key, value] = encode(record);
        home_.disk().put_definition(std::move(key), std::move(value));
    }
    result->on_alarm();
    return result;
}

result<std::size_t> vhost::delete_queue(std::string_view name, delete_options options, owner_id who) {
    if (!look_up(name)) return std::size_t{0};
    const auto found = find_queue(name, who);
    if (!found) return std::unexpected(found.error());
    queue& gone = **found;
    const bool stream = gone.settings().kind == queue_kind::stream;  // RabbitMQ counts neither readers nor messages
    if (options.if_unused && !stream && gone.consumer_count() > 0)
        return refuse(reply_code::precondition_failed, gone.described() + " in use");
    if (options.if_empty && gone.ready_count() > 0)
        return refuse(reply_code::precondition_failed, gone.described() + " not empty");
    const std::size_t count = gone.ready_count();
    remove(gone);
    return count;
}

void vhost::remove(queue& gone) {
    const auto at = queues_.find(gone.name());
    if (at == queues_.end() || at->second.get() != &gone) return;
    const std::shared_ptr<queue> keep = std::move(at->second);
    queues_.erase(at);
    std::vector<std::string> going;
    unbind_destination({.to_queue = &gone}, going);
    const queue_identity& is = gone.identity();
    if (is.flags.durable && !is.flags.exclusive)
        home_.disk().remove_definition(encode(queue_record{name_, is.name, is.number, is.flags, {}}).key);
    gone.remove();
    remove(std::move(going));
}

void vhost::unbind_destination(destination to, std::vector<std::string>& going) {
    const auto found = sources_.find(to);
    if (found == sources_.end()) return;
    const std::vector<exchange*> sources = std::move(found->second);
    sources_.erase(found);
    for (exchange* const source : sources) {
        for (const binding& one : source->unbind_all(to))
            if (durable(*source, to)) home_.disk().remove_definition(encode(record_of(*source, one)).key);
        if (is_over(*source)) going.push_back(source->name());
    }
}

bool vhost::add_binding(exchange& source, binding made) {
    const destination to = made.to;
    const bool first = !source.binds(to);
    if (!source.bind(std::move(made))) return false;
    if (first) sources_[to].push_back(&source);
    return true;
}

void vhost::lost_binding(const exchange& source, destination to) {
    const auto found = sources_.find(to);
    if (found == sources_.end() || source.binds(to)) return;
    std::erase(found->second, &source);
    if (found->second.empty()) sources_.erase(found);
}

bool vhost::is_over(const exchange& source) noexcept {
    return source.identity().auto_delete && source.bindings().empty();
}

result<exchange*> vhost::find_exchange(std::string_view name) {
    exchange* const found = look_up_exchange(name);
    if (!found) return refuse(reply_code::not_found, "no " + quoted("exchange", name, name_));
    return found;
}

result<void> vhost::declare(const exchange_request& wish) {
    const auto kind = exchange_kind_of(wish.type);
    if (!kind) return refuse(reply_code::command_invalid, "unknown exchange type '" + wish.type + "'");
    if (wish.name.empty()) return refuse(reply_code::access_refused, "operation not permitted on the default exchange");
    if (const amqp::field_value* const alternate = wish.arguments.find("alternate-exchange");
        alternate && !amqp::as_string(alternate))
        return refuse(reply_code::precondition_failed, "invalid type '" + type_name(*alternate) +
                                                           "' for arg 'alternate-exchange' in " +
                                                           quoted("exchange", wish.name, name_));
    if (const exchange* const known = look_up_exchange(wish.name)) {
        const exchange_identity& is = known->identity();
        const std::string described = quoted("exchange", wish.name, name_);
        const auto quote = [](std::string_view text) { return "'" + std::string(text) + "'"; };
        if (auto same = require_same("type", quote(wish.type), quote(to_string(is.kind)), described); !same)
            return same;
        if (auto same = require_same("durable", wish.durable, is.durable, described); !same) return same;
        if (auto same = require_same("auto_delete", wish.auto_delete, is.auto_delete, described); !same) return same;
        if (auto same = require_same("internal", wish.internal, is.internal, described); !same) return same;
        return require_same("alternate-exchange", wish.arguments, is.arguments, described);
    }
    if (wish.name.starts_with(reserved_prefix))
        return refuse(reply_code::access_refused, "exchange name '" + wish.name + "' contains reserved prefix 'amq.*'");
    exchange_record record{name_,
                           {.name = wish.name,
                            .kind = *kind,
                            .durable = wish.durable,
                            .auto_delete = wish.auto_delete,
                            .internal = wish.internal,
                            .arguments = wish.arguments}};
    if (wish.durable) {
        auto [key, value] = encode(record);
        home_.disk().put_definition(std::move(key), std::move(value));
    }
    restore(record);
    return {};
}

result<void> vhost::delete_exchange(std::string_view name, bool if_unused) {
    if (name.empty()) return refuse(reply_code::access_refused, "operation not permitted on the default exchange");
    if (name.starts_with(reserved_prefix))
        return refuse(reply_code::access_refused,
                      "deletion of system " + quoted("exchange", name, name_) + " not allowed");
    exchange* const found = look_up_exchange(name);
    if (!found) return {};
    if (if_unused && !found->bindings().empty())
        return refuse(reply_code::precondition_failed, quoted("exchange", name, name_) + " in use");
    remove(*found);
    return {};
}

void vhost::remove(exchange& gone) {
    remove(std::vector{gone.name()});
}

// One that goes may take others with it, and these others: a list, since the chain may be as long as a client likes.
void vhost::remove(std::vector<std::string> going) {
    while (!going.empty()) {
        const auto at = exchanges_.find(going.back());
        going.pop_back();
        if (at == exchanges_.end()) continue;
        const std::unique_ptr<exchange> gone = std::move(at->second);
        exchanges_.erase(at);
        while (!gone->bindings().empty()) {
            const binding one = gone->bindings().front();
            if (durable(*gone, one.to)) home_.disk().remove_definition(encode(record_of(*gone, one)).key);
            gone->unbind(one);
            lost_binding(*gone, one.to);
        }
        if (gone->identity().durable)
            home_.disk().remove_definition(encode(exchange_record{name_, gone->identity()}).key);
        unbind_destination({.to_exchange = gone.get()}, going);
    }
}

bool vhost::durable(const exchange& source, const destination& to) {
    if (!source.identity().durable) return false;
    if (to.to_exchange) return to.to_exchange->identity().durable;
    const queue_flags& flags = to.to_queue->identity().flags;
    return flags.durable && !flags.exclusive;
}

binding_record vhost::record_of(const exchange& source, const binding& one) const {
    return {.vhost = name_,
            .exchange = source.name(),
            .to_exchange = one.to.to_exchange != nullptr,
            .destination = one.to.to_exchange ? one.to.to_exchange->name() : one.to.to_queue->name(),
            .routing_key = one.routing_key,
            .arguments = one.arguments};
}

result<destination> vhost::find_destination(const binding_request& wish, owner_id who) {
    if (wish.source.empty() || (wish.to_exchange && wish.destination.empty()))
        return refuse(reply_code::access_refused, "operation not permitted on the default exchange");
    if (wish.to_exchange) {
        const auto found = find_exchange(wish.destination);
        if (!found) return std::unexpected(found.error());
        return destination{.to_exchange = *found};
    }
    const auto found = find_queue(wish.destination, who);
    if (!found) return std::unexpected(found.error());
    return destination{.to_queue = *found};
}

result<void> vhost::bind(const binding_request& wish, owner_id who) {
    const auto to = find_destination(wish, who);
    if (!to) return std::unexpected(to.error());
    const auto source = find_exchange(wish.source);
    if (!source) return std::unexpected(source.error());
    if ((*source)->identity().kind == exchange_kind::headers) {
        const amqp::field_value* const match = wish.arguments.find("x-match");
        const auto word = amqp::as_string(match);
        const bool known = word == "all" || word == "any" || word == "all-with-x" || word == "any-with-x";
        if (match && !known) {
            if (!word)
                return refuse(reply_code::precondition_failed, "Invalid x-match field type " + type_name(*match) +
                                                                   " (value " + printed(*match) +
                                                                   "); expected longstr");
            return refuse(reply_code::precondition_failed, "Invalid x-match field value <<\"" + std::string(*word) +
                                                               "\">>; expected all, any, all-with-x, or any-with-x");
        }
    }
    binding made{.to = *to, .routing_key = wish.routing_key, .arguments = wish.arguments};
    const binding_record record = record_of(**source, made);
    if (!add_binding(**source, std::move(made)) || !durable(**source, *to)) return {};
    auto [key, value] = encode(record);
    home_.disk().put_definition(std::move(key), std::move(value));
    return {};
}

result<void> vhost::unbind(const binding_request& wish, owner_id who) {
    const auto to = find_destination(wish, who);
    if (!to) return std::unexpected(to.error());
    const auto source = find_exchange(wish.source);
    if (!source) return std::unexpected(source.error());
    const binding gone{.to = *to, .routing_key = wish.routing_key, .arguments = wish.arguments};
    const binding_record record = record_of(**source, gone);
    if (!(*source)->unbind(gone)) return {};
    if (durable(**source, *to)) home_.disk().remove_definition(encode(record).key);
    lost_binding(**source, *to);
    if (is_over(**source)) remove(**source);
    return {};
}

void vhost::leave(owner_id who) {
    std::vector<queue*> gone;
    for (const auto& [name, one] : queues_)
        if (one->identity().owner == who) gone.push_back(one.get());
    for (queue* const one : gone) remove(*one);
}

void vhost::restore(const queue_record& record) {
    auto settings = read_arguments(record.arguments, record.flags, quoted("queue", record.name, name_));
    if (!settings) return;  // an older version took them
    auto made = make_queue({.vhost = name_,
                            .name = record.name,
                            .number = record.number,
                            .flags = record.flags,
                            .owner = 0,
                            .arguments = record.arguments,
                            .settings = std::move(*settings)});
    queue* const restored = made.get();
    queues_.emplace(record.name, std::move(made));
    restored->recover();
}

void vhost::restore(const exchange_record& record) {
    make_exchange(record.identity);
}

void vhost::restore(const binding_record& record) {
    exchange* const source = look_up_exchange(record.exchange);
    destination to;
    if (record.to_exchange)
        to.to_exchange = look_up_exchange(record.destination);
    else
        to.to_queue = look_up(record.destination);
    if (source && (to.to_exchange || to.to_queue))
        add_binding(*source, {.to = to, .routing_key = record.routing_key, .arguments = record.arguments});
}

}  // namespace foz::broker
