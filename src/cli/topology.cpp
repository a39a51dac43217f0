// foz topology show | apply | export | grant
#include "cli/commands.hpp"
#include "cli/configured.hpp"
#include "cli/print.hpp"
#include "ops/broker/grants.hpp"
#include "ops/broker/probe.hpp"
#include "ops/broker/topology_text.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace foz::cli {
namespace {

const std::vector<std::string> sections{"broker"};

contract::with_revocations revocations_of(const aggregator::settings& server) {
    return server.named_clients ? contract::with_revocations::yes : contract::with_revocations::no;
}

// On the first broker that lets us in; a conflict is one line that names queue and argument.
boost::asio::awaitable<int> apply(net::shard& home, const aggregator::settings& server) {
    std::string why;
    for (const amqp::url& where : server.publish_urls) {
        ops::probe broker(home, where, server.broker_tls);
        auto opened = co_await broker.open();
        if (!opened) {
            why = opened.error().text;
            co_await broker.close();
            continue;
        }
        auto on = co_await broker.channel();
        amqp::result<void> declared;
        if (on) {
            declared =
                co_await contract::declare(**on, contract::make_topology(server.channels, revocations_of(server)));
        } else {
            declared = std::unexpected(on.error());
        }
        co_await broker.close();
        if (!declared) throw std::runtime_error(where.redacted() + ": " + declared.error().text);
        print("declared on " + where.redacted() + "\n");
        co_return 0;
    }
    throw std::runtime_error(why);
}

int apply_topology(const configured& from) {
    const ops::configuration all = from.read();
    require_tls(all.server);
    const int code = ops::run_alone([&](net::shard& home) { return apply(home, all.server); });
    const auto limited = [](const contract::channel_settings& channel) {
        return channel.retention_bytes > 0 || channel.retention_age.count() > 0;
    };
    if (std::any_of(all.server.channels.begin(), all.server.channels.end(), limited))
        print("retention is a policy, which AMQP can't set: import what `foz topology export` prints\n");
    return code;
}

struct grant_options {
    std::string user;
    std::string role = "aggregator";
    std::vector<std::string> channels;  // empty: all
};

// For a shell: in single quotes nothing has a meaning but these themselves.
std::string quoted(const std::string& text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
    return out + "'";
}

int grant(const configured& from, const grant_options& how) {
    const ops::configuration all = from.read();
    std::vector<contract::channel_settings> channels = all.server.channels;
    if (!how.channels.empty()) {
        for (const std::string& name : how.channels)
            if (std::ranges::find(channels, name, &contract::channel_settings::name) == channels.end())
                throw wrong_usage("--channel: there is no channel " + name + " in the configuration");
        std::erase_if(channels,
                      [&](const auto& one) { return std::ranges::find(how.channels, one.name) == how.channels.end(); });
    }
    const ops::permissions may =
        ops::permissions_of(*ops::broker_user_of(how.role), {.channels = channels,
                                                             .revocations = revocations_of(all.server),
                                                             .connect_service = !all.server.connect.channel.empty()});
    print("rabbitmqctl set_permissions -p " + quoted(all.server.publish_urls.front().vhost) + " " + quoted(how.user) +
          " " + quoted(may.configure) + " " + quoted(may.write) + " " + quoted(may.read) + "\n");
    return 0;
}

void add_grant(CLI::App& topology, run_command& chosen) {
    CLI::App* const command = topology.add_subcommand("grant", "Print the permissions that a user of RabbitMQ needs");
    const auto from = std::make_shared<configured>(*command, sections);
    const auto how = std::make_shared<grant_options>();
    command->add_option("USER", how->user, "The user that gets them")->required();
    command
        ->add_option("--for", how->role,
                     "aggregator: foz serve; worker: a service; both where everything is declared already. topology: "
                     "foz topology apply, which declares it")
        ->check(CLI::IsMember({"aggregator", "worker", "topology"}))
        ->capture_default_str();
    command->add_option("--channel", how->channels, "Only for this channel (repeatable); all without it")
        ->allow_extra_args(false);
    command->footer(
        "It prints a command and runs nothing. For example:\n"
        "  foz topology grant foz --config foz.toml\n"
        "  foz topology grant chat-service --for worker --channel chat\n"
        "  foz topology grant deploy --for topology | sh");
    command->callback([&chosen, from, how] { chosen = [from, how] { return grant(*from, *how); }; });
}

}  // namespace

void add_topology(CLI::App& app, run_command& chosen) {
    CLI::App* const command = app.add_subcommand("topology", "Exchanges, queues and streams on the broker");
    command->require_subcommand(1);
    command->footer(
        "For example:\n  foz topology show --config foz.toml\n"
        "  foz topology apply --broker amqp://127.0.0.1/%2f");

    CLI::App* const show = command->add_subcommand("show", "Print what foz declares");
    const auto shown = std::make_shared<configured>(*show, sections);
    show->footer("For example:\n  foz topology show\n  foz topology show --config foz.toml");
    show->callback([&chosen, shown] {
        chosen = [shown] {
            const aggregator::settings server = shown->read().server;
            print(ops::describe(server.channels, revocations_of(server)));
            return 0;
        };
    });

    CLI::App* const apply = command->add_subcommand("apply", "Declare it; repeating changes nothing");
    const auto applied = std::make_shared<configured>(*apply, sections);
    apply->footer(
        "For example:\n  foz topology apply --broker amqp://127.0.0.1\n"
        "  foz topology apply --config foz.toml");
    apply->callback([&chosen, applied] { chosen = [applied] { return apply_topology(*applied); }; });

    add_grant(*command, chosen);

    CLI::App* const exported =
        command->add_subcommand("export", "Print RabbitMQ definitions, with the streams' retention as policies");
    const auto from = std::make_shared<configured>(*exported, sections);
    exported->footer(
        "The virtual host is that of the first broker URL. For example:\n"
        "  foz topology export --config foz.toml > definitions.json\n"
        "  foz topology export --broker amqp://127.0.0.1/%2f | rabbitmqctl import_definitions");
    exported->callback([&chosen, from] {
        chosen = [from] {
            const ops::configuration all = from->read();
            print(ops::definitions(all.server.channels, revocations_of(all.server),
                                   all.server.publish_urls.front().vhost));
            return 0;
        };
    });
}

}  // namespace foz::cli
