// foz_sim: runs seeds, and shows what a failing one did.
#include "command.hpp"

int main(int argc, char** argv) {
    const auto what = foz::sim::read_command(argc, argv);
    return what ? foz::sim::run(*what) : 2;
}
