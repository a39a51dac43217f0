#include "common/program.hpp"

#include <cstdio>
#include <exception>

#include <CLI/CLI.hpp>

namespace examples {

int run(int argc, char** argv, const program& what) {
    const std::string title = "foz-" + what.name;
    CLI::App app(what.about, title);
    foz::service::worker_options options{
        .broker_urls = {"amqp://127.0.0.1:5672"}, .name = what.name, .concurrency = what.concurrency};
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // of what can be said once
    app.add_option("--broker", options.broker_urls, "AMQP URL, repeatable: the first that answers is used")
        ->envname("FOZ_BROKER")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->capture_default_str();
    app.add_option("--broker-ca", options.broker_ca_file, "PEM file of the CA that signed the broker's certificate")
        ->check(CLI::ExistingFile);
    app.add_option("--name", options.name, "What the broker's tools show")->capture_default_str();
    app.add_option("--concurrency", options.concurrency, "Messages that are handled at once")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_flag("!--no-declare", options.declare, "Exchanges and queues are there already (foz topology apply)");
    for (const option& one : what.options) app.add_option(one.name, *one.value, one.about)->capture_default_str();
    for (const hidden_flag& one : what.hidden_flags) app.add_flag(one.name, *one.value)->group("");
    try {
        app.parse(argc, argv);
        if (what.configure) what.configure(options);
        foz::service::worker worker(options);
        what.add_handlers(worker);
        worker.on_ready([&] { std::fprintf(stderr, "%s: ready\n", title.c_str()); });
        worker.on_notice(
            [&](const std::string& text) { std::fprintf(stderr, "%s: %s\n", title.c_str(), text.c_str()); });
        worker.run();
        return 0;
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", title.c_str(), error.what());
        return 1;
    }
}

}  // namespace examples
