#include "cli/drill/catalogue.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sched.h>
#include <stdexcept>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace foz::cli::drill {
namespace {

constexpr const char* small_disk_options = "size=160m,mode=0700";

// A file system in memory that only the drill and its processes see; it vanishes with them.
void mount_small_disk(const std::string& folder) {
    std::filesystem::create_directories(folder);
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("foz-drill", folder.c_str(), "tmpfs", 0, small_disk_options) != 0)
        throw skipped(std::string("root, for a small file system of its own (") + std::strerror(errno) + ")");
}

constexpr unsigned fill_attempts = 50;

// Takes everything that is free there but for `left` octets. The broker writes at the same time: what was free a moment
// ago may not be.
void fill(const std::string& folder, const std::string& ballast, std::uint64_t left) {
    const int file = ::open(ballast.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) throw std::runtime_error(ballast + ": " + std::strerror(errno));
    int failure = ENOSPC;
    for (unsigned i = 0; i < fill_attempts && failure == ENOSPC; ++i) {
        struct statvfs disk{};
        if (::statvfs(folder.c_str(), &disk) != 0) break;
        const std::uint64_t available = std::uint64_t{disk.f_bavail} * disk.f_frsize;
        failure = available <= left ? 0 : ::posix_fallocate(file, 0, static_cast<off_t>(available - left));
    }
    ::close(file);
    if (failure != 0) throw std::runtime_error(std::string("the disk can't be filled: ") + std::strerror(failure));
}

struct unmounted {
    std::string folder;
    ~unmounted() { ::umount2(folder.c_str(), MNT_DETACH); }
};

}  // namespace

// The broker's disk is full for a while: publishers wait or are told, and nothing that was confirmed is lost. Below its
// limit the broker stops its publishers before the disk is full; here both are tried.
findings disk_full(stage& on) {
    if (on.options().cluster) throw skipped("--broker embedded");
    const std::string folder = on.folder().file("small-disk");
    mount_small_disk(folder);
    const unmounted guard{folder};
    plan what;
    what.data = folder + "/data";
    on.open(what);
    const std::string ballast = folder + "/ballast";
    for (unsigned i = on.faults(4, 2); i > 0; --i) {
        on.pause_between_faults();
        const std::uint64_t left = i % 2 == 0 ? std::uint64_t{20} << 20 : 0;
        fill(folder, ballast, left);
        on.fault(left > 0 ? "the disk is nearly full" : "the disk is full");
        on.pause(on.either(milliseconds(6'000), milliseconds(1'500)));
        std::filesystem::remove(ballast);
        on.outage_over("there is room again");
        on.pause(on.either(milliseconds(4'000), milliseconds(1'000)));
    }
    return on.finish({.refusals = {"timeout"}, .volatile_loss = true}, std::chrono::seconds(60));
}

}  // namespace foz::cli::drill
