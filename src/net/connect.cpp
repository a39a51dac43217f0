#include "net/connect.hpp"

#include <optional>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foz::net {
namespace {

constexpr auto as_values = asio::as_tuple(asio::use_awaitable);

// Ends the step that is under way when the time for all of them is over.
struct deadline {
    deadline(shard& home, std::chrono::milliseconds after, tcp::resolver& to_cancel, tcp::socket& to_close)
        : resolver(to_cancel), socket(&to_close) {
        timer.start(home.wheel(), after);
    }
    void expire() {
        expired = true;
        resolver.cancel();
        error_code ignored;
        socket->close(ignored);
    }

    tcp::resolver& resolver;
    tcp::socket* socket;
    bool expired = false;
    wheel_timer timer{this, [](deadline& self) { self.expire(); }};
};

// An address needs no resolver, which would start a thread for it.
std::optional<tcp::endpoint> literal_address(const connect_options& options) {
    error_code error;
    const auto address = asio::ip::make_address(options.host, error);
    return error ? std::nullopt : std::optional(tcp::endpoint(address, options.port));
}

}  // namespace

asio::awaitable<std::expected<std::shared_ptr<stream>, std::string>> connect(shard& home, connect_options options) {
    const std::string where = options.host + ":" + std::to_string(options.port);
    std::optional<asio::ssl::context> context;
    if (options.tls) {
        auto made = make_tls_context(*options.tls);
        if (!made) co_return std::unexpected(made.error());
        context = std::move(*made);
    }

    tcp::resolver resolver(home.context());
    tcp::socket socket(home.context());
    deadline limit(home, options.timeout, resolver, socket);
    const auto failed = [&](const char* step, const error_code& error) {
        return std::unexpected(where + ": " + step + ": " + (limit.expired ? "timed out" : error.message()));
    };

    std::vector<tcp::endpoint> addresses;
    if (const auto literal = literal_address(options)) {
        addresses.push_back(*literal);
    } else {
        auto [resolve_error, found] =
            co_await resolver.async_resolve(options.host, std::to_string(options.port), as_values);
        if (resolve_error || limit.expired) co_return failed("resolve", resolve_error);
        addresses.assign(found.begin(), found.end());
    }
    auto [connect_error, address] = co_await asio::async_connect(socket, addresses, as_values);
    if (connect_error || limit.expired) co_return failed("connect", connect_error);

    if (!context) {
        limit.timer.cancel();
        co_return stream::plain(home, std::move(socket), options.stream);
    }

    asio::ssl::stream<tcp::socket> secure(std::move(socket), *context);
    limit.socket = &secure.next_layer();
    const std::string name = options.tls->server_name.empty() ? options.host : options.tls->server_name;
    SSL_set_tlsext_host_name(secure.native_handle(), name.c_str());
    if (options.tls->verify) secure.set_verify_callback(asio::ssl::host_name_verification(name));
    auto [handshake_error] = co_await secure.async_handshake(asio::ssl::stream_base::client, as_values);
    if (handshake_error || limit.expired) co_return failed("TLS handshake", handshake_error);
    limit.timer.cancel();
    co_return stream::tls(home, std::move(secure), options.stream);
}

}  // namespace foz::net
