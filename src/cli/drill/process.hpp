// Real processes that a drill starts and kills, and the folder in which they live.
#pragma once

#include "cli/drill/history.hpp"

#include <csignal>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace foz::cli::drill {

// Nothing of it is left when it ends, unless keep() was called.
class temporary_folder {
public:
    // In $TMPDIR or /tmp. Throws std::runtime_error.
    temporary_folder();
    ~temporary_folder();
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;

    const std::string& path() const noexcept { return path_; }
    std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }
    void keep() noexcept { kept_ = true; }
    bool kept() const noexcept { return kept_; }

private:
    std::string path_;
    bool kept_ = false;
};

// A drill can't run here; says what it needs.
struct skipped : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct command {
    std::string name;  // for people
    std::vector<std::string> arguments;
    std::vector<std::string> environment;  // NAME=value, beside ours
    bool bare_environment = false;         // nothing of ours
    std::string log;                       // stdout and stderr are appended there
    int input = -1;                        // descriptor; else there is none
    int output = -1;                       // descriptor instead of the log
    int network = -1;                      // descriptor of a network namespace to live in
};

// A child. It dies with the thread that has started it, so that no drill leaves anything behind, however it ends.
class process {
public:
    // Throws std::runtime_error.
    explicit process(const command& what);
    // Kills it.
    ~process();
    process(const process&) = delete;
    process& operator=(const process&) = delete;

    pid_t id() const noexcept { return id_; }
    const std::string& name() const noexcept { return name_; }
    bool running();
    void signal(int number);
    // SIGKILL; it has gone when this returns.
    void kill();
    // SIGTERM, and SIGKILL when it is still there after `patience`. The exit code, or nothing after a signal.
    std::optional<int> stop(milliseconds patience);
    // True when it has ended in time.
    bool wait(milliseconds patience);

    // The rest of the line that follows `text` in what it has written since it was started. Nothing when it has ended
    // or the patience is over.
    std::optional<std::string> wait_for(std::string_view text, milliseconds patience);
    // The last lines of its log.
    std::string last_words() const;

private:
    std::string name_;
    std::string log_;
    std::size_t log_begin_ = 0;
    pid_t id_ = -1;
    bool ended_ = false;
    int status_ = 0;
};

// Of this program.
std::string own_program();

// Whether Node is there, and the packages of clients/js in a folder above this program.
bool have_node();
// The path of a script of clients/js there. Throws skipped.
std::string node_script(const std::string& name);

}  // namespace foz::cli::drill
