// Who did what through the admin port, and who was not let in.
#pragma once

#include "base/clock.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace foz::ops {

class log_queue;

struct audit_entry {
    std::string_view user;     // as it was said, whether there is such a user or not; empty: none was
    std::string_view address;  // of the client
    std::string_view action;   // "login", "clients/disconnect"
    std::string_view target;   // of the action; empty: none
    std::string_view outcome;  // "done", "refused: …"
};

// One line of JSON for each entry: time, user, address, action, target, outcome. Strings of strangers are cut after 256
// octets, and what is no UTF-8 in them becomes '?'. Lives on one shard, and never makes it wait: a thread of its own
// writes the file.
class audit_log {
public:
    // Appends to the file, which is made readable to its owner alone. Empty: the process' log has the lines, each
    // behind "audit: " (level info). Throws std::runtime_error with one line when it can't be opened.
    explicit audit_log(std::string file);
    // Writes what waits, for a second at most.
    ~audit_log();
    audit_log(const audit_log&) = delete;
    audit_log& operator=(const audit_log&) = delete;

    void write(const audit_entry& what, wall_time now);
    // Opens the file of that name anew, after it has been renamed. On failure the old one is written to on, and the
    // error says why in one line; empty: done, or there is no file.
    std::string reopen();

private:
    const std::string file_;
    int descriptor_ = -1;
    std::unique_ptr<log_queue> lines_;
};

// The line without its end.
std::string audit_line(const audit_entry& what, wall_time now);

}  // namespace foz::ops
