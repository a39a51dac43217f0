#include "net/listener.hpp"

#include <sys/socket.h>

namespace foz::net {
namespace {

// Without descriptors accept() fails at once, again and again: wait before the next try.
constexpr std::chrono::milliseconds rest_after_failure{100};

using reuse_port_option = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

}  // namespace

listener::listener(shard& home, accepted on_accepted)
    : acceptor_(home.context()), resting_(home.context()), on_accepted_(std::move(on_accepted)) {}

listener::~listener() {
    *alive_ = false;
}

std::expected<std::unique_ptr<listener>, std::string> listener::open(shard& home, const listen_options& options,
                                                                     accepted on_accepted) {
    boost::system::error_code error;
    const auto failed = [&] {
        return std::unexpected("can't listen on " + options.address + ":" + std::to_string(options.port) + ": " +
                               error.message());
    };
    const auto address = asio::ip::make_address(options.address, error);
    if (error) return failed();
    const tcp::endpoint endpoint(address, options.port);

    std::unique_ptr<listener> self(new listener(home, std::move(on_accepted)));
    tcp::acceptor& acceptor = self->acceptor_;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && options.reuse_port) acceptor.set_option(reuse_port_option(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (!error) self->port_ = acceptor.local_endpoint(error).port();
    if (error) return failed();
    self->accept();
    return self;
}

void listener::accept() {
    acceptor_.async_accept([this, alive = alive_](boost::system::error_code error, tcp::socket socket) {
        if (!*alive || error == asio::error::operation_aborted) return;
        if (error) return rest();
        on_accepted_(std::move(socket));
        if (*alive) accept();
    });
}

void listener::rest() {
    resting_.expires_after(rest_after_failure);
    resting_.async_wait([this, alive = alive_](boost::system::error_code error) {
        if (*alive && !error) accept();
    });
}

}  // namespace foz::net
