// Accepts connections on one shard. With SO_REUSEPORT each shard has a listener of its own on the same port and
// the kernel spreads the connections, so that a connection never changes cores.
#pragma once

#include "net/shard.hpp"

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

namespace foz::net {

using tcp = asio::ip::tcp;

struct listen_options {
    std::string address = "127.0.0.1";  // an IP address, not a name
    std::uint16_t port = 0;             // 0: the kernel chooses; ask port()
    bool reuse_port = true;
};

class listener {
public:
    using accepted = std::function<void(tcp::socket)>;

    // Binds and listens at once; the error is one line that names address and port.
    static std::expected<std::unique_ptr<listener>, std::string> open(shard& home, const listen_options& options,
                                                                      accepted on_accepted);
    // On the shard's thread, or before it runs and after it has stopped.
    ~listener();
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;

    std::uint16_t port() const noexcept { return port_; }

private:
    listener(shard& home, accepted on_accepted);
    void accept();
    void rest();

    tcp::acceptor acceptor_;
    asio::steady_timer resting_;
    accepted on_accepted_;
    std::uint16_t port_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace foz::net
