// The subcommands of `foz`. Each adds itself to the command line; the one that was chosen sets `chosen`, which runs and
// returns the exit code.
#pragma once

#include <functional>
#include <stdexcept>

namespace CLI {
class App;
}

namespace foz::cli {

using run_command = std::function<int()>;

// Ends in exit code 2.
struct wrong_usage : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Exit codes: 0 stopped in good order, 1 it could not start or ended on an error (one line on stderr), 2 wrong usage.
void add_admin(CLI::App& app, run_command& chosen);  // admin hash, client disconnect
void add_serve(CLI::App& app, run_command& chosen);
void add_config(CLI::App& app, run_command& chosen);
void add_topology(CLI::App& app, run_command& chosen);
void add_broker(CLI::App& app, run_command& chosen);
void add_talk(CLI::App& app, run_command& chosen);   // pub, sub, request
void add_dead(CLI::App& app, run_command& chosen);   // list, show, retry, drop
void add_token(CLI::App& app, run_command& chosen);  // check, make, revoke
void add_token_revoke(CLI::App& token, run_command& chosen);
void add_doctor(CLI::App& app, run_command& chosen);
void add_top(CLI::App& app, run_command& chosen);
void add_drill(CLI::App& app, run_command& chosen);
void add_drill_worker(CLI::App& app, run_command& chosen);

}  // namespace foz::cli
