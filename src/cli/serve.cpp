// foz serve
#include "aggregator/shard/aggregator.hpp"
#include "base/random.hpp"
#include "cli/broker_thread.hpp"
#include "cli/commands.hpp"
#include "cli/configured.hpp"
#include "cli/embedded_options.hpp"
#include "cli/hangup.hpp"
#include "net/descriptors.hpp"
#include "net/network_list.hpp"
#include "net/runtime.hpp"
#include "ops/admin/admin.hpp"
#include "ops/admin/aggregator_source.hpp"
#include "ops/admin/broker_source.hpp"
#include "ops/admin/disconnect_action.hpp"
#include "ops/admin/revoke_action.hpp"
#include "ops/broker/topology_text.hpp"
#include "ops/log.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/signal_set.hpp>
#include <spdlog/spdlog.h>

namespace foz::cli {
namespace {

// Ends the process on signals and on failures to start; logs the rest.
class serving final : public aggregator::aggregator_events {
public:
    // `inside`: the embedded broker, or null.
    serving(net::runtime& cores, aggregator::settings all, const ops::admin_settings& admin, broker_thread* inside,
            net::tls_watch& tls_files, std::chrono::milliseconds token_life)
        : cores_(cores),
          scheme_(all.tls ? "https" : "http"),
          address_(all.listen_address),
          hosts_(all.hosts),
          aggregator_(cores, std::move(all), *this),
          disconnect_(aggregator_),
          revoke_(aggregator_, cores.at(0).time(), token_life),
          tls_files_(tls_files),
          signals_(cores.at(0).context(), SIGINT, SIGTERM, SIGHUP) {
        tls_files_.add(aggregator_.tls());
        if (admin.listen.empty()) return;
        net::shard& home = cores.at(0);
        sources_.push_back(std::make_unique<ops::aggregator_source>(aggregator_, home.time()));
        if (inside)
            sources_.push_back(std::make_unique<ops::broker_source>(
                [inside, &home](auto done) { inside->look(home, std::move(done)); }, home.time()));
        ops::admin_parts parts{
            .sources = {}, .actions = {&disconnect_, &revoke_}, .version = FOZ_VERSION, .hosts = hosts_};
        for (const auto& one : sources_) parts.sources.push_back(one.get());
        admin_.emplace(home, admin, std::move(parts));
        tls_files_.add(admin_->tls());
    }

    int run() {
        wait_for_signal();
        spdlog::info("listening: {}", url());
        if (admin_) {
            spdlog::info("admin: port {}", admin_->port());
            admin_->start();
        }
        aggregator_.start();
        cores_.run();
        if (!failure_.empty()) throw std::runtime_error(failure_);
        return 0;
    }

private:
    void on_ready() override { spdlog::info("ready: {}", url()); }
    void on_start_failed(const std::string& why) override {
        if (!failure_.empty()) return;
        failure_ = why;
        cores_.stop();
    }
    void on_notice(const std::string& text) override { ops::notice(text); }

    std::string url() const {
        const bool v6 = address_.find(':') != std::string::npos;
        return scheme_ + "://" + (v6 ? "[" + address_ + "]" : address_) + ":" + std::to_string(aggregator_.port()) +
               "/";
    }

    void wait_for_signal() {
        signals_.async_wait([this](boost::system::error_code error, int signal) {
            if (error) return;
            if (signal == SIGHUP) {
                on_hangup(tls_files_);
                if (admin_) {
                    if (const std::string why = admin_->reopen_audit_log(); !why.empty()) spdlog::warn("{}", why);
                }
                return wait_for_signal();
            }
            if (stopping_) return cores_.stop();  // asked twice: at once
            stopping_ = true;
            if (admin_) admin_->set_stopping();
            spdlog::info("stopping: clients are sent away, what is in flight is finished");
            // Whoever stops it by hand has nobody to wait for that goes on sending clients.
            using grace = aggregator::aggregator::grace;
            aggregator_.drain(signal == SIGTERM ? grace::as_set : grace::none);
            wait_for_signal();
        });
    }

    net::runtime& cores_;
    const std::string scheme_;
    const std::string address_;
    const std::vector<std::string> hosts_;
    aggregator::aggregator aggregator_;
    ops::disconnect_action disconnect_;
    ops::revoke_action revoke_;
    std::vector<std::unique_ptr<ops::source>> sources_;
    std::optional<ops::admin> admin_;
    net::tls_watch& tls_files_;
    boost::asio::signal_set signals_;
    std::string failure_;
    bool stopping_ = false;
};

// What the configuration says of retention, for the broker that is ours; over AMQP it can't be said.
std::vector<broker::policy> policies_of(const ops::configuration& all) {
    std::vector<broker::policy> out;
    for (ops::retention_policy& one : ops::retention_policies(all.server.channels))
        out.push_back({.vhost = all.embedded.vhosts.front(),
                       .name = std::move(one.name),
                       .pattern = std::move(one.pattern),
                       .apply_to = broker::policy_target::streams,
                       .priority = one.priority,
                       .definition = std::move(one.definition)});
    return out;
}

// The broker inside, when no other one is named; the configuration then says how it is reached.
std::unique_ptr<broker_thread> start_broker(ops::configuration& all, net::runtime& cores) {
    if (!all.uses_embedded()) return nullptr;
    broker::embedded_options options = embedded_options(all);
    amqp::url to = all.server.publish_urls.front();
    // We are one of its clients, and send no such header.
    if (net::network_list(options.proxies).contains(boost::asio::ip::make_address(to.host)))
        throw std::runtime_error("embedded.proxy_protocol contains " + to.host +
                                 ", from where foz serve itself comes to the embedded broker, without such a header; "
                                 "run foz broker on its own, or let the proxy come from another address");
    options.definitions.policies = policies_of(all);
    // The command line comes as the user of the configuration, and may revoke.
    all.server.revokers.push_back(to.user);
    options.inside_user = "foz-serve";
    options.inside_password = system_random().token();
    to.user = options.inside_user;
    to.password = options.inside_password;
    std::unique_ptr<broker_thread> made;
    try {
        made = std::make_unique<broker_thread>(std::move(options), [&cores](const std::string& why) {
            spdlog::error("broker: {}", why);
            cores.stop();
        });
    } catch (const std::runtime_error& error) {
        throw std::runtime_error("the embedded broker: " + std::string(error.what()) +
                                 " (--broker URL uses another broker, --amqp-listen and --data another place)");
    }
    to.port = made->port();
    all.server.consume_urls = all.server.publish_urls = {to};
    spdlog::info("broker: amqp://{}:{}, data in {}", to.host, to.port, all.embedded.data);
    return made;
}

// Each client is a descriptor: as many as the system lets us have, but for a reserve.
void set_descriptor_limit(ops::configuration& all) {
    const net::descriptor_limits limits = net::raise_descriptor_limit();
    const unsigned shards = all.threads == 0 ? std::max(1u, std::thread::hardware_concurrency()) : all.threads;
    all.server.descriptors_max = net::descriptors_for_clients(limits.now, shards);
    const std::string raised = limits.now > limits.before ? ", raised from " + std::to_string(limits.before) : "";
    spdlog::info("descriptors: {}{}; for clients: {}", limits.now, raised,
                 std::min<std::uint64_t>(all.server.descriptors_max, all.server.connections_max));
}

int serve(const configured& from) {
    const hangup_guard alive;
    ops::configuration_reader reader;
    ops::configuration all = from.read(reader);
    require_good(reader);
    require_tls(all.server);
    const ops::log_session log(all.log_format, all.log_level);
    set_descriptor_limit(all);
    for (const std::string& warning : reader.warnings()) spdlog::warn("{}", warning);
    for (const std::string& warning : broker_tls_warnings(all.server)) spdlog::warn("{}", warning);
    if (const std::string in_vain = reader.embedded_in_vain(all); !in_vain.empty()) spdlog::warn("{}", in_vain);
    net::runtime cores(all.threads);
    const std::unique_ptr<broker_thread> inside = start_broker(all, cores);
    const auto to_broker = std::make_shared<net::tls_client_contexts>();
    all.server.broker_tls.contexts = to_broker;
    const auto tls_files = watch_tls(cores.at(0).time(), {.more = [to_broker] { return to_broker->all(); }});
    if (inside) tls_files->add(inside->tls());
    const auto token_life = ops::longest_token_life(all.issuers);
    return serving(cores, std::move(all.server), all.admin, inside.get(), *tls_files, token_life).run();
}

}  // namespace

void add_serve(CLI::App& app, run_command& chosen) {
    CLI::App* const command = app.add_subcommand("serve", "Hold clients' WebSockets and translate them to AMQP");
    command->footer(
        "With no --broker the embedded one runs inside. Every key of the configuration is also a variable (foz config "
        "doc). For example:\n"
        "  foz serve --web web\n"
        "  foz serve --config foz.toml --broker amqp://127.0.0.1");
    const auto from = std::make_shared<configured>(*command);
    command->callback([&chosen, from] { chosen = [from] { return serve(*from); }; });
}

}  // namespace foz::cli
