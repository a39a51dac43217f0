// foz broker
#include "broker/embedded.hpp"
#include "cli/commands.hpp"
#include "net/runtime.hpp"
#include "ops/config/configuration.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

namespace foz::cli {
namespace {

struct broker_flags {
    std::string data = "foz-data";
    std::string listen = "127.0.0.1:5672";
    std::vector<std::string> vhosts;
    std::string definitions;
};

// Ends once the clients have been told and are gone.
class broker_process {
public:
    broker_process(net::runtime& cores, broker::embedded_options options)
        : cores_(cores),
          broker_(cores.at(0), std::move(options)),
          signals_(cores.at(0).context(), SIGINT, SIGTERM),
          timer_(cores.at(0).context()) {
        signals_.async_wait([this](boost::system::error_code failure, int) {
            if (failure) return;
            broker_.shut_down();
            wait();
        });
    }

    std::uint16_t port() const { return broker_.port(); }

private:
    void wait() {
        if (broker_.connections() == 0) return cores_.stop();
        timer_.expires_after(std::chrono::milliseconds(20));
        timer_.async_wait([this](boost::system::error_code) { wait(); });
    }

    net::runtime& cores_;
    broker::embedded broker_;
    boost::asio::signal_set signals_;
    boost::asio::steady_timer timer_;
};

int run_broker(const broker_flags& flags) {
    const auto where = ops::parse_endpoint(flags.listen);
    if (!where) throw wrong_usage("--listen: " + where.error());
    net::runtime cores(1);
    broker_process process(
        cores, {.data = flags.data,
                .address = where->address,
                .port = where->port,
                .vhosts = flags.vhosts,
                .definitions_file = flags.definitions,
                .version = FOZ_VERSION,
                .notice = [](const std::string& line) { std::fprintf(stderr, "foz: %s\n", line.c_str()); }});
    std::fprintf(stderr, "ready: amqp://%s:%u/ data in %s\n", where->address.c_str(), unsigned{process.port()},
                 flags.data.c_str());
    cores.run();
    return 0;
}

}  // namespace

void add_broker(CLI::App& app, run_command& chosen) {
    CLI::App* const command = app.add_subcommand("broker", "A single-node AMQP 0-9-1 broker");
    const auto flags = std::make_shared<broker_flags>();
    command->add_option("--data", flags->data, "Folder of its data; foz-data unless said")->type_name("FOLDER");
    command->add_option("--listen", flags->listen, "127.0.0.1:5672 unless said")->type_name("ADDRESS:PORT");
    command->add_option("--vhost", flags->vhosts, "A virtual host; may be repeated; / unless there is another one")
        ->type_name("NAME")
        ->allow_extra_args(false);
    command->add_option("--definitions", flags->definitions, "Users, permissions, policies, queues: RabbitMQ's JSON")
        ->type_name("FILE");
    command->footer(
        "Clients on this machine log in as guest with the password guest, unless definitions name users. For example:\n"
        "  foz broker --data /var/lib/foz\n"
        "  foz broker --listen 127.0.0.1:5673 --vhost / --vhost test\n"
        "  foz broker --data /var/lib/foz --definitions definitions.json\n"
        "  foz broker export --data /var/lib/foz > definitions.json");
    command->callback([&chosen, flags, command] {
        if (command->get_subcommands().empty()) chosen = [flags] { return run_broker(*flags); };
    });

    CLI::App* const exported = command->add_subcommand("export", "Print the definitions of a broker that is stopped");
    const auto folder = std::make_shared<std::string>("foz-data");
    exported->add_option("--data", *folder, "Folder of its data; foz-data unless said")->type_name("FOLDER");
    exported->footer(
        "In RabbitMQ's format. Moving to RabbitMQ:\n"
        "  foz broker export --data /var/lib/foz > definitions.json\n"
        "  rabbitmqctl import_definitions definitions.json");
    exported->callback([&chosen, folder] {
        chosen = [folder] {
            const std::string json = broker::export_definitions(*folder);
            std::fwrite(json.data(), 1, json.size(), stdout);
            return 0;
        };
    });
}

}  // namespace foz::cli
