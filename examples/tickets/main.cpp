#include "common/program.hpp"
#include "service/dedupe_store.hpp"
#include "tickets.hpp"

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
    std::string file = "tickets.db";
    std::shared_ptr<foz::service::sqlite_store> store;
    return examples::run(
        argc, argv,
        {.name = "tickets",
         .about = "The ticket service: takes messages of channel \"tickets\" from a broker and keeps them in SQLite.",
         .add_options =
             [&](CLI::App& app) {
                 app.add_option("--database", file, "SQLite file; several workers may share it")->capture_default_str();
             },
         .configure =
             [&](foz::service::worker_options& options) {
                 store = std::make_shared<foz::service::sqlite_store>(file);
                 tickets::make_tables(store->database());
                 options.dedupe = store;
             },
         .add_handlers = [&](foz::service::worker& worker) { tickets::add_handlers(worker, store->database()); }});
}
