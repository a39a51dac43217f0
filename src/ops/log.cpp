#include "ops/log.hpp"

#include "base/json.hpp"
#include "base/utf8.hpp"
#include "ops/log_queue.hpp"
#include "ops/notices.hpp"

#include <atomic>
#include <cassert>
#include <chrono>
#include <csignal>
#include <ctime>
#include <memory>
#include <mutex>
#include <unistd.h>
#include <utility>

#include <fmt/chrono.h>
#include <spdlog/formatter.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace foz::ops {
namespace {

std::string_view name_of(spdlog::level::level_enum level) {
    const auto name = spdlog::level::to_string_view(level);
    return {name.data(), name.size()};
}

class json_formatter final : public spdlog::formatter {
public:
    void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& to) override {
        const auto time = std::chrono::floor<std::chrono::milliseconds>(message.time);
        const auto whole = std::chrono::floor<std::chrono::seconds>(time);
        const std::string stamp =
            fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(whole)),
                        (time - whole).count());
        const std::string line =
            json_line(stamp, name_of(message.level), {message.payload.data(), message.payload.size()}) + "\n";
        to.append(line.data(), line.data() + line.size());
    }
    std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<json_formatter>(); }
};

// Instead of spdlog's own %v.
class escaped_text final : public spdlog::custom_flag_formatter {
public:
    void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& to) override {
        const std::string text = escape_controls({message.payload.data(), message.payload.size()});
        to.append(text.data(), text.data() + text.size());
    }
    std::unique_ptr<spdlog::custom_flag_formatter> clone() const override { return std::make_unique<escaped_text>(); }
};

std::unique_ptr<spdlog::formatter> text_formatter() {
    auto made = std::make_unique<spdlog::pattern_formatter>();
    made->add_flag<escaped_text>('*').set_pattern("[%Y-%m-%d %H:%M:%S.%e] [%n] [%^%l%$] %*");
    return made;
}

bool is_c1(std::string_view text, std::size_t i) {  // U+0080 to U+009F in UTF-8, among them a terminal's CSI
    const auto octet = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    return octet(i) == 0xc2 && i + 1 < text.size() && octet(i + 1) >= 0x80 && octet(i + 1) <= 0x9f;
}

std::unique_ptr<spdlog::formatter> formatter_for(const std::string& format) {
    if (format == "json") return std::make_unique<json_formatter>();
    return text_formatter();
}

std::string_view color_of(spdlog::level::level_enum level) {
    if (level >= spdlog::level::err) return "\x1b[31m\x1b[1m";
    if (level == spdlog::level::warn) return "\x1b[33m\x1b[1m";
    return "\x1b[32m";
}

class queue_sink final : public spdlog::sinks::base_sink<std::mutex> {
public:
    explicit queue_sink(log_queue& to) : queue_(to), colored_(::isatty(STDERR_FILENO) == 1) {}

private:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t buffer;
        formatter_->format(message, buffer);
        std::string line(buffer.data(), buffer.size());
        if (colored_ && message.color_range_end > message.color_range_start) {
            line.insert(message.color_range_end, "\x1b[m");
            line.insert(message.color_range_start, color_of(message.level));
        }
        queue_.push(std::move(line));
    }
    void flush_() override {}

    log_queue& queue_;
    const bool colored_;
};

std::string dropped_line(const std::string& format, std::uint64_t dropped) {
    const std::string text = "the log: " + std::to_string(dropped) + " lines were dropped, stderr did not take them";
    spdlog::memory_buf_t buffer;
    formatter_for(format)->format(spdlog::details::log_msg("foz", spdlog::level::warn, text), buffer);
    return {buffer.data(), buffer.size()};
}

// What the process' log consists of.
struct log_parts {
    explicit log_parts(const std::string& format)
        : limited([](const std::string& line) { spdlog::warn("{}", line); }),
          queue({.tell_dropped = [format](std::uint64_t dropped) { return dropped_line(format, dropped); },
                 .every_second = [this] { limited.tick(std::chrono::steady_clock::now()); }}) {}

    notices limited;
    log_queue queue;
};

std::mutex parts_mutex;  // guards `parts`
std::shared_ptr<log_parts> parts;

std::shared_ptr<log_parts> current() {
    const std::lock_guard lock(parts_mutex);
    return parts;
}

}  // namespace

std::string escape_controls(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c == '\n') {
            out += "\\n";
        } else if (c == '\r') {
            out += "\\r";
        } else if (c == '\t') {
            out += "\\t";
        } else if (c < 0x20 || c == 0x7f) {
            out += fmt::format("\\x{:02x}", c);
        } else if (is_c1(text, i)) {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[++i]));
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string json_line(std::string_view time, std::string_view level, std::string_view text) {
    std::string valid(text);
    if (!is_utf8(valid))  // what a broker or client said comes as it is
        for (char& c : valid)
            if (static_cast<unsigned char>(c) >= 0x80) c = '?';
    std::string line = "{\"time\":";
    append_json_string(line, time);
    line += ",\"level\":";
    append_json_string(line, level);
    line += ",\"msg\":";
    append_json_string(line, valid);
    return line + "}";
}

log_session::log_session(const std::string& format, const std::string& level) {
    std::signal(SIGPIPE, SIG_IGN);
    auto made = std::make_shared<log_parts>(format);
    const auto logger = std::make_shared<spdlog::logger>("foz", std::make_shared<queue_sink>(made->queue));
    logger->set_formatter(formatter_for(format));
    logger->set_level(spdlog::level::from_str(level));
    spdlog::set_default_logger(logger);
    const std::lock_guard lock(parts_mutex);
    assert(!parts);
    parts = std::move(made);
}

log_session::~log_session() {
    auto ended = current();
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("foz", std::make_shared<spdlog::sinks::stderr_sink_mt>()));
    const std::lock_guard lock(parts_mutex);
    parts = nullptr;
    ended = nullptr;
}

void notice(std::string_view text) {
    if (const auto log = current()) return log->limited.say(text, std::chrono::steady_clock::now());
    spdlog::warn("{}", text);
}

std::uint64_t notices_kept_back() {
    const auto log = current();
    return log ? log->limited.kept_back() : 0;
}

std::uint64_t log_lines_dropped() {
    const auto log = current();
    return log ? log->queue.dropped() : 0;
}

}  // namespace foz::ops
