#include "broker/embedded.hpp"

#include "broker/core/node.hpp"
#include "broker/definitions/json.hpp"
#include "broker/definitions/kept.hpp"
#include "broker/definitions/topology.hpp"
#include "broker/front/server.hpp"
#include "broker/operators.hpp"
#include "broker/store/log_engine.hpp"
#include "broker/store/sqlite_kv.hpp"
#include "broker/store/store.hpp"
#include "broker/store/wal_check.hpp"
#include "broker/watermarks.hpp"

#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <malloc.h>
#include <stdexcept>
#include <sys/file.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace foz::broker {
namespace {

constexpr std::chrono::milliseconds watch_interval{1'000};

// Two processes on one folder would destroy it.
class folder_lock {
public:
    explicit folder_lock(const std::string& folder) {
        std::error_code failure;
        std::filesystem::create_directories(folder, failure);
        if (failure) throw std::runtime_error(folder + ": " + failure.message());
        const std::string file = folder + "/lock";
        descriptor_ = ::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        if (descriptor_ < 0) throw std::runtime_error(file + ": " + std::generic_category().message(errno));
        if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
        ::close(descriptor_);
        throw std::runtime_error(folder + " is in use by another broker");
    }
    ~folder_lock() { ::close(descriptor_); }
    folder_lock(const folder_lock&) = delete;
    folder_lock& operator=(const folder_lock&) = delete;

private:
    int descriptor_ = -1;
};

std::unique_ptr<engine> open_store(const embedded_options& settings) try {
    // A limit on the size of files is a failed write like others, not the end of the process.
    std::signal(SIGXFSZ, SIG_IGN);
    const std::string damage = check_wal(sqlite_file(settings.data));
    if (!damage.empty() && settings.notice) settings.notice(damage);
    return std::make_unique<log_engine>(open_sqlite(settings.data), body_files(settings.data));
} catch (const kv_failure& why) {
    throw std::runtime_error(settings.data + " can't be read: " + why.what());
}

// A turn's messages come and go: the allocator is not to give their memory back to the kernel and fetch it again each
// time (a sixth of the processor's time with 16 KB messages).
void keep_freed_memory() {
    constexpr int kept_bytes = 4 << 20;
    constexpr int mapped_bytes = 1 << 20;  // from here on an allocation is a mapping of its own
    mallopt(M_TRIM_THRESHOLD, kept_bytes);
    mallopt(M_MMAP_THRESHOLD, mapped_bytes);
}

}  // namespace

// What the store says comes here before model and door are there: at a start it may find damage.
struct embedded::parts final : store_events {
    parts(net::shard& home, embedded_options options)
        : shard(home),
          settings(std::move(options)),
          lock(settings.data),
          disk(
              open_store(settings), [&home](std::function<void()> work) { home.post(std::move(work)); }, *this),
          defined(settings, disk, home.random()),
          model(disk, home.time(), home.random()),
          door(home, model,
               {.listen = {.address = settings.address, .port = settings.port, .reuse_port = false},
                .limits = {},
                .users = defined.users(settings),
                .version = settings.version,
                .tls = settings.tls,
                .proxies = net::network_list(settings.proxies),
                .notice = settings.notice}) {
        if (disk.damaged_records() > 0)
            say(std::to_string(disk.damaged_records()) + " records in " + settings.data +
                " are damaged and were left out: queues, exchanges or bindings may be missing");
        if (!disk.was_clean())
            say("the broker has not ended in good order: messages that were there before are marked as redelivered");
        model.start(defined.whole().vhosts, defined.policies());
        if (!failure.empty()) throw std::runtime_error(failure);
        disk.erase_unopened();
        defined.declare_in(model);
        if (const auto opened = door.listen(); !opened) throw std::runtime_error(opened.error());
        listening = true;
        watch();
    }

    void on_committed() override { door.on_committed(); }
    void on_trouble(const std::string& why) override {
        trouble = why.empty() ? "" : "the disk can't be written: " + why;
        block();
        say(why.empty() ? "the disk can be written again: publishers go on"
                        : settings.data + " can't be written, publishers wait: " + why);
    }
    void on_staging_trouble(const std::string& why) override {
        say(why.empty() ? "large messages can be written again"
                        : "a large message waits, and its publisher with it: " + why);
    }
    void on_pressure(bool high) override { door.hold(high); }
    void on_damage(queue_number queue, position first, std::uint64_t count) override {
        say(std::to_string(count) + " messages of " + name_of(queue) +
            " are damaged on disk and lost, the first one at position " + std::to_string(first));
    }
    void on_broken(const std::string& why) override {
        failure = settings.data + " can't be read: " + why;
        // Out of the shard's loop, to whoever runs it: not out of what is on the stack.
        if (listening) shard.post([text = failure] { throw std::runtime_error(text); });
    }

    // Publishers wait while the disk fails, or while there is too little room.
    void block() {
        const std::string& why = trouble.empty() ? low : trouble;
        door.block(!why.empty(), why);
    }
    void watch() {
        const std::string now = judge(measure(settings.data), limits);
        timer.start(shard.wheel(), watch_interval);
        if (now == low) return;
        low = now;
        say(low.empty() ? "there is room again: publishers go on" : low + ": publishers wait");
        block();
    }

    void say(const std::string& line) const {
        if (settings.notice) settings.notice(line);
    }
    std::string name_of(queue_number number) const {
        for (const auto& [name, home] : model.vhosts())
            for (const auto& [key, one] : home->queues())
                if (one->identity().number == number) return one->described();
        return "a queue that is being opened";
    }

    net::shard& shard;
    const embedded_options settings;
    std::string failure;
    bool listening = false;
    const folder_lock lock;
    store disk;
    const operators_definitions defined;
    node model;
    server door;
    const watermark_limits limits = settled(settings.limits);
    std::string trouble;  // of the store's writing
    std::string low;      // what there is too little of
    net::wheel_timer timer{this, [](parts& self) { self.watch(); }};
};

embedded::embedded(net::shard& home, embedded_options options)
    : parts_(std::make_unique<parts>(home, std::move(options))) {
    keep_freed_memory();
}

embedded::~embedded() {
    parts_->disk.finish_staging();
}

std::uint16_t embedded::port() const noexcept {
    return parts_->door.port();
}

std::uint16_t embedded::tls_port() const noexcept {
    return parts_->door.tls_port();
}

std::shared_ptr<net::tls_holder> embedded::tls() const noexcept {
    return parts_->door.tls();
}

void embedded::shut_down() {
    parts_->door.shut_down();
}

snapshot embedded::look() const {
    snapshot out = look_at(parts_->model, parts_->door);
    out.version = parts_->settings.version;
    out.waiting_bytes = parts_->disk.waiting_bytes();
    out.definitions = export_definitions();
    return out;
}

std::size_t embedded::connections() const noexcept {
    return parts_->door.connections();
}

std::string embedded::export_definitions() const {
    definition_set all = parts_->defined.whole();
    collect_topology(parts_->model, all);
    return to_json(all);
}

std::string export_definitions(const std::string& folder) {
    if (!std::filesystem::exists(sqlite_file(folder)))
        throw std::runtime_error(folder + " is no folder of a broker's data");
    const folder_lock lock(folder);
    const auto disk = open_store({.data = folder});
    decltype(disk->definitions({})) damaged;
    const auto records = [&](const auto& each) { damaged = disk->definitions(each); };
    definition_set all = kept_definitions(records, topology::with);
    if (!damaged) throw std::runtime_error(folder + " can't be read: " + damaged.error().text);
    if (*damaged > 0)
        throw std::runtime_error(std::to_string(*damaged) + " records in " + folder +
                                 " are damaged: the definitions are not whole");
    if (all.vhosts.empty()) all.vhosts.emplace_back("/");
    return to_json(all);
}

}  // namespace foz::broker
