// The subcommands of `foz`. Each adds itself to the command line and, when it was chosen, runs and returns the exit
// code.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace foz::cli {

using run_command = std::function<int()>;

// Exit codes: 0 stopped in good order, 1 it could not start or ended on an error (one line on stderr), 2 wrong usage.
run_command add_serve(CLI::App& app);

}  // namespace foz::cli
