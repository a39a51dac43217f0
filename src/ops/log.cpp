#include "ops/log.hpp"

#include "base/json.hpp"
#include "base/utf8.hpp"

#include <chrono>
#include <ctime>
#include <memory>
#include <utility>

#include <fmt/chrono.h>
#include <spdlog/formatter.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
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

void set_up_log(const std::string& format, const std::string& level) {
    std::shared_ptr<spdlog::logger> logger;
    if (format == "json") {
        logger = spdlog::stderr_logger_mt("foz");
        logger->set_formatter(std::make_unique<json_formatter>());
    } else {
        logger = spdlog::stderr_color_mt("foz");
        logger->set_formatter(text_formatter());
    }
    logger->set_level(spdlog::level::from_str(level));
    logger->flush_on(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
}

}  // namespace foz::ops
