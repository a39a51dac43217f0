// foz config check | show | doc
#include "cli/commands.hpp"
#include "cli/configured.hpp"
#include "cli/print.hpp"
#include "ops/config/document.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

namespace foz::cli {
namespace {

// All problems, where `foz serve` names the first and ends.
int check_configuration(const configured& from) {
    ops::configuration_reader reader;
    const ops::configuration all = from.read(reader);
    std::vector<std::string> problems = reader.problems();
    std::vector<std::string> warnings = reader.warnings();
    if (problems.empty()) {
        problems = broker_tls_problems(all.server);
        std::ranges::copy(broker_tls_warnings(all.server), std::back_inserter(warnings));
    }
    for (const auto* const lines : {&problems, &warnings})
        for (const std::string& line : *lines) std::fprintf(stderr, "foz: %s\n", line.c_str());
    if (!problems.empty()) return 1;
    std::string names;
    for (const auto& channel : all.server.channels) names += (names.empty() ? "" : ", ") + channel.name;
    print("the configuration is good; channels: " + names + "\n");
    return 0;
}

int show_configuration(const configured& from) {
    ops::configuration_reader reader;
    const ops::configuration all = from.read(reader);
    require_good(reader);
    print(ops::show(all, reader));
    return 0;
}

}  // namespace

void add_config(CLI::App& app, run_command& chosen) {
    CLI::App* const command = app.add_subcommand("config", "Check, show and describe the configuration");
    command->require_subcommand(1);
    command->footer("For example:\n  foz config check foz.toml\n  foz config show --config foz.toml");

    CLI::App* const check = command->add_subcommand("check", "Name every problem of a configuration");
    const auto checked = std::make_shared<configured>(*check);
    const auto file = std::make_shared<std::string>();
    check->add_option("FILE", *file, "The same as --config")->type_name("");
    check->footer("For example:\n  foz config check foz.toml\n  FOZ_LISTEN=0.0.0.0:80 foz config check foz.toml");
    check->callback([&chosen, checked, file] {
        if (!file->empty()) checked->set_file(*file);
        chosen = [checked] { return check_configuration(*checked); };
    });

    CLI::App* const show = command->add_subcommand("show", "Print the values in force and where each comes from");
    const auto shown = std::make_shared<configured>(*show);
    show->footer("For example:\n  foz config show\n  foz config show --config foz.toml --listen 127.0.0.1:80");
    show->callback([&chosen, shown] { chosen = [shown] { return show_configuration(*shown); }; });

    CLI::App* const doc = command->add_subcommand("doc", "Print every key with its default, as Markdown");
    doc->footer("For example:\n  foz config doc\n  foz config doc > docs/configuration.md");
    doc->callback([&chosen] {
        chosen = [] {
            print(ops::describe_keys());
            return 0;
        };
    });
}

}  // namespace foz::cli
