#include "broker/definitions/kept.hpp"

#include "amqp/codec/wire.hpp"
#include "base/digest.hpp"
#include "broker/core/definitions.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace foz::broker {
namespace {

// The first octet of a key. The rest is a digest of the name: names are longer than keys may be.
constexpr char user_octet = 'u';
constexpr char permission_octet = 'a';
constexpr char policy_octet = 'p';
constexpr char vhost_octet = 'v';

std::string key_of(char kind, std::initializer_list<std::string_view> names) {
    std::string joined;
    for (const std::string_view name : names) joined.append(std::to_string(name.size())).append(":").append(name);
    return kind + sha256(joined);
}

std::string text(amqp::reader& in) {
    std::string out;
    in.long_string(out);
    return out;
}

definition record_of(const std::string& vhost) {
    return {key_of(vhost_octet, {vhost}), vhost};
}

definition record_of(const user_definition& one) {
    definition out{key_of(user_octet, {one.name}), {}};
    amqp::writer to(out.value);
    to.long_string(one.name);
    to.long_string(one.password_hash);
    to.u8(static_cast<std::uint8_t>(one.algorithm));
    to.u32(static_cast<std::uint32_t>(one.tags.size()));
    for (const std::string& tag : one.tags) to.long_string(tag);
    return out;
}

definition record_of(const permission_definition& one) {
    definition out{key_of(permission_octet, {one.user, one.vhost}), {}};
    amqp::writer to(out.value);
    for (const std::string& part : {one.user, one.vhost, one.rules.configure, one.rules.write, one.rules.read})
        to.long_string(part);
    return out;
}

definition record_of(const policy& one) {
    definition out{key_of(policy_octet, {one.vhost, one.name}), {}};
    amqp::writer to(out.value);
    for (const std::string& part : {one.vhost, one.name, one.pattern}) to.long_string(part);
    to.u8(static_cast<std::uint8_t>(one.apply_to));
    to.u64(static_cast<std::uint64_t>(one.priority));
    write_table(to, one.definition);
    return out;
}

// Nothing for a broken record.
std::optional<user_definition> read_user(amqp::reader in) {
    user_definition out{.name = text(in), .password_hash = text(in)};
    const std::uint8_t algorithm = in.u8();
    if (algorithm > static_cast<std::uint8_t>(hashing::sha512)) return std::nullopt;
    out.algorithm = static_cast<hashing>(algorithm);
    for (std::uint32_t left = in.u32(); left > 0 && !in.failed(); --left) out.tags.push_back(text(in));
    return in.finish() ? std::optional(std::move(out)) : std::nullopt;
}

std::optional<permission_definition> read_permission(amqp::reader in) {
    permission_definition out{.user = text(in), .vhost = text(in)};
    out.rules = {.configure = text(in), .write = text(in), .read = text(in)};
    return in.finish() ? std::optional(std::move(out)) : std::nullopt;
}

std::optional<policy> read_kept_policy(amqp::reader in) {
    policy out{.vhost = text(in), .name = text(in), .pattern = text(in), .definition = {}};
    const std::uint8_t target = in.u8();
    if (target > static_cast<std::uint8_t>(policy_target::all)) return std::nullopt;
    out.apply_to = static_cast<policy_target>(target);
    out.priority = static_cast<std::int64_t>(in.u64());
    read_table(in, out.definition);
    return in.finish() ? std::optional(std::move(out)) : std::nullopt;
}

void add_vhost(definition_set& to, const std::string& name) {
    if (std::ranges::find(to.vhosts, name) == to.vhosts.end()) to.vhosts.push_back(name);
}

class topology_collector {
public:
    topology_collector(definition_set& out, topology which) : out_(out), which_(which) {}

    void operator()(const queue_record& one) {
        add_vhost(out_, one.vhost);
        if (which_ == topology::with)
            out_.queues.push_back({one.vhost, {.name = one.name, .flags = one.flags, .arguments = one.arguments}});
    }
    void operator()(const exchange_record& one) {
        add_vhost(out_, one.vhost);
        const exchange_identity& is = one.identity;
        if (which_ == topology::with)
            out_.exchanges.push_back({one.vhost,
                                      {.name = is.name,
                                       .type = std::string(to_string(is.kind)),
                                       .durable = is.durable,
                                       .auto_delete = is.auto_delete,
                                       .internal = is.internal,
                                       .arguments = is.arguments}});
    }
    void operator()(const binding_record& one) {
        if (which_ == topology::with)
            out_.bindings.push_back({one.vhost,
                                     {.source = one.exchange,
                                      .destination = one.destination,
                                      .to_exchange = one.to_exchange,
                                      .routing_key = one.routing_key,
                                      .arguments = one.arguments}});
    }

private:
    definition_set& out_;
    const topology which_;
};

template <class T>
void push(std::vector<T>& to, std::optional<T> made) {
    if (made) to.push_back(std::move(*made));
}

std::map<std::string, std::string> records_of(const definition_set& all) {
    std::map<std::string, std::string> out;
    const auto add = [&](const auto& section) {
        for (const auto& one : section) {
            auto [key, value] = record_of(one);
            out.insert_or_assign(std::move(key), std::move(value));
        }
    };
    add(all.vhosts);
    add(all.users);
    add(all.permissions);
    if (all.policies) add(*all.policies);
    return out;
}

}  // namespace

definition_set kept_definitions(const record_source& records, topology which) {
    definition_set out;
    std::vector<policy> policies;
    topology_collector collect(out, which);
    records([&](std::string_view key, std::string_view value) {
        const char kind = key.empty() ? '\0' : key.front();
        if (kind == vhost_octet)
            add_vhost(out, std::string(value));
        else if (kind == user_octet)
            push(out.users, read_user(amqp::reader(value)));
        else if (kind == permission_octet)
            push(out.permissions, read_permission(amqp::reader(value)));
        else if (kind == policy_octet)
            push(policies, read_kept_policy(amqp::reader(value)));
        else if (const auto record = decode_definition(key, value))
            std::visit(collect, *record);
    });
    if (!policies.empty()) out.policies = std::move(policies);
    return out;
}

void keep(storage& disk, const definition_set& was, const definition_set& is) {
    const auto before = records_of(was);
    const auto now = records_of(is);
    for (const auto& [key, value] : before)
        if (!now.contains(key)) disk.remove_definition(key);
    for (const auto& [key, value] : now)
        if (const auto at = before.find(key); at == before.end() || at->second != value)
            disk.put_definition(key, value);
}

}  // namespace foz::broker
