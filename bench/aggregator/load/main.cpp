// aggregator_load SCENARIO key=value …: the clients of one measurement. The driver is ../run.
#include "scenario.hpp"

#include <csignal>
#include <cstdio>
#include <map>
#include <string>
#include <sys/resource.h>
#include <vector>

#include <fmt/format.h>

namespace {

const std::map<std::string, void (*)(const foz::load::arguments&)> scenarios{
    {"fan_out", foz::load::fan_out},
    {"interests", foz::load::interests},
    {"idle", foz::load::idle},
    {"arrival", foz::load::arrival},
    {"resume_prepare", foz::load::resume_prepare},
    {"resume_storm", foz::load::resume_storm},
    {"burst", foz::load::burst},
    {"flood", foz::load::flood},
    {"noise", foz::load::noise_of},
};

void allow_many_sockets() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    const auto chosen = scenarios.find(words.empty() ? "" : words.front());
    if (chosen == scenarios.end()) {
        fmt::print(stderr, "aggregator_load: the first argument is no scenario\n");
        return 2;
    }
    allow_many_sockets();
    std::signal(SIGPIPE, SIG_IGN);
    try {
        chosen->second(foz::load::arguments(std::vector(words.begin() + 1, words.end())));
    } catch (const foz::load::wrong_usage& why) {
        fmt::print(stderr, "aggregator_load: {}\n", why.what());
        return 2;
    } catch (const std::runtime_error& why) {
        fmt::print(stderr, "aggregator_load: {}\n", why.what());
        return 1;
    }
    return 0;
}
