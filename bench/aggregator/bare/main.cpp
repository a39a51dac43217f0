// aggregator_bare: the physical limit. For every publish it writes a prepared frame to every subscriber, with plain
// send(), so many frames to a write as it is told; it decodes nothing and decides nothing. Prints its port.
//
// A client's first message says what it is: "s…" hears everything; "cOCTETS FRAMES" sets a frame's size and the frames
// to a write (a mean: 2.5 is 2 and 3 in turn). Every "p…" is a publish.
#include "../load/connection.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <csignal>
#include <cstdio>
#include <netinet/in.h>
#include <span>
#include <stdexcept>
#include <string>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

using foz::load::connection;
using foz::load::frame_view;
using foz::load::opcode;

struct client {
    explicit client(int accepted) : link(accepted) {}
    connection link;
    bool upgraded = false;
    bool subscribed = false;
};

class server {
public:
    server() {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof(at);
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(listener_, SOMAXCONN) != 0 ||
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
            throw std::runtime_error("can't listen");
        port_ = ntohs(at.sin_port);
        watch(listener_, EPOLLIN);
    }

    unsigned port() const { return port_; }

    void run() {
        std::vector<epoll_event> events(1024);
        for (;;) {
            const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
            for (int i = 0; i < count; ++i) {
                const epoll_event& event = events[static_cast<std::size_t>(i)];
                if (event.data.fd == listener_)
                    accept_all();
                else
                    serve(event.data.fd, event.events);
            }
            write_what_is_due();
        }
    }

private:
    void watch(int socket, std::uint32_t events) const {
        epoll_event wanted{};
        wanted.events = events;
        wanted.data.fd = socket;
        epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &wanted);
    }

    void accept_all() {
        for (;;) {
            const int accepted = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (accepted < 0) return;
            clients_.emplace(accepted, client(accepted));
            watch(accepted, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
        }
    }

    void serve(int socket, std::uint32_t events) {
        const auto found = clients_.find(socket);
        if (found == clients_.end()) return;
        client& one = found->second;
        if (events & EPOLLOUT) one.link.flush();
        if (!one.upgraded) {
            const auto line = one.link.receive_head(buffer_);
            if (!line) return;
            if (line->empty()) return lose(socket);
            one.upgraded = true;
            // RFC 6455 §4.2.2; for the one key that the load uses.
            one.link.send(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n");
        }
        if (!one.link.receive(buffer_, [&](const frame_view& frame) { hear(one, frame.payload); })) lose(socket);
    }

    void lose(int socket) {
        std::erase_if(subscribers_, [socket](const connection* one) { return one->socket() == socket; });
        clients_.erase(socket);
    }

    void hear(client& from, std::string_view payload) {
        if (payload.starts_with('p')) {
            ++due_;
        } else if (payload.starts_with('f')) {
            write(std::exchange(due_, 0));
        } else if (payload.starts_with('c')) {
            configure(std::string(payload.substr(1)));
        } else if (payload.starts_with('s') && !from.subscribed) {
            from.subscribed = true;
            subscribers_.push_back(&from.link);
            std::string answer;
            foz::load::append_server_frame(answer, opcode::text, "ok");
            from.link.send(answer);
        }
    }

    void configure(const std::string& told) {
        std::size_t end = 0;
        const std::size_t octets = std::stoul(told, &end);
        frames_per_write_ = std::max(1.0, std::stod(told.substr(end)));
        carried_ = 0;
        std::size_t payload = octets;
        while (payload > 0 && payload + foz::load::server_header_size(payload) > octets) --payload;
        std::string frame;
        foz::load::append_server_frame(frame, opcode::text, std::string(payload, 'x'));
        frame_octets_ = frame.size();
        block_.clear();
        for (double i = 0; i < frames_per_write_ + 1; ++i) block_ += frame;
        choose();
    }

    // How many go into the next write, so that the mean is what was asked for.
    void choose() {
        carried_ += frames_per_write_;
        next_ = static_cast<std::uint64_t>(carried_);
        carried_ -= static_cast<double>(next_);
    }

    void write_what_is_due() {
        while (next_ > 0 && due_ >= next_) {
            due_ -= next_;
            write(next_);
            choose();
        }
    }

    void write(std::uint64_t frames) const {
        for (std::uint64_t left = frames; left > 0;) {
            const std::uint64_t now = std::min<std::uint64_t>(left, block_.size() / frame_octets_);
            left -= now;
            for (connection* const one : subscribers_) one->send({block_.data(), now * frame_octets_});
        }
    }

    int epoll_ = epoll_create1(EPOLL_CLOEXEC);
    int listener_ = -1;
    unsigned port_ = 0;
    std::unordered_map<int, client> clients_;
    std::vector<connection*> subscribers_;
    std::vector<char> buffer_ = std::vector<char>(256 << 10);
    std::string block_;  // frames, one behind the other
    std::size_t frame_octets_ = 0;
    double frames_per_write_ = 1;
    double carried_ = 0;
    std::uint64_t next_ = 0;  // frames of the next write
    std::uint64_t due_ = 0;   // publishes not written yet
};

}  // namespace

int main() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    std::signal(SIGPIPE, SIG_IGN);
    try {
        server one;
        std::printf("%u\n", one.port());
        std::fflush(stdout);
        one.run();
    } catch (const std::exception& why) {
        std::fprintf(stderr, "aggregator_bare: %s\n", why.what());
        return 1;
    }
}
