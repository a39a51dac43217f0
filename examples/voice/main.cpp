#include "common/program.hpp"
#include "voice.hpp"

int main(int argc, char** argv) {
    // One at a time: a client's messages have to be handled in their order.
    return examples::run(argc, argv,
                         {.name = "voice",
                          .about = "The voice service: rings, answers and hangs up calls of channel \"voice\".",
                          .concurrency = 1,
                          .options = {},
                          .configure = {},
                          .add_handlers = voice::add_handlers});
}
