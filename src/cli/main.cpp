#include "cli/commands.hpp"
#include "ops/config/nearest.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

namespace {

// A subcommand that there is not: told with the nearest one, which the command line's own error does not do.
void check_subcommands(const CLI::App& app, int argc, char** argv) {
    const CLI::App* at = &app;
    std::string path;
    for (int i = 1; i < argc && argv[i][0] != '-'; ++i) {
        const auto inner = at->get_subcommands([](const CLI::App*) { return true; });
        if (inner.empty()) return;
        const auto same =
            std::find_if(inner.begin(), inner.end(), [&](const CLI::App* one) { return one->check_name(argv[i]); });
        if (same == inner.end()) {
            std::vector<std::string> names;
            for (const CLI::App* one : inner) names.push_back(path + one->get_name());
            const std::string said = path + argv[i];
            throw foz::cli::wrong_usage("there is no subcommand \"" + said + "\"; did you mean " +
                                        foz::ops::join(foz::ops::nearest_first(said, names)) + "?");
        }
        at = *same;
        path += at->get_name() + " ";
    }
}

// A flag that there is not, told with the nearest one.
std::string unknown_argument(const CLI::App& app, int argc, char** argv, const std::string& otherwise) {
    const CLI::App* at = &app;
    while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
    std::vector<std::string> names;
    for (const CLI::Option* const one : at->get_options())
        for (const std::string& name : one->get_lnames()) names.push_back("--" + name);
    for (int i = 1; i < argc; ++i) {
        const std::string_view all = argv[i];
        if (!all.starts_with("--")) continue;
        const std::string said(all.substr(0, all.find('=')));
        if (said.size() == 2 || std::ranges::find(names, said) != names.end()) continue;
        return "there is no flag \"" + said + "\"; " + foz::ops::suggestion(said, names);
    }
    return otherwise;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Foz puts browsers on RabbitMQ without putting RabbitMQ on the internet.", "foz");
    app.require_subcommand(1);
    app.set_version_flag("--version", FOZ_VERSION);
    app.footer(
        "For example:\n  foz serve --broker amqp://127.0.0.1 --web web\n"
        "  foz doctor --config foz.toml");
    foz::cli::run_command chosen;
    foz::cli::add_serve(app, chosen);
    foz::cli::add_broker(app, chosen);
    foz::cli::add_config(app, chosen);
    foz::cli::add_topology(app, chosen);
    foz::cli::add_talk(app, chosen);
    foz::cli::add_dead(app, chosen);
    foz::cli::add_token(app, chosen);
    foz::cli::add_doctor(app, chosen);
    foz::cli::add_top(app, chosen);
    foz::cli::add_admin(app, chosen);
    foz::cli::add_drill(app, chosen);
    foz::cli::add_drill_worker(app, chosen);
    try {
        check_subcommands(app, argc, argv);
        app.parse(argc, argv);
        return chosen();
    } catch (const CLI::ExtrasError& error) {
        std::fprintf(stderr, "foz: %s\n", unknown_argument(app, argc, argv, error.what()).c_str());
        return 2;
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    } catch (const foz::cli::wrong_usage& error) {
        std::fprintf(stderr, "foz: %s\n", error.what());
        return 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "foz: %s\n", error.what());
        return 1;
    }
}
