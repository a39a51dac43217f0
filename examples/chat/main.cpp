#include "chat.hpp"
#include "common/program.hpp"

int main(int argc, char** argv) {
    bool demo = false;
    return examples::run(
        argc, argv,
        {.name = "chat",
         .about = "The chat service: takes messages of channel \"chat\" from a broker and answers them.",
         .options = {},
         .hidden_flags = {{.name = "--demo", .value = &demo}},
         .configure = {},
         .add_handlers = [&demo](foz::service::worker& worker) {
             chat::add_handlers(worker);
             if (demo) chat::add_demo(worker);
         }});
}
