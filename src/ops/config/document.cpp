#include "ops/config/document.hpp"

#include "ops/config/keys.hpp"
#include "ops/config/memory_budget.hpp"

#include <algorithm>
#include <utility>

namespace foz::ops {
namespace {

constexpr const char* introduction = R"(# Configuration

One TOML file (`foz serve --config FILE`, or the variable `FOZ_CONFIG`), variables and flags, from weak to strong. A
list in a variable is separated by spaces or commas. Paths of files are relative to the folder that foz is started in.

    foz config check FILE    every problem with file, line and what would be right
    foz config show          the values in force and where each comes from; passwords masked
    foz config doc           this page

This page is made from the table in `src/ops/config/key_table.cpp`.

A broker's URL is `amqp://user:password@host:port/vhost`, or `amqps://…`, with what is not a letter or digit in its parts
percent-encoded, and RabbitMQ's parameters behind a `?`: `heartbeat` (seconds), `connection_timeout` (ms), `channel_max`,
`frame_max`; with amqps `cacertfile`, `verify` (`verify_peer`, the default, or `verify_none`), `server_name_indication`,
`certfile` and `keyfile` (PEM), and `auth_mechanism=external`, with which the certificate says who one is. Any other one is
refused by its name, and so is a file that can't be used.
)";

std::string code(const std::string& text) {
    return "`" + text + "`";
}

std::string takes(const key& one) {
    constexpr const char* types[] = {"boolean", "integer", "string", "list of strings"};
    std::string text;
    if (one.type == value_type::integer)
        text = std::to_string(one.min) + " to " + std::to_string(one.max) + (one.unit.empty() ? "" : " " + one.unit);
    for (const std::string& word : one.words) text += (text.empty() ? "" : ", ") + code('"' + word + '"');
    if (!text.empty()) return text;
    text = types[static_cast<std::size_t>(one.type)];
    return one.unit.empty() ? text : text + " (" + one.unit + ")";
}

// "|" would end a cell.
std::string cell(std::string text) {
    for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, 1, '\\');
    return text;
}

bool is_named(const std::string& section_name) {
    return std::ranges::any_of(keys(), [&](const key& one) { return one.section == section_name && one.of_named(); });
}

std::string row(const key& one) {
    configuration defaults;
    contract::channel_settings channel;
    identity::issuer_settings issuer;
    admin_user user;
    std::string also = code(one.variable);
    if (!one.alias.empty()) also += ", " + code(one.alias);
    if (!one.flag.empty()) also += ", " + code(one.flag);
    std::string by_default = code(to_toml(one.get({defaults, &channel, &issuer, &user})));
    if (is_share_of_memory(one.path())) by_default = "a share of `memory_bytes`, at most " + by_default;
    const std::string name = one.name.empty() ? "(not in the file)" : code(one.name);
    return "| " + name + " | " + takes(one) + " | " + by_default + " | " + also + " | " + cell(one.help) + " |\n";
}

}  // namespace

std::string describe_keys() {
    std::string all = introduction;
    for (const section& part : sections()) {
        const std::string title =
            part.name.empty() ? "At the top" : "[" + part.name + (is_named(part.name) ? ".NAME]" : "]");
        all += "\n## " + title + "\n" + part.help + ".\n\n";
        all += "| key | takes | default | variable, flag | meaning |\n|---|---|---|---|---|\n";
        for (const key& one : keys())
            if (one.section == part.name) all += row(one);
    }
    return all;
}

std::string show(const configuration& all, const configuration_reader& from) {
    configuration values = all;  // keys take theirs from something that can be changed
    std::string text;
    const auto line = [&](const key& one, const target& owner, const std::string& name = "") {
        const std::string where = from.origin(one.path(name));
        text += one.name + " = " + to_toml(one.get(owner)) + "  # " +
                (!where.empty()                       ? where
                 : is_share_of_memory(one.path(name)) ? "a share of limits.memory_bytes"
                                                      : "default") +
                "\n";
    };
    for (const section& part : sections()) {
        if (is_named(part.name)) continue;
        if (!part.name.empty()) text += "\n[" + part.name + "]\n";
        for (const key& one : keys())
            if (one.section == part.name && !one.name.empty()) line(one, {values});
    }
    for (auto& issuer : values.issuers) {
        text += "\n[issuers." + issuer.name + "]\n";
        for (const key& one : keys())
            if (one.of_issuer()) line(one, {values, nullptr, &issuer}, issuer.name);
    }
    for (auto& user : values.admin.users) {
        text += "\n[admin_users." + user.name + "]\n";
        for (const key& one : keys())
            if (one.of_user()) line(one, {values, nullptr, nullptr, &user}, user.name);
    }
    for (auto& channel : values.server.channels) {
        text += "\n[channels." + channel.name + "]\n";
        const bool durable = channel.delivery == contract::delivery_kind::durable;
        for (const key& one : keys())
            if (one.of_channel() && !(durable && one.name == "volatile_max_length"))
                line(one, {values, &channel}, channel.name);
    }
    return text;
}

}  // namespace foz::ops
