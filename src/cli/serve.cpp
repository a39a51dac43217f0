// foz serve
#include "aggregator/aggregator.hpp"
#include "cli/commands.hpp"
#include "net/runtime.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/signal_set.hpp>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace foz::cli {
namespace {

struct serve_options {
    std::vector<std::string> broker{"amqp://127.0.0.1:5672"};
    std::vector<std::string> consume_broker;
    std::vector<std::string> publish_broker;
    std::string listen = "127.0.0.1:8080";
    bool allow_anonymous = false;
    std::string tls_certificate;
    std::string tls_key;
    std::string broker_ca;
    std::string web;
    std::string primus_js;
    unsigned threads = 0;
    unsigned ping_interval_ms = 30'000;
    unsigned request_timeout_ms = 30'000;
    unsigned publish_timeout_ms = 10'000;
};

std::vector<amqp::url> urls(const std::vector<std::string>& texts, const char* flag) {
    std::vector<amqp::url> all;
    for (const std::string& text : texts) {
        auto parsed = amqp::parse_url(text);
        if (!parsed) throw std::runtime_error(std::string(flag) + ": " + parsed.error().text);
        all.push_back(std::move(*parsed));
    }
    return all;
}

void read_listen(const serve_options& options, aggregator::settings& all) {
    const std::size_t colon = options.listen.rfind(':');
    unsigned long port = 65536;
    if (colon != std::string::npos && colon + 1 < options.listen.size() &&
        options.listen.find_first_not_of("0123456789", colon + 1) == std::string::npos &&
        options.listen.size() - colon <= 6)
        port = std::stoul(options.listen.substr(colon + 1));
    if (port > 65535) throw std::runtime_error("--listen: ADDRESS:PORT is expected, not " + options.listen);
    std::string address = options.listen.substr(0, colon);
    if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
    boost::system::error_code error;
    const auto parsed = boost::asio::ip::make_address(address, error);
    if (error) throw std::runtime_error("--listen: " + address + " is not an IP address");
    if (!parsed.is_loopback() && !options.allow_anonymous)
        throw std::runtime_error("--listen " + options.listen +
                                 ": anyone who reaches this address would be let in; say --allow-anonymous if that is "
                                 "meant");
    all.listen_address = address;
    all.listen_port = static_cast<std::uint16_t>(port);
}

aggregator::settings to_settings(const serve_options& options) {
    aggregator::settings all;
    read_listen(options, all);
    const std::vector<amqp::url> both = urls(options.broker, "--broker");
    all.consume_urls = options.consume_broker.empty() ? both : urls(options.consume_broker, "--consume-broker");
    all.publish_urls = options.publish_broker.empty() ? both : urls(options.publish_broker, "--publish-broker");
    all.broker_tls.ca_file = options.broker_ca;
    if (options.tls_certificate.empty() != options.tls_key.empty())
        throw std::runtime_error("--tls-certificate and --tls-key go together");
    if (!options.tls_certificate.empty()) all.tls = net::tls_server_options{options.tls_certificate, options.tls_key};
    all.web_folder = options.web;
    all.primus_js_file = options.primus_js;
    all.ping_interval = std::chrono::milliseconds(options.ping_interval_ms);
    all.request_timeout = std::chrono::milliseconds(options.request_timeout_ms);
    all.publish_timeout = std::chrono::milliseconds(options.publish_timeout_ms);
    return all;
}

// Ends the process on signals and on failures to start; logs the rest.
class serving final : public aggregator::aggregator_events {
public:
    serving(net::runtime& cores, aggregator::settings all)
        : cores_(cores),
          scheme_(all.tls ? "https" : "http"),
          address_(all.listen_address),
          aggregator_(cores, std::move(all), *this),
          signals_(cores.at(0).context(), SIGINT, SIGTERM) {}

    int run() {
        wait_for_signal();
        aggregator_.start();
        cores_.run();
        if (!failure_.empty()) throw std::runtime_error(failure_);
        return 0;
    }

private:
    void on_ready() override { spdlog::info("ready: {}://{}:{}/", scheme_, address_, aggregator_.port()); }
    void on_start_failed(const std::string& why) override {
        if (!failure_.empty()) return;
        failure_ = why;
        cores_.stop();
    }
    void on_notice(const std::string& text) override { spdlog::warn("{}", text); }

    void wait_for_signal() {
        signals_.async_wait([this](boost::system::error_code error, int) {
            if (error) return;
            if (stopping_) return cores_.stop();  // asked twice: at once
            stopping_ = true;
            spdlog::info("stopping: clients are sent away, what is in flight is finished");
            aggregator_.drain();
            wait_for_signal();
        });
    }

    net::runtime& cores_;
    const std::string scheme_;
    const std::string address_;
    aggregator::aggregator aggregator_;
    boost::asio::signal_set signals_;
    std::string failure_;
    bool stopping_ = false;
};

int serve(const serve_options& options) {
    spdlog::set_default_logger(spdlog::stderr_color_mt("foz"));
    aggregator::settings all = to_settings(options);
    net::runtime cores(options.threads);
    return serving(cores, std::move(all)).run();
}

}  // namespace

run_command add_serve(CLI::App& app) {
    const auto options = std::make_shared<serve_options>();
    constexpr auto all_of_them = CLI::MultiOptionPolicy::TakeAll;
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // of what can be said once
    CLI::App* const command = app.add_subcommand("serve", "Hold clients' WebSockets and translate them to AMQP");
    command->add_option("--broker", options->broker, "AMQP URL, repeatable: the first that answers is used")
        ->envname("FOZ_BROKER")
        ->multi_option_policy(all_of_them)
        ->capture_default_str();
    command->add_option("--consume-broker", options->consume_broker, "AMQP URLs for consuming alone")
        ->multi_option_policy(all_of_them);
    command->add_option("--publish-broker", options->publish_broker, "AMQP URLs for publishing alone")
        ->multi_option_policy(all_of_them);
    command
        ->add_option("--broker-ca", options->broker_ca, "PEM file of the CA that signed an amqps broker's certificate")
        ->check(CLI::ExistingFile);
    command->add_option("--listen", options->listen, "ADDRESS:PORT for clients")
        ->envname("FOZ_LISTEN")
        ->capture_default_str();
    command->add_flag("--allow-anonymous", options->allow_anonymous,
                      "Let anyone in on an address that is not loopback");
    command->add_option("--tls-certificate", options->tls_certificate, "PEM file, the chain; makes it https and wss")
        ->check(CLI::ExistingFile);
    command->add_option("--tls-key", options->tls_key, "PEM file")->check(CLI::ExistingFile);
    command->add_option("--web", options->web, "Folder of files that are served at /")->check(CLI::ExistingDirectory);
    command->add_option("--primus-js", options->primus_js, "The client library, served at /primus/primus.js")
        ->check(CLI::ExistingFile);
    command->add_option("--threads", options->threads, "Event loops; 0: one for each core")
        ->check(CLI::Range(0u, 256u))
        ->capture_default_str();
    command
        ->add_option("--ping-interval", options->ping_interval_ms,
                     "ms between Primus pings; a client silent for as long is dropped")
        ->check(CLI::Range(100u, 600'000u))
        ->capture_default_str();
    command
        ->add_option("--request-timeout", options->request_timeout_ms,
                     "ms that a request without timeout_ms waits for its answer")
        ->check(CLI::Range(1u, 86'400'000u))
        ->capture_default_str();
    command
        ->add_option("--publish-timeout", options->publish_timeout_ms,
                     "ms that a message waits for the broker's confirm")
        ->check(CLI::Range(1u, 600'000u))
        ->capture_default_str();
    return [options] { return serve(*options); };
}

}  // namespace foz::cli
