#include "chat.hpp"
#include "common/program.hpp"

int main(int argc, char** argv) {
    return examples::run(
        argc, argv,
        {.name = "chat",
         .about = "The chat service: takes messages of channel \"chat\" from a broker and answers them.",
         .options = {},
         .configure = {},
         .add_handlers = chat::add_handlers});
}
