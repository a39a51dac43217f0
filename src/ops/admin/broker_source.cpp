#include "ops/admin/broker_source.hpp"

#include "ops/admin/definitions_text.hpp"

#include <type_traits>
#include <utility>
#include <variant>

namespace foz::ops {
namespace {

using broker::queue_counters;
using broker::queue_info;

// Which counter is called what.
struct counted {
    const char* name;
    std::uint64_t queue_counters::* member;
};
constexpr counted all_counters[] = {{"publish", &queue_counters::published},
                                    {"deliver_get", &queue_counters::delivered},
                                    {"ack", &queue_counters::acknowledged},
                                    {"redeliver", &queue_counters::returned},
                                    {"dead_letter", &queue_counters::died}};

std::string rate_key(const queue_info& of, const char* counter) {
    return of.vhost + '\n' + of.name + '\n' + counter;
}

const char* word(broker::queue_kind kind) {
    switch (kind) {
        case broker::queue_kind::classic:
            return "classic";
        case broker::queue_kind::quorum:
            return "quorum";
        case broker::queue_kind::stream:
            return "stream";
    }
    return "";
}

// Names and arguments are a client's octets: what is no UTF-8 can't stand in JSON.
std::string utf8(std::string_view octets) {
    std::string text;
    append_json_string(text, octets);
    if (is_json(text)) return std::string(octets);
    std::string plain(octets);
    for (char& c : plain)
        if (static_cast<unsigned char>(c) >= 0x80) c = '?';
    return plain;
}

void write(json_writer& to, const amqp::table& arguments);

void write(json_writer& to, const amqp::field_value& value) {
    std::visit(
        [&]<class T>(const T& held) {
            if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, double>)
                to.value(held);
            else if constexpr (std::is_integral_v<T>)
                to.value(held);
            else if constexpr (std::is_same_v<T, float>)
                to.value(static_cast<double>(held));
            else if constexpr (std::is_same_v<T, std::string>)
                to.value(utf8(held));
            else if constexpr (std::is_same_v<T, amqp::byte_array>)
                to.value(utf8(held.octets));
            else if constexpr (std::is_same_v<T, amqp::timestamp>)
                to.value(held.seconds);
            else if constexpr (std::is_same_v<T, amqp::table>)
                write(to, held);
            else if constexpr (std::is_same_v<T, amqp::field_array>) {
                to.open('[');
                for (const amqp::field_value& one : held) write(to, one);
                to.close(']');
            } else {
                to.raw("null");
            }
        },
        value.get());
}

void write(json_writer& to, const amqp::table& arguments) {
    to.open('{');
    for (const auto& [name, value] : arguments) write(to.key(utf8(name)), value);
    to.close('}');
}

// A list of objects, one for each.
template <class List, class Members>
std::string list(const List& all, Members members) {
    json_writer to;
    to.open('[');
    for (const auto& one : all) {
        to.open('{');
        members(to, one);
        to.close('}');
    }
    return to.close(']').text();
}

std::string exchanges(const broker::snapshot& now) {
    return list(now.exchanges, [](json_writer& to, const broker::exchange_info& one) {
        to.member("vhost", utf8(one.vhost)).member("name", utf8(one.name)).member("type", one.type);
        to.member("durable", one.durable).member("auto_delete", one.auto_delete).member("internal", one.internal);
        write(to.key("arguments"), one.arguments);
    });
}

std::string bindings(const broker::snapshot& now) {
    return list(now.bindings, [](json_writer& to, const broker::binding_info& one) {
        to.member("vhost", utf8(one.vhost)).member("source", utf8(one.source));
        to.member("destination", utf8(one.destination));
        to.member("destination_type", one.to_exchange ? "exchange" : "queue");
        to.member("routing_key", utf8(one.routing_key));
        write(to.key("arguments"), one.arguments);
    });
}

std::string connections(const broker::snapshot& now) {
    return list(now.connections, [](json_writer& to, const broker::connection_info& one) {
        to.member("name", one.peer).member("user_provided_name", utf8(one.name));
        to.member("client", utf8(one.client)).member("user", utf8(one.user)).member("vhost", utf8(one.vhost));
        to.member("channels", one.channels).member("recv_oct", one.received_bytes);
        to.member("timeout", one.heartbeat.count()).member("state", one.blocked ? "blocked" : "running");
    });
}

std::string consumers(const broker::snapshot& now) {
    return list(now.consumers, [](json_writer& to, const broker::consumer_info& one) {
        to.member("vhost", utf8(one.vhost)).member("queue", utf8(one.queue)).member("consumer_tag", utf8(one.tag));
        to.member("connection_name", one.peer).member("channel", one.channel);
        to.member("prefetch_count", one.prefetch).member("messages_unacknowledged", one.unacknowledged);
        to.member("ack_required", !one.no_ack).member("exclusive", one.exclusive).member("priority", one.priority);
    });
}

std::string vhosts(const broker::snapshot& now) {
    return list(now.vhosts, [](json_writer& to, const std::string& name) { to.member("name", utf8(name)); });
}

}  // namespace

// Of all queues together.
struct broker_source::totals {
    std::uint64_t ready = 0;
    std::uint64_t unacknowledged = 0;
    queue_counters counters;
};

void broker_source::collect(std::function<void()> done) {
    look_([this, done = std::move(done)](broker::snapshot now) {
        last_ = std::move(now);
        count();
        done();
    });
}

void broker_source::count() {
    rates_.begin(time_.now());
    for (const queue_info& one : last_->queues)
        for (const counted& what : all_counters) rates_.count(rate_key(one, what.name), one.counters.*what.member);
    const totals all = sum();
    for (const counted& what : all_counters) rates_.count(what.name, all.counters.*what.member);
}

broker_source::totals broker_source::sum() const {
    totals all;
    for (const queue_info& one : last_->queues) {
        if (one.kind != broker::queue_kind::stream) all.ready += one.ready;
        all.unacknowledged += one.unacknowledged;
        for (const counted& what : all_counters) all.counters.*what.member += one.counters.*what.member;
    }
    return all;
}

void broker_source::expose(exposition& to) const {
    if (!last_) return;
    const auto one = [&](const char* name, const char* help, auto number) {
        to.family(name, "gauge", help);
        to.sample({}, number);
    };
    one("foz_embedded_connections", "AMQP connections of the embedded broker", last_->connections.size());
    one("foz_embedded_blocked", "1 when it takes no messages", last_->blocked.empty() ? 0 : 1);
    one("foz_embedded_waiting_bytes", "Octets of messages that are being written", last_->waiting_bytes);
    const auto each = [&](const char* name, const char* type, const char* help, auto get) {
        to.family(name, type, help);
        // A queue that lives as long as its connection is nothing to keep a time series of.
        for (const queue_info& of : last_->queues)
            if (!of.flags.exclusive) to.sample({{"vhost", of.vhost}, {"queue", of.name}}, get(of));
    };
    each("foz_embedded_queue_ready", "gauge", "Messages that wait for a consumer; of a stream, all of them",
         [](const queue_info& of) { return of.ready; });
    each("foz_embedded_queue_unacknowledged", "gauge", "Messages that a consumer has",
         [](const queue_info& of) { return of.unacknowledged; });
    each("foz_embedded_queue_bytes", "gauge", "Octets of the messages", [](const queue_info& of) { return of.bytes; });
    each("foz_embedded_queue_consumers", "gauge", "Consumers", [](const queue_info& of) { return of.consumers; });
    for (const counted& what : all_counters)
        each(("foz_embedded_queue_" + std::string(what.name) + "_total").c_str(), "counter",
             "As RabbitMQ's message_stats", [&](const queue_info& of) { return of.counters.*what.member; });
}

void broker_source::overview(json_writer& to) const {
    if (!last_) return;
    const totals all = sum();
    to.key("broker").open('{');
    to.key("object_totals").open('{');
    to.member("connections", last_->connections.size()).member("consumers", last_->consumers.size());
    to.member("exchanges", last_->exchanges.size()).member("queues", last_->queues.size()).close('}');
    to.key("queue_totals").open('{');
    to.member("messages_ready", all.ready).member("messages_unacknowledged", all.unacknowledged).close('}');
    to.key("message_stats").open('{');
    for (const counted& what : all_counters) {
        to.member(what.name, all.counters.*what.member);
        to.key(std::string(what.name) + "_details").open('{').member("rate", rates_.of(what.name)).close('}');
    }
    to.close('}').member("blocked", last_->blocked).member("waiting_bytes", last_->waiting_bytes).close('}');
}

std::string broker_source::queues() const {
    return list(last_->queues, [this](json_writer& to, const queue_info& one) {
        to.member("vhost", utf8(one.vhost)).member("name", utf8(one.name)).member("type", word(one.kind));
        to.member("durable", one.flags.durable).member("auto_delete", one.flags.auto_delete);
        to.member("exclusive", one.flags.exclusive);
        write(to.key("arguments"), one.arguments);
        to.member("messages", one.ready + one.unacknowledged).member("messages_ready", one.ready);
        to.member("messages_unacknowledged", one.unacknowledged).member("message_bytes", one.bytes);
        to.member("consumers", one.consumers);
        to.key("message_stats").open('{');
        for (const counted& what : all_counters) {
            to.member(what.name, one.counters.*what.member);
            to.key(std::string(what.name) + "_details").open('{');
            to.member("rate", rates_.of(rate_key(one, what.name))).close('}');
        }
        to.close('}');
    });
}

std::optional<std::string> broker_source::page(std::string_view name, secrets shown) const {
    if (!last_) return std::nullopt;
    if (name == "queues") return queues();
    if (name == "exchanges") return exchanges(*last_);
    if (name == "bindings") return bindings(*last_);
    if (name == "connections") return connections(*last_);
    if (name == "consumers") return consumers(*last_);
    if (name == "vhosts") return vhosts(*last_);
    if (name == "definitions")
        return shown == secrets::shown ? last_->definitions : without_password_hashes(last_->definitions);
    return std::nullopt;
}

}  // namespace foz::ops
