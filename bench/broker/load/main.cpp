// broker_load: one measurement of one server; the result is one line of JSON.
#include "load.hpp"

#include <cstdio>
#include <stdexcept>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

using foz::bench::load_options;
using foz::bench::load_result;

void add_options(CLI::App& app, load_options& to) {
    app.add_option("--address", to.server.address, "The server's address");
    app.add_option("--port", to.server.port, "The server's port");
    app.add_option("--pid", to.server_pid, "The server's process, whose processor time and memory are read");
    app.add_option("--core", to.server_core, "The core that it runs on");
    app.add_option("--name", to.name, "Prefix of the queues' names");
    app.add_option("--publishers", to.publishers, "Connections that publish");
    app.add_option("--consumers", to.consumers, "Connections that consume");
    app.add_option("--queues", to.queues, "Queues; consumers and publishers take them in turn");
    app.add_flag("--fanout", to.fanout, "Each message goes to all queues");
    app.add_option("--queue-type", to.queue_type, "quorum or stream")->check(CLI::IsMember({"quorum", "stream"}));
    app.add_flag("--durable", to.durable, "Durable queues");
    app.add_flag("--persistent", to.persistent, "Delivery mode 2");
    app.add_flag("--confirms", to.confirms, "Publisher confirms");
    app.add_flag("--no-ack", to.no_ack, "Consumers do not acknowledge");
    app.add_option("--prefetch", to.prefetch, "Of each consumer");
    app.add_option("--ack-every", to.ack_every, "One ack for so many messages");
    app.add_option("--size", to.size, "Octets of a body")->check(CLI::Range(1, 60'000));
    app.add_option("--window", to.window, "Messages published and not delivered yet; 0: no limit");
    app.add_option("--confirm-window", to.confirm_window, "Messages of a publisher not confirmed yet")
        ->check(CLI::Range(1, 60'000));
    app.add_option("--warm-up", to.warm_up, "Seconds that do not count");
    app.add_option("--seconds", to.seconds, "Seconds that count");
    app.add_option("--count", to.count, "So many messages instead of a time");
    app.add_flag("--keep", to.keep, "Leave the queues");
}

void print(const load_result& r) {
    fmt::print(
        R"({{"seconds":{:.6f},"published":{},"confirmed":{},"refused":{},"delivered":{},"server_cpu":{:.3f},)"
        R"("load_cpu":{:.3f},"core_idle":{:.3f},"rss_max_kb":{},"anonymous_max_kb":{},"rss_kb":{},"anonymous_kb":{}}})"
        "\n",
        r.seconds, r.published, r.confirmed, r.refused, r.delivered, r.server_cpu, r.load_cpu, r.core_idle,
        r.memory_max.resident_kb, r.memory_max.anonymous_kb, r.memory_end.resident_kb, r.memory_end.anonymous_kb);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Load for an AMQP broker");
    load_options options;
    double first_since = 0;
    add_options(app, options);
    app.add_option("--first-confirm-since", first_since,
                   "Only: seconds from then (CLOCK_MONOTONIC) until a first message is confirmed");
    CLI11_PARSE(app, argc, argv);
    try {
        if (first_since > 0)
            fmt::print("{{\"seconds\":{:.6f}}}\n", foz::bench::first_confirm(options.server, first_since));
        else
            print(foz::bench::run_load(options));
    } catch (const std::runtime_error& why) {
        fmt::print(stderr, "broker_load: {}\n", why.what());
        return 1;
    }
    return 0;
}
