// foz drill-worker: the service of a drill. It answers, tells everybody, notes each run, and fails as it was told.
#include "service/worker.hpp"

#include "cli/commands.hpp"
#include "cli/configured.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <CLI/CLI.hpp>

namespace foz::cli {
namespace {

// A sabotaging worker breaks a promise with each of so many messages: the audit has to find it.
constexpr std::uint64_t sabotage_every = 20;

struct drill_worker_options {
    std::vector<std::string> brokers;
    std::string config;
    std::string log;
    std::string dependency;  // a file: while it exists, what the handlers need is down
    std::string sabotage;    // lose, repeat, reorder
    std::uint16_t concurrency = 4;
    std::uint32_t hold_ms = 0;  // that each message takes
};

// A line for each message that a handler has begun with. It survives the process: each line is one write.
class run_log {
public:
    explicit run_log(const std::string& file)
        : descriptor_(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
        if (descriptor_ < 0) throw std::runtime_error(file + ": " + std::strerror(errno));
    }
    ~run_log() { ::close(descriptor_); }
    run_log(const run_log&) = delete;
    run_log& operator=(const run_log&) = delete;

    void add(std::string_view message) const {
        const std::string line = std::string(message) + "\n";
        if (::write(descriptor_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
            throw std::runtime_error("the log of runs can't be written");
    }

private:
    int descriptor_;
};

// Lives as long as the worker; handlers run on several threads.
class drill_service {
public:
    explicit drill_service(const drill_worker_options& options) : options_(options), runs_(options.log) {}

    void work(service::request& r) {
        runs_.add(r.message());
        if (r.type() == "poison") std::raise(SIGKILL);
        if (!options_.dependency.empty() && std::filesystem::exists(options_.dependency))
            throw std::runtime_error("what the drill's service depends on is down");
        if (options_.hold_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(options_.hold_ms));
        tell_everybody(r);
        r.reply(r.message());
    }

private:
    void tell_everybody(service::request& r) {
        const std::uint64_t number = ++count_;
        const bool now = !options_.sabotage.empty() && number % sabotage_every == 0;
        if (now && options_.sabotage == "lose") return;
        if (options_.sabotage == "reorder") return tell_in_wrong_order(r, now);
        r.broadcast(r.message(), {.type = "drill"});
        if (now && options_.sabotage == "repeat") r.broadcast(r.message(), {.type = "drill"});
    }

    // What is held back comes behind the next message of the same client.
    void tell_in_wrong_order(service::request& r, bool hold) {
        const std::lock_guard lock(mutex_);
        std::string& held = held_[std::string(r.channel()) + " " + std::string(r.client())];
        if (hold && held.empty()) {
            held = r.message();
            return;
        }
        r.broadcast(r.message(), {.type = "drill"});
        if (!held.empty()) r.broadcast(held, {.type = "drill"});
        held.clear();
    }

    const drill_worker_options options_;
    run_log runs_;
    std::atomic<std::uint64_t> count_ = 0;
    std::mutex mutex_;                         // guards held_
    std::map<std::string, std::string> held_;  // by channel and client
};

int run_drill_worker(const drill_worker_options& options) {
    ops::configuration_reader reader;
    reader.read_file(options.config);
    const ops::configuration all = reader.finish();
    require_good(reader);
    service::worker_options how{.broker_urls = options.brokers, .name = "drill", .concurrency = options.concurrency};
    how.channels = all.server.channels;
    drill_service handlers(options);
    service::worker worker(how);
    for (const auto& channel : how.channels)
        worker.on(channel.name, "", [&handlers](service::request& r) { handlers.work(r); });
    worker.on_ready([] { std::fputs("drill-worker: ready\n", stderr); });
    worker.on_notice([](const std::string& text) { std::fprintf(stderr, "drill-worker: %s\n", text.c_str()); });
    worker.run();
    return 0;
}

}  // namespace

void add_drill_worker(CLI::App& app, run_command& chosen) {
    CLI::App* const command = app.add_subcommand("drill-worker", "The service of foz drill");
    command->group("");  // not for people
    const auto options = std::make_shared<drill_worker_options>();
    command->add_option("--broker", options->brokers, "AMQP URLs")->required();
    command->add_option("--config", options->config, "The channels")->required();
    command->add_option("--log", options->log, "Each run is a line of this file")->required();
    command->add_option("--dependency", options->dependency, "While this file exists, every message fails");
    command->add_option("--sabotage", options->sabotage, "Break this promise now and then")
        ->check(CLI::IsMember({"lose", "repeat", "reorder"}));
    command->add_option("--concurrency", options->concurrency, "Messages at once");
    command->add_option("--hold-ms", options->hold_ms, "That each message takes");
    command->callback([&chosen, options] { chosen = [options] { return run_drill_worker(*options); }; });
}

}  // namespace foz::cli
