// The process' log: lines on stderr, for people or for machines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace foz::ops {

// The log of a process that serves: spdlog's default logger for as long as this lives, one at a time. Logging never
// waits for stderr: lines go through a log_queue, and what it can't take is dropped and counted. From here on a pipe
// whose reader has gone is an error of the write, and not the end of the process (SIGPIPE).
class log_session {
public:
    // Format "text" or "json"; level "debug", "info", "warning" or "error".
    log_session(const std::string& format, const std::string& level);
    // The last lines are written, as far as stderr takes them; later ones go the plain way.
    ~log_session();
    log_session(const log_session&) = delete;
    log_session& operator=(const log_session&) = delete;
};

// A warning of which thousands may come: the first of its kind (the text up to its first comma) is logged at once, the
// others every ten seconds, as the last one and a count. From any thread.
void notice(std::string_view text);

// Lines that stderr did not take in time.
std::uint64_t log_lines_dropped();
// Notices that were said as a count alone.
std::uint64_t notices_kept_back();

// {"time":"2026-01-02T03:04:05.678Z","level":"info","msg":"…"} without a line's end. Octets that are no UTF-8 become
// '?'.
std::string json_line(std::string_view time, std::string_view level, std::string_view text);

// The text as one line that no terminal takes for anything else: control characters become \n, \t or \xNN. What workers
// and clients name their messages is in the log, and must not look like lines of ours.
std::string escape_controls(std::string_view text);

}  // namespace foz::ops
