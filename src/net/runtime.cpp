#include "net/runtime.hpp"

#include "base/thread.hpp"

#include <sched.h>
#include <string>
#include <thread>

namespace foz::net {
namespace {

unsigned usable_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return static_cast<unsigned>(CPU_COUNT(&set));
}

}  // namespace

const clock& runtime::default_clock() {
    static const clock instance;
    return instance;
}

unsigned runtime::threads_of(unsigned threads) {
    return threads == 0 ? usable_cores() : threads;
}

runtime::runtime(unsigned threads, const clock& time, random_source& random) {
    const unsigned count = threads_of(threads);
    for (unsigned i = 0; i < count; ++i) shards_.push_back(std::make_unique<shard>(i, time, random));
}

runtime::~runtime() = default;

void runtime::run() {
    std::vector<std::jthread> threads;
    struct stop_all {  // also when shard 0 throws: the threads must end before they are joined
        runtime& self;
        ~stop_all() { self.stop(); }
    } const guard{*this};
    for (unsigned i = 1; i < size(); ++i)
        threads.emplace_back([this, i] {
            introduce_thread(("shard " + std::to_string(i)).c_str());
            at(i).run();
        });
    at(0).run();
    stop();
}

void runtime::stop() {
    for (auto& shard : shards_) shard->stop();
}

}  // namespace foz::net
