#include "cli/line_source.hpp"

#include <array>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unistd.h>

namespace foz::cli {
namespace {

constexpr std::size_t lines_max = 256;

}  // namespace

struct line_source::shared {
    net::shard* home;
    const int descriptor;
    std::function<void()> more;

    std::mutex mutex;  // guards what follows
    std::condition_variable room;
    std::deque<std::string> lines;
    bool ended = false;
    bool given_up = false;

    void post(const std::shared_ptr<shared>& self) {
        home->post([self] {
            const std::lock_guard lock(self->mutex);
            if (!self->given_up) self->more();
        });
    }

    // False when nobody wants more.
    bool push(const std::shared_ptr<shared>& self, std::string line) {
        std::unique_lock lock(mutex);
        room.wait(lock, [this] { return lines.size() < lines_max || given_up; });
        if (given_up) return false;
        lines.push_back(std::move(line));
        post(self);
        return true;
    }

    void read(const std::shared_ptr<shared>& self) {
        std::array<char, 65'536> piece;
        std::string line;
        for (;;) {
            const ssize_t size = ::read(descriptor, piece.data(), piece.size());
            if (size <= 0) break;
            std::string_view rest(piece.data(), static_cast<std::size_t>(size));
            for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
                line.append(rest.substr(0, end));
                if (!push(self, std::exchange(line, {}))) return;
                rest.remove_prefix(end + 1);
            }
            line.append(rest);
        }
        if (!line.empty() && !push(self, std::move(line))) return;
        const std::lock_guard lock(mutex);
        ended = true;
        if (!given_up) post(self);
    }
};

line_source::line_source(net::shard& home, int descriptor)
    : shared_(new shared{.home = &home, .descriptor = descriptor, .more = {}}) {}

line_source::~line_source() {
    const std::lock_guard lock(shared_->mutex);
    shared_->given_up = true;
    shared_->room.notify_all();
}

void line_source::start(std::function<void()> more) {
    shared_->more = std::move(more);
    // Detached: it may wait for a person's next line for ever, and nothing of it is touched after given_up.
    std::thread([self = shared_] { self->read(self); }).detach();
}

std::optional<std::string> line_source::take() {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->lines.empty()) return std::nullopt;
    std::string line = std::move(shared_->lines.front());
    shared_->lines.pop_front();
    shared_->room.notify_one();
    return line;
}

bool line_source::ended() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->ended && shared_->lines.empty();
}

}  // namespace foz::cli
