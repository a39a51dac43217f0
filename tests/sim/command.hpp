// What foz_sim can be asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace foz::sim {

struct command {
    std::uint64_t from = 1;
    std::uint64_t to = 2;  // not included
    std::optional<std::uint64_t> seconds;
    bool go_on = false;  // all findings, not only the first
    bool once = false;   // each seed once: quicker, and nothing shows whether it replays
    bool history = false;
    bool covered = false;
    std::string kept_seeds;  // a file: seeds that have found something once
    std::string record;      // a folder for the traces of plugin clients
    std::string planted;     // which bug is planted; "all": each is looked for
    std::size_t lines = 400;
};

// Nothing when the arguments can't be read; says why.
std::optional<command> read_command(int argc, char** argv);
int run(const command& what);

}  // namespace foz::sim
