#include "cli/commands.hpp"

#include <cstdio>
#include <exception>

#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
    CLI::App app("Foz puts browsers on RabbitMQ without putting RabbitMQ on the internet.", "foz");
    app.require_subcommand(1);
    app.set_version_flag("--version", FOZ_VERSION);
    const foz::cli::run_command serve = foz::cli::add_serve(app);
    try {
        app.parse(argc, argv);
        return serve();
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "foz: %s\n", error.what());
        return 1;
    }
}
