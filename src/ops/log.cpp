#include "ops/log.hpp"

#include "base/json.hpp"
#include "base/utf8.hpp"

#include <chrono>
#include <memory>
#include <utility>

#include <fmt/chrono.h>
#include <spdlog/formatter.h>
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

}  // namespace

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
    }
    logger->set_level(spdlog::level::from_str(level));
    logger->flush_on(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
}

}  // namespace foz::ops
