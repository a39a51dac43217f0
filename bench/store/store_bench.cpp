// Measures an engine of the store with what a broker does to it: batches of puts and removes, one commit for each,
// pages read at the same time, a backlog that grows and drains. One line of JSON.
#include "broker/store/log_engine.hpp"
#include "broker/store/records.hpp"
#include "engines.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

using namespace foz::broker;

namespace {

struct settings {
    std::string engine = "sqlite";
    std::string folder;
    std::uint64_t messages = 1'000'000;
    std::size_t size = 100;
    std::size_t batch = 500;
    std::size_t queues = 1;
    std::size_t chunk_kib = 64;
    std::string work = "backlog";
};

using steady = std::chrono::steady_clock;

double seconds_since(steady::time_point begin) {
    return std::chrono::duration<double>(steady::now() - begin).count();
}

// "write_bytes: 123" of /proc/self/io, "VmRSS: 123 kB" of /proc/self/status.
std::uint64_t proc_value(const char* file, const std::string& name) {
    std::ifstream in(file);
    std::string word;
    std::uint64_t value = 0;
    while (in >> word)
        if (word == name) in >> value;
    return value;
}

double cpu_seconds() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

std::uint64_t folder_bytes(const std::string& folder) {
    std::uint64_t bytes = 0;
    for (const auto& one : std::filesystem::recursive_directory_iterator(folder))
        if (one.is_regular_file()) bytes += one.file_size();
    return bytes;
}

message_ref make_message(std::size_t size) {
    const std::string properties("\x10\x00\x02", 3);  // delivery mode 2
    const std::string body(size, 'x');
    return *message::make({.exchange = "", .routing_key = "a.queue", .properties = properties, .body = body});
}

// One queue's puts and removes for the next batch.
class load {
public:
    load(engine& disk, const settings& wish)
        : disk_(disk), wish_(wish), what_(make_message(wish.size)), states_(wish.queues) {}

    void step(std::size_t puts, std::size_t removes) {
        batch next;
        next.number = ++number_;
        next.durable = true;
        for (std::size_t i = 0; i < std::max(puts, removes); ++i) {
            const std::size_t q = i % wish_.queues;
            log_changes& changes = next.logs[q + 1];
            state& s = states_[q];
            if (i < puts) changes.puts.push_back({.at = s.next++, .what = what_, .arrived_ms = 1'700'000'000'000});
            if (i < removes && s.first < s.next) changes.removes.push_back(s.first++);
        }
        for (auto& [q, changes] : next.logs) {
            const state& s = states_[q - 1];
            changes.summary = {
                .count = s.next - s.first, .bytes = (s.next - s.first) * what_->octets().size(), .next = s.next};
        }
        if (const auto done = disk_.apply(next); !done) throw std::runtime_error(done.error().text);
    }

private:
    struct state {
        position first = 0;
        position next = 0;
    };
    engine& disk_;
    const settings& wish_;
    const message_ref what_;
    std::vector<state> states_;
    commit_number number_ = 0;
};

struct phase {
    steady::time_point begin = steady::now();
    double cpu = cpu_seconds();
    std::uint64_t written = proc_value("/proc/self/io", "write_bytes:");

    void print(const char* name, std::uint64_t messages, const std::string& folder) const {
        const double seconds = seconds_since(begin);
        std::printf(
            ", \"%s\": {\"per_second\": %.0f, \"cpu_us\": %.2f, \"written_mb\": %.1f, \"files_mb\": %.1f, \"rss_mb\": "
            "%.1f}",
            name, static_cast<double>(messages) / seconds, (cpu_seconds() - cpu) * 1e6 / static_cast<double>(messages),
            static_cast<double>(proc_value("/proc/self/io", "write_bytes:") - written) / 1e6,
            static_cast<double>(folder_bytes(folder)) / 1e6,
            static_cast<double>(proc_value("/proc/self/status", "VmRSS:")) / 1e3);
    }
};

// All messages in, all out in order, read by pages on another thread as a queue does.
void backlog(engine& disk, const settings& wish) {
    load work(disk, wish);
    const phase fill;
    for (std::uint64_t i = 0; i < wish.messages; i += wish.batch) work.step(wish.batch, 0);
    fill.print("fill", wish.messages, wish.folder);
    const phase drain;
    std::thread reader([&] {
        std::uint64_t seen = 0;
        for (position at = 0;;) {
            const auto page = disk.read(1, at, {.end = ~position{0}, .count_max = 512, .bytes_max = 1 << 20});
            if (!page) throw std::runtime_error(page.error().text);
            if (page->entries.empty() || page->entries.back().at < at) break;
            seen += page->entries.size();
            at = page->end;
        }
        std::fprintf(stderr, "read %llu of %llu\n", static_cast<unsigned long long>(seen),
                     static_cast<unsigned long long>(wish.messages));
    });
    reader.join();
    drain.print("read", wish.messages, wish.folder);
    const phase remove;
    for (std::uint64_t i = 0; i < wish.messages; i += wish.batch) work.step(0, wish.batch);
    remove.print("drain", wish.messages, wish.folder);
}

// Messages pass through: each batch removes what the one before it has put.
void through(engine& disk, const settings& wish) {
    load work(disk, wish);
    work.step(wish.batch, 0);
    const phase pass;
    for (std::uint64_t i = 0; i < wish.messages; i += wish.batch) work.step(wish.batch, wish.batch);
    pass.print("through", wish.messages, wish.folder);
}

void fill_only(engine& disk, const settings& wish) {
    load work(disk, wish);
    const phase fill;
    for (std::uint64_t i = 0; i < wish.messages; i += wish.batch) work.step(wish.batch, 0);
    fill.print("fill", wish.messages, wish.folder);
}

}  // namespace

int main(int argc, char** argv) {
    settings wish;
    CLI::App app("Measures an engine of the store");
    app.add_option("--engine", wish.engine, "append, lmdb, rocksdb or sqlite");
    app.add_option("--folder", wish.folder, "New and empty")->required();
    app.add_option("--messages", wish.messages);
    app.add_option("--size", wish.size, "Octets of a body");
    app.add_option("--batch", wish.batch, "Messages in a commit");
    app.add_option("--queues", wish.queues);
    app.add_option("--chunk-kib", wish.chunk_kib, "0: each message is a record");
    app.add_option("--work", wish.work, "backlog, through or fill");
    CLI11_PARSE(app, argc, argv);
    std::filesystem::create_directories(wish.folder);
    std::printf("{\"engine\": \"%s\", \"size\": %zu, \"batch\": %zu, \"chunk_kib\": %zu, \"queues\": %zu",
                wish.engine.c_str(), wish.size, wish.batch, wish.chunk_kib, wish.queues);
    const auto opening = steady::now();
    auto disk = open_engine(wish.engine, wish.folder, {.bytes = wish.chunk_kib << 10, .span = 2'048});
    std::printf(", \"open_ms\": %.1f, \"open_rss_mb\": %.1f", seconds_since(opening) * 1e3,
                static_cast<double>(proc_value("/proc/self/status", "VmRSS:")) / 1e3);
    while (disk->apply({}).value_or(false)) {
    }  // what it does when nobody waits
    if (wish.work == "backlog")
        backlog(*disk, wish);
    else if (wish.work == "through")
        through(*disk, wish);
    else
        fill_only(*disk, wish);
    disk.reset();
    const auto again = steady::now();
    disk = open_engine(wish.engine, wish.folder, {.bytes = wish.chunk_kib << 10, .span = 2'048});
    std::printf(", \"reopen_ms\": %.1f, \"end_mb\": %.1f}\n", seconds_since(again) * 1e3,
                static_cast<double>(folder_bytes(wish.folder)) / 1e6);
    return 0;
}
