// A server of HTTP on the loopback that answers one request for each connection, as a test tells it.
#pragma once

#include <arpa/inet.h>
#include <atomic>
#include <functional>
#include <mutex>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace foz::identity {

class http_server {
public:
    // `answer` is called on the server's thread with the request's head and gives all octets of the response; empty:
    // nothing is said, and the connection stays open.
    explicit http_server(std::function<std::string(const std::string&)> answer) : answer_(std::move(answer)) {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t size = sizeof at;
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(listener_, 16) != 0 ||
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
            throw std::runtime_error("no port on the loopback");
        port_ = ntohs(at.sin_port);
        thread_ = std::thread([this] { run(); });
    }
    ~http_server() {
        stop_ = true;
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
        if (silent_ >= 0) ::close(silent_);
    }
    http_server(const http_server&) = delete;
    http_server& operator=(const http_server&) = delete;

    std::string url(const std::string& path = "/keys") const {
        return "http://127.0.0.1:" + std::to_string(port_) + path;
    }
    int requests() const { return requests_; }

    static std::string ok(const std::string& body) {
        return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" +
               body;
    }

private:
    void run() {
        while (!stop_) {
            const int one = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (one < 0) continue;
            std::string head;
            char octets[1024];
            for (ssize_t n = 1; n > 0 && head.find("\r\n\r\n") == std::string::npos;)
                if ((n = ::recv(one, octets, sizeof octets, 0)) > 0) head.append(octets, static_cast<std::size_t>(n));
            ++requests_;
            const std::string answer = answer_(head);
            if (answer.empty()) {
                if (silent_ >= 0) ::close(silent_);
                silent_ = one;
                continue;
            }
            for (std::size_t done = 0; done < answer.size();) {
                const ssize_t n = ::send(one, answer.data() + done, answer.size() - done, MSG_NOSIGNAL);
                if (n <= 0) break;
                done += static_cast<std::size_t>(n);
            }
            ::close(one);
        }
    }

    std::function<std::string(const std::string&)> answer_;
    std::atomic<bool> stop_ = false;
    std::atomic<int> requests_ = 0;
    int listener_ = -1;
    int silent_ = -1;
    unsigned port_ = 0;
    std::thread thread_;
};

}  // namespace foz::identity
