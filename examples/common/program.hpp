// What the example services' programs share: the command line, and the worker's life.
#pragma once

#include "service/worker.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace examples {

// One of the program's own, whose value is a text.
struct option {
    std::string name;  // "--database"
    std::string about;
    std::string* value;  // also its default
};

// One that is said or not. Not shown by --help: for demonstrations and tests.
struct hidden_flag {
    std::string name;  // "--demo"
    bool* value;
};

struct program {
    std::string name;   // "chat" makes foz-chat
    std::string about;  // for --help
    std::uint16_t concurrency = 4;
    std::vector<option> options;  // besides those that all have
    std::vector<hidden_flag> hidden_flags = {};
    std::function<void(foz::service::worker_options&)> configure;  // after the command line was read; may be empty
    std::function<void(foz::service::worker&)> add_handlers;
};

// Says "foz-NAME: ready" on stderr when it takes work. Exit codes: 0 stopped in good order, 1 it could not start, 2
// wrong usage.
int run(int argc, char** argv, const program& what);

}  // namespace examples
