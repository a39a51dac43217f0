// A body that goes to many groups: a whole frame for each group (one piece to send, the body copied for each), beside a
// head for each group and one tail for all (two pieces). Encoding, queueing and writing, over loopback TCP, with a
// thread that reads and drops. Both in turn, medians.
#include "aggregator/channel/entry.hpp"
#include "ws/codec/writer.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/uio.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace foz::aggregator {

int frame_bench();

namespace {

constexpr std::size_t groups = 20;
constexpr std::size_t members_of_each = 10;
constexpr std::size_t frames_of_turn = 16;
constexpr int rounds = 9;

int checked(int result, const char* what) {
    if (result >= 0) return result;
    std::perror(what);
    std::exit(1);
}

struct wires {
    wires() {
        const int listener = checked(::socket(AF_INET, SOCK_STREAM, 0), "socket");
        sockaddr_in here{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t size = sizeof here;
        checked(::bind(listener, reinterpret_cast<sockaddr*>(&here), size), "bind");
        checked(::listen(listener, 512), "listen");
        checked(::getsockname(listener, reinterpret_cast<sockaddr*>(&here), &size), "getsockname");
        for (std::size_t i = 0; i < groups * members_of_each; ++i) {
            const int far = checked(::socket(AF_INET, SOCK_STREAM, 0), "socket");
            checked(::connect(far, reinterpret_cast<sockaddr*>(&here), size), "connect");
            readers.push_back({far, POLLIN, 0});
            writers.push_back(checked(::accept(listener, nullptr, nullptr), "accept"));
        }
        ::close(listener);
        sink = std::thread([this] { drop_all(); });
    }
    ~wires() {
        for (const int each : writers) ::close(each);
        sink.join();
        for (const auto& each : readers) ::close(each.fd);
    }
    void drop_all() {
        for (std::size_t open = readers.size(); open > 0;) {
            ::poll(readers.data(), readers.size(), -1);
            for (auto& each : readers) {
                if (!each.revents) continue;
                if (::recv(each.fd, nullptr, 1 << 20, MSG_TRUNC) > 0) continue;
                each.events = 0;
                each.fd = ~each.fd;  // poll() passes over what is negative
                --open;
            }
        }
        for (auto& each : readers) each.fd = ~each.fd;
    }
    std::vector<int> writers;
    std::vector<pollfd> readers;
    std::thread sink;
};

entry make(const std::string& body, bool split) {
    entry made;
    const std::string end = body + "}";
    if (split) made.tail = std::make_shared<const std::string>(end);
    for (std::size_t g = 0; g < groups; ++g) {
        const std::string name = "team-" + std::to_string(g);
        const std::string json = R"({"event":"message","channel":"chat","via":"multicast","topic":"room.1","group":")" +
                                 name + R"(","id":"c/0123456789","position":"0.4711.b6d7a013","message":)";
        auto head = std::make_shared<std::string>();
        head->reserve(json.size() + 10 + (split ? 0 : end.size()));
        ws::append_frame_header(*head, ws::opcode::text, json.size() + end.size());
        *head += json;
        if (!split) *head += end;
        made.routes.push_back({envelope::via::multicast, {name}, std::move(head)});
    }
    return made;
}

void write_all(int to, std::vector<iovec>& pieces) {
    for (std::size_t at = 0; at < pieces.size();) {
        auto left = static_cast<std::size_t>(
            checked(static_cast<int>(::writev(to, &pieces[at], static_cast<int>(pieces.size() - at))), "writev"));
        while (at < pieces.size() && left >= pieces[at].iov_len) left -= pieces[at++].iov_len;
        if (at == pieces.size()) break;
        pieces[at].iov_base = static_cast<char*>(pieces[at].iov_base) + left;
        pieces[at].iov_len -= left;
    }
}

// Seconds of processor time of this thread for each frame.
double run(const wires& net, const std::string& body, bool split, std::size_t turns) {
    timespec begin{}, end{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    std::vector<std::vector<frame_ref>> queues(net.writers.size());
    std::vector<iovec> pieces;
    for (std::size_t turn = 0; turn < turns; ++turn) {
        for (std::size_t i = 0; i < frames_of_turn; ++i) {
            const auto made = std::make_shared<const entry>(make(body, split));
            entry_frames frames(*made);
            for (std::size_t g = 0; g < groups; ++g)
                for (std::size_t m = 0; m < members_of_each; ++m)
                    for (const frame_ref& piece : frames.of(made->routes[g]))
                        queues[g * members_of_each + m].push_back(piece);
        }
        for (std::size_t i = 0; i < queues.size(); ++i) {
            pieces.clear();
            for (const frame_ref& each : queues[i])
                pieces.push_back({const_cast<char*>(each.octets().data()), each.size()});
            write_all(net.writers[i], pieces);
            queues[i].clear();
        }
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    const double took =
        static_cast<double>(end.tv_sec - begin.tv_sec) + 1e-9 * static_cast<double>(end.tv_nsec - begin.tv_nsec);
    return took / static_cast<double>(turns * frames_of_turn * queues.size());
}

}  // namespace

int frame_bench() {
    const wires net;
    for (const std::size_t size : {128u, 512u, 1'024u, 2'048u, 4'096u, 8'192u, 16'384u, 65'536u}) {
        const std::string body = '"' + std::string(size - 2, 'x') + '"';
        const std::size_t turns = std::max<std::size_t>(1, 400'000 / (size + 1'000));
        std::vector<double> whole, split;
        for (int i = 0; i < rounds; ++i) {
            whole.push_back(run(net, body, false, turns));
            split.push_back(run(net, body, true, turns));
        }
        std::ranges::sort(whole);
        std::ranges::sort(split);
        std::printf(
            "body %6zu: a frame costs %7.0f ns in one piece (%.0f to %.0f), %7.0f ns in two (%.0f to %.0f): %.2f\n",
            size, whole[rounds / 2] * 1e9, whole.front() * 1e9, whole.back() * 1e9, split[rounds / 2] * 1e9,
            split.front() * 1e9, split.back() * 1e9, split[rounds / 2] / whole[rounds / 2]);
    }
    return 0;
}

}  // namespace foz::aggregator
