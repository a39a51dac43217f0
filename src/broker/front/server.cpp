#include "broker/front/server.hpp"

#include <algorithm>
#include <utility>

namespace foz::broker {
namespace {

constexpr std::size_t handshakes_max = 1'000;  // under way at a time

}  // namespace

server::server(net::shard& home, node& model, server_options options)
    : home_(home),
      model_(model),
      options_(std::move(options)),
      known_(options_.users),
      shared_{model_, known_, options_.limits, options_.version},
      alarm_(home.context()) {
    model_.on_next_due([this] { wait(); });
    wait();
}

server::~server() {
    model_.on_next_due({});
    listener_.reset();
    tls_listener_.reset();
    const auto left = std::move(connections_);
    connections_.clear();
    for (const auto& [key, one] : left) one->forsake();
}

std::expected<void, std::string> server::listen() {
    auto opened = net::listener::open(home_, options_.listen, [this](net::tcp::socket socket) {
        add(net::stream::plain(home_, std::move(socket), stream_limits()), std::nullopt);
    });
    if (!opened) return std::unexpected(opened.error());
    listener_ = std::move(*opened);
    if (!options_.tls) return {};
    auto context = net::make_tls_context({.certificate_file = options_.tls->certificate_file,
                                          .key_file = options_.tls->key_file,
                                          .client_ca_file = options_.tls->client_ca_file});
    if (!context) return std::unexpected(context.error());
    tls_ = std::move(*context);
    auto secure =
        net::listener::open(home_, {.address = options_.tls->address, .port = options_.tls->port, .reuse_port = false},
                            [this](net::tcp::socket socket) { accept_tls(std::move(socket)); });
    if (!secure) return std::unexpected(secure.error());
    tls_listener_ = std::move(*secure);
    return {};
}

net::stream_options server::stream_limits() const noexcept {
    return {.high_watermark_bytes = options_.limits.queued_bytes_max,
            .low_watermark_bytes = options_.limits.queued_bytes_max / 4};
}

void server::accept_tls(net::tcp::socket socket) {
    if (handshakes_ >= handshakes_max) return;  // they say nothing and keep their sockets
    ++handshakes_;
    net::shake_hands(home_, std::move(socket), *tls_, options_.limits.handshake_timeout,
                     [this, alive = std::weak_ptr(self_)](net::error_code failure, net::tls_socket secure) {
                         if (alive.expired()) return;
                         --handshakes_;
                         if (failure || !tls_listener_) return;
                         auto certified = net::verified_common_name(secure.tls.get());
                         add(net::stream::tls(home_, std::move(secure), stream_limits()), std::move(certified));
                     });
}

void server::add(std::shared_ptr<net::stream> stream, std::optional<std::string> certified) {
    const auto made = std::make_shared<connection>(std::move(stream), shared_, static_cast<connection_owner&>(*this),
                                                   std::move(certified));
    connections_.emplace(made.get(), made);
    made->block(blocked_, blocked_reason_);
    made->hold(store_behind_);
    made->start();
}

void server::on_gone(connection& gone) {
    connections_.erase(&gone);
}

void server::tell(std::vector<connection_info>& connections, std::vector<consumer_info>& consumers) const {
    for (const auto& [key, one] : connections_) one->tell(connections, consumers);
}

void server::on_committed() {
    model_.on_committed(model_.disk().committed());
    for (const auto& [key, one] : connections_) one->on_committed();
}

void server::block(bool blocked, const std::string& reason) {
    blocked_ = blocked;
    blocked_reason_ = reason;
    for (const auto& [key, one] : connections_) one->block(blocked, reason);
}

void server::hold(bool store_behind) {
    store_behind_ = store_behind;
    for (const auto& [key, one] : connections_) one->hold(store_behind);
}

void server::shut_down() {
    listener_.reset();
    tls_listener_.reset();
    const auto all = connections_;
    for (const auto& [key, one] : all) one->shut_down();
}

void server::wait() {
    const std::int64_t due_ms = model_.next_due();
    if (due_ms == 0) return;
    const std::int64_t now_ms = unix_ms(home_.time().wall_now()).count();
    alarm_.expires_after(std::chrono::milliseconds(std::max<std::int64_t>(due_ms - now_ms, 0)));
    alarm_.async_wait([self = std::weak_ptr(self_)](boost::system::error_code failure) {
        const auto alive = self.lock();
        if (failure || !alive) return;
        (*alive)->model_.run_due();
        (*alive)->wait();
    });
}

}  // namespace foz::broker
