#include "service/worker.hpp"

#include <cstdio>
#include <exception>

int main(int argc, char** argv) try {
    foz::service::worker worker({.broker_urls = {argc > 1 ? argv[1] : "amqp://127.0.0.1"}});
    worker.on("tickets", "open", [](foz::service::request& r) {
        r.broadcast(r.message(), {.topic = "new", .type = "opened"});
        r.reply(R"({"ok":true})");
    });
    worker.on_ready([] { std::fputs("ready\n", stderr); });
    worker.run();
} catch (const std::exception& error) {
    std::fprintf(stderr, "my_service: %s\n", error.what());
    return 1;
}
