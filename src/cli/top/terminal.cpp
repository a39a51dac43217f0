#include "cli/top/terminal.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

namespace foz::cli::top {
namespace {

// xterm's private modes, which all terminals of today know: 1049 the alternate screen, 25 the cursor, 7 going on in the
// next line at the right margin.
constexpr std::string_view enter_sequence = "\x1b[?1049h\x1b[?25l\x1b[?7l";
constexpr std::string_view leave_sequence = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";
constexpr int patience_ms = 1'000;

bool dumb() {
    const char* const kind = std::getenv("TERM");
    return !kind || !*kind || std::strcmp(kind, "dumb") == 0;
}

}  // namespace

struct terminal::saved_modes {
    termios modes{};
};

bool wants_colours() {
    const char* const none = std::getenv("NO_COLOR");
    return (!none || !*none) && !dumb();
}

bool terminal::there() {
    return isatty(STDOUT_FILENO) == 1 && !dumb();
}

std::size_t terminal::width_of_output() {
    winsize found{};
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &found) == 0 && found.ws_col > 0 ? found.ws_col : 80;
}

terminal::terminal() : saved_(std::make_unique<saved_modes>()) {
    char name[256];
    if (ttyname_r(STDOUT_FILENO, name, sizeof name) == 0)
        descriptor_ = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor_ < 0 || tcgetattr(descriptor_, &saved_->modes) != 0) {
        const std::string why = std::strerror(errno);
        if (descriptor_ >= 0) close(descriptor_);
        throw std::runtime_error("the terminal can't be opened: " + why + " (--once needs none)");
    }
    enter();
}

terminal::~terminal() {
    leave();
    close(descriptor_);
}

terminal::dimensions terminal::size() const {
    winsize found{};
    if (ioctl(descriptor_, TIOCGWINSZ, &found) != 0 || found.ws_col == 0 || found.ws_row == 0) return {80, 24};
    return {found.ws_col, found.ws_row};
}

void terminal::show(const std::vector<std::string>& lines) {
    if (!entered_) return;
    // Erased before it is written: behind a full line the cursor still stands on the last character.
    std::string octets = "\x1b[H";
    for (std::size_t i = 0; i < lines.size(); ++i) octets += (i > 0 ? "\r\n\x1b[K" : "\x1b[K") + lines[i];
    write_all(octets);
}

void terminal::enter() {
    if (entered_) return;
    entered_ = true;
    termios modes = saved_->modes;
    modes.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);  // signals of Ctrl+C and Ctrl+Z stay
    modes.c_cc[VMIN] = 1;
    modes.c_cc[VTIME] = 0;
    tcsetattr(descriptor_, TCSANOW, &modes);
    write_all(enter_sequence);
}

void terminal::leave() {
    if (!entered_) return;
    entered_ = false;
    write_all(leave_sequence);
    tcsetattr(descriptor_, TCSANOW, &saved_->modes);
}

void terminal::write_all(std::string_view octets) {
    while (!octets.empty()) {
        const ssize_t written = write(descriptor_, octets.data(), octets.size());
        if (written > 0) {
            octets.remove_prefix(static_cast<std::size_t>(written));
            continue;
        }
        if (written < 0 && errno == EINTR) continue;
        if (written == 0 || errno != EAGAIN) return;
        pollfd room{.fd = descriptor_, .events = POLLOUT, .revents = 0};
        if (poll(&room, 1, patience_ms) <= 0) return;
    }
}

}  // namespace foz::cli::top
