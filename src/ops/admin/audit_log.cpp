#include "ops/admin/audit_log.hpp"

#include "base/json_writer.hpp"
#include "base/utf8.hpp"
#include "ops/log_queue.hpp"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <fcntl.h>
#include <stdexcept>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <fmt/chrono.h>
#include <spdlog/spdlog.h>

namespace foz::ops {
namespace {

constexpr std::size_t audit_text_octets_max = 256;

std::string audit_text(std::string_view octets) {
    std::string text(octets.substr(0, audit_text_octets_max));
    const bool readable = is_utf8(text);
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto octet = static_cast<unsigned char>(text[i]);
        // JSON needs no escapes for them, but terminals obey: DEL, and U+0080 to U+009F.
        const bool c1 = octet == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
        if (readable && c1) text.replace(i, 2, "?");
        if (octet == 0x7f || (!readable && octet >= 0x80)) text[i] = '?';
    }
    return text;
}

int open_audit_file(const std::string& file) {
    constexpr mode_t owner_alone = 0600;
    return ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, owner_alone);
}

std::string last_error(const std::string& file) {
    return file + ": " + std::generic_category().message(errno);
}

}  // namespace

std::string audit_line(const audit_entry& what, wall_time now) {
    const auto time = std::chrono::floor<std::chrono::milliseconds>(now);
    const auto whole = std::chrono::floor<std::chrono::seconds>(time);
    json_writer to;
    to.open('{').member(
        "time", fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(whole)),
                            (time - whole).count()));
    to.member("user", audit_text(what.user)).member("address", audit_text(what.address));
    to.member("action", audit_text(what.action)).member("target", audit_text(what.target));
    to.member("outcome", audit_text(what.outcome));
    return to.close('}').text();
}

audit_log::audit_log(std::string file) : file_(std::move(file)) {
    if (file_.empty()) return;
    descriptor_ = open_audit_file(file_);
    if (descriptor_ < 0) throw std::runtime_error("admin.audit_log: " + last_error(file_));
    lines_ = std::make_unique<log_queue>(log_queue_options{.descriptor = descriptor_});
}

audit_log::~audit_log() {
    lines_.reset();
    if (descriptor_ >= 0) ::close(descriptor_);
}

void audit_log::write(const audit_entry& what, wall_time now) {
    std::string line = audit_line(what, now);
    if (!lines_) return spdlog::info("audit: {}", line);
    lines_->push(std::move(line) + "\n");
}

std::string audit_log::reopen() {
    if (descriptor_ < 0) return {};
    const int fresh = open_audit_file(file_);
    if (fresh < 0) return "admin.audit_log: " + last_error(file_);
    // The thread that writes knows the number: it means the new file from here on.
    const bool replaced = ::dup3(fresh, descriptor_, O_CLOEXEC) >= 0;
    std::string error = replaced ? "" : "admin.audit_log: " + last_error(file_);
    ::close(fresh);
    return error;
}

}  // namespace foz::ops
