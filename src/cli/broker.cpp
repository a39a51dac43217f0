// foz broker, foz broker export
#include "broker/embedded.hpp"
#include "cli/commands.hpp"
#include "cli/configured.hpp"
#include "cli/embedded_options.hpp"
#include "cli/hangup.hpp"
#include "net/descriptors.hpp"
#include "net/runtime.hpp"
#include "ops/admin/admin.hpp"
#include "ops/admin/broker_source.hpp"
#include "ops/log.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <spdlog/spdlog.h>

namespace foz::cli {
namespace {

constexpr std::chrono::milliseconds clients_look_interval{50};

// Ends once the clients have been told and are gone.
class broker_process {
public:
    broker_process(net::runtime& cores, broker::embedded_options options, const ops::admin_settings& admin,
                   const std::vector<std::string>& hosts)
        : cores_(cores),
          broker_(cores.at(0), std::move(options)),
          source_([this](auto done) { look(std::move(done)); }, cores.at(0).time()),
          tls_files_(watch_tls(cores.at(0).time())),
          signals_(cores.at(0).context(), SIGINT, SIGTERM, SIGHUP) {
        tls_files_->add(broker_.tls());
        if (admin.listen.empty()) return;
        admin_.emplace(cores.at(0), admin,
                       ops::admin_parts{.sources = {&source_}, .actions = {}, .version = FOZ_VERSION, .hosts = hosts});
        tls_files_->add(admin_->tls());
        spdlog::info("admin: port {}", admin_->port());
        admin_->start();
    }

    std::uint16_t port() const { return broker_.port(); }
    std::uint16_t tls_port() const { return broker_.tls_port(); }

    void run() {
        wait_for_signal();
        cores_.run();
    }

private:
    void wait_for_signal() {
        signals_.async_wait([this](boost::system::error_code failure, int signal) {
            if (failure) return;
            if (signal == SIGHUP) {
                on_hangup(*tls_files_);
                if (admin_) {
                    if (const std::string why = admin_->reopen_audit_log(); !why.empty()) spdlog::warn("{}", why);
                }
                return wait_for_signal();
            }
            if (admin_) admin_->set_stopping();
            broker_.shut_down();
            stop_when_empty();
        });
    }
    void look(std::function<void(broker::snapshot)> done) {
        cores_.at(0).post([this, done = std::move(done)] { done(broker_.look()); });
    }
    void stop_when_empty() {
        if (broker_.connections() == 0) return cores_.stop();
        timer_.start(cores_.at(0).wheel(), clients_look_interval);
    }

    net::runtime& cores_;
    broker::embedded broker_;
    ops::broker_source source_;
    std::optional<ops::admin> admin_;
    const std::unique_ptr<net::tls_watch> tls_files_;
    boost::asio::signal_set signals_;
    net::wheel_timer timer_{this, [](broker_process& self) { self.stop_when_empty(); }};
};

int run_broker(const configured& from) {
    const hangup_guard alive;
    ops::configuration_reader reader;
    const ops::configuration all = from.read(reader);
    require_good(reader);
    const ops::log_session log(all.log_format, all.log_level);
    if (const auto limits = net::raise_descriptor_limit(); limits.now > limits.before)
        spdlog::info("descriptors: {}, raised from {}", limits.now, limits.before);
    for (const std::string& warning : reader.warnings()) spdlog::warn("{}", warning);
    net::runtime cores(1);
    broker_process process(cores, embedded_options(all), all.admin, all.server.hosts);
    ops::endpoint where = *ops::parse_endpoint(all.embedded.listen);
    where.port = process.port();
    const std::string& vhost = all.embedded.vhosts.front();
    if (const std::uint16_t tls_port = process.tls_port(); tls_port != 0) {
        amqp::url to = ops::embedded_url(*ops::parse_endpoint(all.embedded.tls_listen), vhost);
        to.tls = true;
        to.port = tls_port;
        spdlog::info("tls: {}", to.without_user());
    }
    spdlog::info("ready: {} data in {}", ops::embedded_url(where, vhost).without_user(), all.embedded.data);
    process.run();
    return 0;
}

void add_export(CLI::App& command, run_command& chosen) {
    CLI::App* const exported = command.add_subcommand("export", "Print the definitions of a broker that is stopped");
    const auto folder = std::make_shared<std::string>(ops::embedded_settings().data);
    exported->add_option("--data", *folder, "Folder of its data")->type_name("FOLDER")->capture_default_str();
    exported->footer(
        "In RabbitMQ's format; a running broker tells the same at /api/definitions. For example:\n"
        "  foz broker export --data /var/lib/foz > definitions.json\n"
        "  foz broker export --data /var/lib/foz | rabbitmqctl import_definitions");
    exported->callback([&chosen, folder] {
        chosen = [folder] {
            const std::string json = broker::export_definitions(*folder);
            std::fwrite(json.data(), 1, json.size(), stdout);
            return 0;
        };
    });
}

}  // namespace

void add_broker(CLI::App& app, run_command& chosen) {
    CLI::App* const command = app.add_subcommand("broker", "A single-node AMQP 0-9-1 broker");
    const auto from =
        std::make_shared<configured>(*command, std::vector<std::string>{"embedded", "admin", "log"},
                                     std::map<std::string, std::string>{{"--amqp-listen", "--listen"},
                                                                        {"--amqp-tls-listen", "--tls-listen"},
                                                                        {"--amqp-tls-certificate", "--tls-certificate"},
                                                                        {"--amqp-tls-key", "--tls-key"},
                                                                        {"--amqp-tls-ca", "--tls-ca"}});
    command->footer(
        "Clients on this machine log in as guest with the password guest, unless definitions name users. For example:\n"
        "  foz broker --data /var/lib/foz --definitions definitions.json\n"
        "  foz broker --listen 127.0.0.1:5673 --vhost / --vhost test");
    command->callback([&chosen, from, command] {
        if (command->get_subcommands().empty()) chosen = [from] { return run_broker(*from); };
    });
    add_export(*command, chosen);
}

}  // namespace foz::cli
