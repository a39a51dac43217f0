#include "service/worker.hpp"

#include <cstdio>
#include <exception>

int main(int argc, char** argv) try {
    foz::service::worker worker({.broker_urls = {argc > 1 ? argv[1] : "amqp://127.0.0.1"},
                                 .channels = {{.name = "hello"}}});  // as foz.toml says
    worker.on("hello", "greet", [](foz::service::request& r) {
        r.broadcast(r.message(), {.type = "greeted"});  // everyone who hears the channel
        r.reply(R"({"ok":true})");                      // to the client that asked
    });
    worker.on_ready([] { std::fputs("ready\n", stderr); });
    worker.run();  // until SIGINT or SIGTERM
} catch (const std::exception& error) {
    std::fprintf(stderr, "my_service: %s\n", error.what());
    return 1;
}
