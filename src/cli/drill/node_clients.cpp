// The real Primus client: clients/js/drill.mjs in Node, told on its stdin, telling on its stdout.
#include "base/json.hpp"
#include "cli/drill/clients.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <unistd.h>
#include <utility>

namespace foz::cli::drill {
namespace {

using std::chrono::steady_clock;

struct pipe_ends {
    int read = -1;
    int write = -1;

    pipe_ends() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0)
            throw std::runtime_error(std::string("pipe: ") + std::strerror(errno));
        read = ends[0];
        write = ends[1];
    }
    ~pipe_ends() {
        close(read);
        close(write);
    }
    pipe_ends(const pipe_ends&) = delete;
    pipe_ends& operator=(const pipe_ends&) = delete;

    static void close(int& end) {
        if (end >= 0) ::close(std::exchange(end, -1));
    }
};

class node_clients final : public clients {
public:
    node_clients(const clients_setup& how, const std::string& script, const temporary_folder& folder)
        : count_(how.count), channels_(how.channels.size()), lines_(make_lines(how)), states_(lines_.size()) {
        command what{.name = "the clients in Node", .arguments = {"node", script}, .log = folder.file("clients.log")};
        what.input = orders_.read;
        what.output = events_.write;
        process_ = std::make_unique<process>(what);
        pipe_ends::close(orders_.read);
        pipe_ends::close(events_.write);
        std::string ports;
        for (const std::uint16_t one : how.ports) ports += (ports.empty() ? "" : ",") + std::to_string(one);
        std::string channels;
        for (const drill_channel& one : how.channels) channels += (channels.empty() ? "" : ",") + json_string(one.name);
        setup_ = R"({"do":"setup","count":)" + std::to_string(how.count) +
                 ",\"sockets\":" + std::to_string(how.sockets) + ",\"plugin\":" + (how.plugin ? "true" : "false") +
                 ",\"library\":" + json_string(how.library) + ",\"ports\":[" + ports + "],\"channels\":[" + channels +
                 "],\"pace_ms\":" + std::to_string(how.pace.count()) +
                 ",\"patience_ms\":" + std::to_string(how.patience.count()) + "}";
    }
    ~node_clients() override {
        if (reader_.joinable()) finish();
    }

    std::size_t size() const override { return count_; }
    void start() override {
        reader_ = std::thread([this] { read(); });
        send(setup_);
    }
    void set_writing(bool on) override {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = on;
        }
        send(std::string(R"({"do":"write","on":)") + (on ? "true}" : "false}"));
    }
    progress look() override;
    void drop(std::size_t client, milliseconds away) override { order("drop", client, away); }
    void abandon(std::size_t client) override { order("abandon", client, {}); }
    void sleep(std::size_t client, milliseconds span) override { order("sleep", client, span); }
    void write_poison(std::size_t client, const std::string& expected) override {
        {
            const std::lock_guard lock(mutex_);
            states_[client * channels_].poison = expected;
        }
        order("poison", client, {});
    }
    std::vector<line> finish() override {
        send(R"({"do":"stop"})");
        process_->wait(milliseconds(5'000));
        process_->kill();
        reader_.join();
        return std::move(lines_);
    }

private:
    struct state {  // of a line
        bool consuming = false;
        bool waiting = false;
        std::string poison;
    };

    void order(const char* what, std::size_t client, milliseconds span) {
        send(std::string(R"({"do":")") + what + R"(","client":)" + std::to_string(client) +
             ",\"ms\":" + std::to_string(span.count()) + "}");
    }
    void send(const std::string& text) {
        const std::string out = text + "\n";
        for (std::size_t at = 0; at < out.size();) {
            const ssize_t wrote = ::write(orders_.write, out.data() + at, out.size() - at);
            if (wrote < 0 && errno == EINTR) continue;
            if (wrote < 0) return;  // it has ended; whoever waits for its clients will see
            at += static_cast<std::size_t>(wrote);
        }
    }
    void read();
    void take(const char* text, instant now);
    void take_outcome(line& of, unsigned number, char how, const char* code, instant now);

    const std::size_t count_;
    const std::size_t channels_;
    std::string setup_;
    pipe_ends orders_;
    pipe_ends events_;
    std::unique_ptr<process> process_;
    std::mutex mutex_;  // guards the next two
    std::vector<line> lines_;
    std::vector<state> states_;
    bool stopped_ = true;  // false: they were told to write no more, and may have something on its way
    std::thread reader_;
};

progress node_clients::look() {
    const std::lock_guard lock(mutex_);
    if (!process_->running()) throw std::runtime_error("the clients in Node have ended: " + process_->last_words());
    progress out = look_at(lines_);
    for (std::size_t i = 0; i < count_; ++i) {
        const auto begin = states_.begin() + static_cast<std::ptrdiff_t>(i * channels_);
        out.listening += std::all_of(begin, begin + static_cast<std::ptrdiff_t>(channels_),
                                     [](const state& one) { return one.consuming; })
                             ? 1
                             : 0;
    }
    out.settled = stopped_ && std::ranges::none_of(states_, &state::waiting);
    out.complete = out.settled && all_heard(lines_);
    return out;
}

void node_clients::read() {
    std::array<char, 65'536> piece;
    std::string rest;
    for (;;) {
        const ssize_t size = ::read(events_.read, piece.data(), piece.size());
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) return;
        rest.append(piece.data(), static_cast<std::size_t>(size));
        const instant now = steady_clock::now();
        const std::lock_guard lock(mutex_);
        std::size_t begin = 0;
        for (std::size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n', begin)) {
            rest[end] = '\0';
            take(rest.c_str() + begin, now);
            begin = end + 1;
        }
        rest.erase(0, begin);
    }
}

void node_clients::take(const char* text, instant now) {
    char what = 0;
    unsigned number = 0;
    unsigned first = 0;
    unsigned second = 0;
    const int read = std::sscanf(text, "%c %u %u %u", &what, &number, &first, &second);
    if (read < 2 || number >= lines_.size()) return;
    line& of = lines_[number];
    state& now_of = states_[number];
    if (what == 's') {
        stopped_ = true;
    } else if (what == 'w' && read == 4) {
        operation made{.written = now, .settled = {}};
        made.request = second != 0;
        if (second == 2) made.expected = std::exchange(now_of.poison, {});  // others may have been on their way
        of.operations.push_back(std::move(made));
        now_of.waiting = true;
    } else if (what == 'o' || what == 'u') {
        char how = 0;
        std::array<char, 64> code{};
        if (what == 'o') std::sscanf(text, "o %*u %*u %c %63s", &how, code.data());
        take_outcome(of, first, how, code.data(), now);
        now_of.waiting = false;
    } else if (what == 'h' && read == 4) {
        of.heard.push_back({.sender = first, .number = second, .at = now});
    } else if (what == 'l') {
        now_of.consuming = true;
        of.listening = std::min(of.listening, now);
        if (!of.away.empty()) of.away.back().until = now;
    } else if (what == 'e') {
        if (now_of.waiting) of.operations.back().cut = true;
        if (std::exchange(now_of.consuming, false)) of.away.push_back({.from = now});
    } else if (what == 'g') {
        std::array<char, 64> cause{};
        std::sscanf(text, "g %*u %63s", cause.data());
        of.gaps.push_back({now, cause.data()});
    }
}

void node_clients::take_outcome(line& of, unsigned number, char how, const char* code, instant now) {
    if (number == 0 || number > of.operations.size()) return;
    operation& one = of.operations[number - 1];
    one.settled = now;
    one.code = code;
    if (how == 'a') one.how = outcome::answered;
    if (how == 'c') one.how = outcome::confirmed;
    if (how == 'r') one.how = outcome::refused;
}

}  // namespace

std::unique_ptr<clients> make_node_clients(const clients_setup& how, const temporary_folder& folder) {
    return std::make_unique<node_clients>(how, node_script("drill.mjs"), folder);
}

}  // namespace foz::cli::drill
