// foz topology show | apply | export
#include "cli/commands.hpp"
#include "cli/configured.hpp"
#include "cli/print.hpp"
#include "ops/broker/probe.hpp"
#include "ops/broker/topology_text.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include <CLI/CLI.hpp>

namespace foz::cli {
namespace {

const std::vector<std::string> sections{"broker"};

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
            declared = co_await contract::declare(**on, contract::make_topology(server.channels));
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
    const int code = ops::run_alone([&](net::shard& home) { return apply(home, all.server); });
    const auto limited = [](const contract::channel_settings& channel) {
        return channel.retention_bytes > 0 || channel.retention_age.count() > 0;
    };
    if (std::any_of(all.server.channels.begin(), all.server.channels.end(), limited))
        print("retention is a policy, which AMQP can't set: import what `foz topology export` prints\n");
    return code;
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
            print(ops::describe(shown->read().server.channels));
            return 0;
        };
    });

    CLI::App* const apply = command->add_subcommand("apply", "Declare it; repeating changes nothing");
    const auto applied = std::make_shared<configured>(*apply, sections);
    apply->footer(
        "For example:\n  foz topology apply --broker amqp://127.0.0.1\n"
        "  foz topology apply --config foz.toml");
    apply->callback([&chosen, applied] { chosen = [applied] { return apply_topology(*applied); }; });

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
            print(ops::definitions(all.server.channels, all.server.publish_urls.front().vhost));
            return 0;
        };
    });
}

}  // namespace foz::cli
