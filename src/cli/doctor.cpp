// foz doctor
#include "ops/broker/doctor.hpp"

#include "cli/commands.hpp"
#include "cli/configured.hpp"
#include "ops/broker/probe.hpp"

#include <cstdio>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

namespace foz::cli {
namespace {

void print_check(ops::verdict outcome, const std::string& text) {
    constexpr const char* words[] = {"ok  ", "note", "FAIL"};
    std::printf("%s  %s\n", words[static_cast<int>(outcome)], text.c_str());
    std::fflush(stdout);
}

boost::asio::awaitable<int> examine(net::shard& home, const ops::configuration& all) {
    bool failed = false;
    co_await ops::examine(home, all, [&failed](ops::verdict outcome, const std::string& text) {
        failed |= outcome == ops::verdict::bad;
        print_check(outcome, text);
    });
    co_return failed ? 1 : 0;
}

int doctor(const configured& from) {
    ops::configuration_reader reader;
    const ops::configuration all = from.read(reader);
    for (const std::string& warning : reader.warnings()) print_check(ops::verdict::note, warning);
    for (const std::string& problem : reader.problems()) print_check(ops::verdict::bad, problem);
    if (!reader.problems().empty()) return 1;
    std::string names;
    for (const auto& channel : all.server.channels) names += (names.empty() ? "" : ", ") + channel.name;
    print_check(ops::verdict::good, "configuration: reads; channels " + names);
    return ops::run_alone([&](net::shard& home) { return examine(home, all); });
}

}  // namespace

void add_doctor(CLI::App& app, run_command& chosen) {
    CLI::App* const command =
        app.add_subcommand("doctor", "Check configuration, broker, topology and permissions, in plain words");
    const auto from = std::make_shared<configured>(*command);
    command->footer(
        "Ends with 1 when a check failed; changes nothing. For example:\n"
        "  foz doctor --config foz.toml\n  foz doctor --broker amqp://127.0.0.1");
    command->callback([&chosen, from] { chosen = [from] { return doctor(*from); }; });
}

}  // namespace foz::cli
