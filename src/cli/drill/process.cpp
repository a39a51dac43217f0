#include "cli/drill/process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sched.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <climits>

namespace foz::cli::drill {
namespace {

constexpr milliseconds look_interval{10};
constexpr std::size_t last_words_max = 1'500;

std::string read_from(const std::string& file, std::size_t begin) {
    std::ifstream in(file, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(begin));
    return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (std::string& one : texts) out.push_back(one.data());
    out.push_back(nullptr);
    return out;
}

// In the child, between fork and exec: only what is safe in a process that had several threads.
[[noreturn]] void become(const command& what, int log, pid_t parent, char** arguments, char** environment) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    // A group of its own: a Ctrl-C is the drill's alone.
    ::setpgid(0, 0);
    if (what.network >= 0 && ::setns(what.network, CLONE_NEWNET) != 0) ::_exit(126);
    ::signal(SIGPIPE, SIG_DFL);
    ::dup2(what.input >= 0 ? what.input : ::open("/dev/null", O_RDONLY), STDIN_FILENO);
    ::dup2(what.output >= 0 ? what.output : log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::execvpe(arguments[0], arguments, environment);
    ::_exit(127);
}

// clients/js of the source tree that this program was built in, with its packages; else empty.
std::string scripts_folder() {
    std::error_code ignored;
    for (std::filesystem::path at = own_program(); at.has_relative_path(); at = at.parent_path()) {
        const std::filesystem::path folder = at.parent_path() / "clients/js";
        if (std::filesystem::exists(folder / "drill.mjs", ignored) &&
            std::filesystem::exists(folder / "node_modules/primus", ignored))
            return folder;
    }
    return {};
}

}  // namespace

temporary_folder::temporary_folder() {
    const char* const base = std::getenv("TMPDIR");
    path_ = std::string(base && *base ? base : "/tmp") + "/foz-drill-XXXXXX";
    if (!::mkdtemp(path_.data()))
        throw std::runtime_error("no temporary folder " + path_ + ": " + std::strerror(errno));
}

temporary_folder::~temporary_folder() {
    std::error_code ignored;
    if (!kept_) std::filesystem::remove_all(path_, ignored);
}

process::process(const command& what) : name_(what.name), log_(what.log) {
    std::vector<std::string> arguments = what.arguments;
    std::vector<std::string> environment = what.environment;
    if (!what.bare_environment)
        for (char** one = ::environ; *one; ++one)
            // What configures a foz of the person who drills is not the drill's.
            if (!std::string_view(*one).starts_with("FOZ_")) environment.emplace_back(*one);
    const std::vector<char*> argument_pointers = pointers(arguments);
    const std::vector<char*> environment_pointers = pointers(environment);
    const int log = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0) throw std::runtime_error(log_ + ": " + std::strerror(errno));
    log_begin_ = static_cast<std::size_t>(::lseek(log, 0, SEEK_END));
    const pid_t parent = ::getpid();
    id_ = ::fork();
    if (id_ == 0)
        become(what, log, parent, const_cast<char**>(argument_pointers.data()),
               const_cast<char**>(environment_pointers.data()));
    ::close(log);
    if (id_ < 0) throw std::runtime_error(name_ + " can't be started: " + std::strerror(errno));
}

process::~process() {
    kill();
}

bool process::running() {
    if (ended_) return false;
    ended_ = ::waitpid(id_, &status_, WNOHANG) == id_;
    return !ended_;
}

void process::signal(int number) {
    if (running()) ::kill(id_, number);
}

void process::kill() {
    if (!running()) return;
    ::kill(id_, SIGKILL);
    while (::waitpid(id_, &status_, 0) < 0 && errno == EINTR) {
    }
    ended_ = true;
}

bool process::wait(milliseconds patience) {
    const instant end = std::chrono::steady_clock::now() + patience;
    while (running()) {
        if (std::chrono::steady_clock::now() >= end) return false;
        std::this_thread::sleep_for(look_interval);
    }
    return true;
}

std::optional<int> process::stop(milliseconds patience) {
    signal(SIGTERM);
    if (!wait(patience)) kill();
    return WIFEXITED(status_) ? std::optional<int>(WEXITSTATUS(status_)) : std::nullopt;
}

std::optional<std::string> process::wait_for(std::string_view text, milliseconds patience) {
    const instant end = std::chrono::steady_clock::now() + patience;
    for (;;) {
        const bool alive = running();
        const std::string said = read_from(log_, log_begin_);
        if (const std::size_t at = said.find(text); at != std::string::npos) {
            const std::size_t line_end = said.find('\n', at);
            if (line_end != std::string::npos) return said.substr(at + text.size(), line_end - at - text.size());
        }
        if (!alive || std::chrono::steady_clock::now() >= end) return std::nullopt;
        std::this_thread::sleep_for(look_interval);
    }
}

std::string process::last_words() const {
    const std::string said = read_from(log_, log_begin_);
    return said.substr(said.size() - std::min(said.size(), last_words_max));
}

std::string own_program() {
    std::array<char, PATH_MAX> path{};
    const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
    if (size <= 0) throw std::runtime_error("/proc/self/exe can't be read");
    return {path.data(), static_cast<std::size_t>(size)};
}

bool have_node() {
    const char* const path = std::getenv("PATH");
    const std::string all = path ? path : "";
    bool node = false;
    for (std::size_t begin = 0; begin <= all.size() && !node;) {
        const std::size_t end = std::min(all.find(':', begin), all.size());
        node = ::access((all.substr(begin, end - begin) + "/node").c_str(), X_OK) == 0;
        begin = end + 1;
    }
    return node && !scripts_folder().empty();
}

std::string node_script(const std::string& name) {
    if (!have_node()) throw skipped("Node and the packages of clients/js (scripts/npm)");
    return scripts_folder() + "/" + name;
}

}  // namespace foz::cli::drill
