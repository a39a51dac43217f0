// The process' log: lines on stderr, for people or for machines.
#pragma once

#include <string>
#include <string_view>

namespace foz::ops {

// Format "text" or "json"; level "debug", "info", "warning" or "error". Replaces spdlog's default logger.
void set_up_log(const std::string& format, const std::string& level);

// {"time":"2026-01-02T03:04:05.678Z","level":"info","msg":"…"} without a line's end. Octets that are no UTF-8 become
// '?'.
std::string json_line(std::string_view time, std::string_view level, std::string_view text);

// The text as one line that no terminal takes for anything else: control characters become \n, \t or \xNN. What workers
// and clients name their messages is in the log, and must not look like lines of ours.
std::string escape_controls(std::string_view text);

}  // namespace foz::ops
