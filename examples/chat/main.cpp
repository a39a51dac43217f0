#include "chat.hpp"
#include "service/worker.hpp"

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
    CLI::App app("The chat service: takes messages of channel \"chat\" from a broker and answers them.", "foz-chat");
    foz::service::worker_options options{.broker_urls = {"amqp://127.0.0.1:5672"}, .name = "chat", .concurrency = 4};
    app.add_option("--broker", options.broker_urls, "AMQP URL, repeatable: the first that answers is used")
        ->envname("FOZ_BROKER")
        ->capture_default_str();
    app.add_option("--broker-ca", options.broker_ca_file, "PEM file of the CA that signed the broker's certificate")
        ->check(CLI::ExistingFile);
    app.add_option("--name", options.name, "What the broker's tools show")->capture_default_str();
    app.add_option("--concurrency", options.concurrency, "Messages that are handled at once")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    try {
        app.parse(argc, argv);
        foz::service::worker worker(options);
        chat::add_handlers(worker);
        worker.on_ready([] { std::fputs("foz-chat: ready\n", stderr); });
        worker.on_notice([](const std::string& text) { std::fprintf(stderr, "foz-chat: %s\n", text.c_str()); });
        worker.run();
        return 0;
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "foz-chat: %s\n", error.what());
        return 1;
    }
}
