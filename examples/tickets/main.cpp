#include "common/program.hpp"
#include "service/dedupe_store.hpp"
#include "tickets.hpp"

#include <memory>
#include <string>

int main(int argc, char** argv) {
    std::string file = "tickets.db";
    std::shared_ptr<foz::service::sqlite_store> store;
    return examples::run(
        argc, argv,
        {.name = "tickets",
         .about = "The ticket service: takes messages of channel \"tickets\" from a broker and keeps them in SQLite.",
         .options = {{"--database", "SQLite file; several workers may share it", &file}},
         .configure =
             [&](foz::service::worker_options& options) {
                 store = std::make_shared<foz::service::sqlite_store>(file);
                 tickets::make_tables(store->database());
                 options.dedupe = store;
             },
         .add_handlers = [&](foz::service::worker& worker) { tickets::add_handlers(worker, store->database()); }});
}
