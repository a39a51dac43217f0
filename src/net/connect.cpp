#include "net/connect.hpp"

#include "net/address_race.hpp"
#include "net/tls_holder.hpp"

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <openssl/x509v3.h>

namespace foz::net {
namespace {

constexpr auto as_values = asio::as_tuple(asio::use_awaitable);

// Ends the step that is under way when its time is over.
struct step_limit {
    step_limit(shard& home, std::chrono::milliseconds after, std::move_only_function<void()> end)
        : end_step(std::move(end)) {
        timer.start(home.wheel(), after);
    }
    void expire() {
        expired = true;
        end_step();
    }

    std::move_only_function<void()> end_step;
    bool expired = false;
    wheel_timer timer{this, [](step_limit& self) { self.expire(); }};
};

std::expected<std::shared_ptr<asio::ssl::context>, std::string> context_of(const tls_client_options& options,
                                                                           steady_time now) {
    if (options.contexts) return options.contexts->context_for(options, now);
    auto made = make_tls_context(options);
    if (!made) return std::unexpected(made.error());
    return std::make_shared<asio::ssl::context>(std::move(*made));
}

// An address needs no resolver, which would start a thread for it.
std::optional<tcp::endpoint> literal_address(const connect_options& options) {
    error_code error;
    const auto address = asio::ip::make_address(options.host, error);
    return error ? std::nullopt : std::optional(tcp::endpoint(address, options.port));
}

// Whom we want to talk to, and with `verify` whose certificate it has to be.
void expect_name(SSL* tls, const std::string& name, bool verify) {
    error_code not_an_address;
    asio::ip::make_address(name, not_an_address);
    if (not_an_address) {
        SSL_set_tlsext_host_name(tls, name.c_str());  // RFC 6066 §3: no addresses
        if (verify) SSL_set1_host(tls, name.c_str());
    } else if (verify) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), name.c_str());
    }
    SSL_set_hostflags(tls, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
}

}  // namespace

asio::awaitable<std::expected<std::shared_ptr<stream>, std::string>> connect(shard& home, connect_options options) {
    const std::string where = options.host + ":" + std::to_string(options.port);
    std::shared_ptr<asio::ssl::context> context;
    if (options.tls) {
        auto found = context_of(*options.tls, home.time().now());
        if (!found) co_return std::unexpected(found.error());
        context = std::move(*found);
    }

    const auto failed = [&](const char* step, const error_code& error, bool expired = false) {
        return std::unexpected(where + ": " + step + ": " + (expired ? "timed out" : error.message()));
    };

    std::vector<tcp::endpoint> addresses;
    if (const auto literal = literal_address(options)) {
        addresses.push_back(*literal);
    } else {
        tcp::resolver resolver(home.context());
        step_limit limit(home, options.timeout, [&resolver] { resolver.cancel(); });
        auto [error, found] = co_await resolver.async_resolve(options.host, std::to_string(options.port), as_values);
        if (error || limit.expired) co_return failed("resolve", error, limit.expired);
        addresses.assign(found.begin(), found.end());
    }
    auto socket = co_await race(home, in_racing_order(addresses, options.turn),
                                {.each = options.address_timeout.value_or(options.timeout)});
    if (!socket) co_return failed("connect", socket.error(), socket.error() == asio::error::timed_out);
    if (!context) co_return stream::plain(home, std::move(*socket), options.stream);

    tls_socket secure(std::move(*socket), *context);
    step_limit limit(home, options.timeout, [&secure] {
        error_code ignored;
        secure.socket.close(ignored);
    });
    if (secure.tls)
        expect_name(secure.tls.get(), options.tls->server_name.empty() ? options.host : options.tls->server_name,
                    options.tls->verify);
    const error_code error = co_await shake_hands(secure);
    if (error || limit.expired) co_return failed("TLS handshake", error, limit.expired);
    limit.timer.cancel();
    co_return stream::tls(home, std::move(secure), options.stream);
}

}  // namespace foz::net
