#include "broker/front/server.hpp"

#include "base/json.hpp"
#include "base/utf8.hpp"

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
    auto opened = net::listener::open(
        home_, options_.listen, [this](net::tcp::socket socket) { on_accepted(std::move(socket), &server::take); });
    if (!opened) return std::unexpected(opened.error());
    listener_ = std::move(*opened);
    if (!options_.tls) return {};
    auto made = net::tls_holder::open(net::tls_server_options{.certificate_file = options_.tls->certificate_file,
                                                              .key_file = options_.tls->key_file,
                                                              .client_ca_file = options_.tls->client_ca_file},
                                      home_.time().now());
    if (!made) return std::unexpected(made.error());
    tls_ = std::move(*made);
    auto secure =
        net::listener::open(home_, {.address = options_.tls->address, .port = options_.tls->port, .reuse_port = false},
                            [this](net::tcp::socket socket) { on_accepted(std::move(socket), &server::accept_tls); });
    if (!secure) return std::unexpected(secure.error());
    tls_listener_ = std::move(*secure);
    return {};
}

net::stream_options server::stream_limits() const noexcept {
    return {.high_watermark_bytes = options_.limits.queued_bytes_max,
            .low_watermark_bytes = options_.limits.queued_bytes_max / 4};
}

void server::on_accepted(net::tcp::socket socket, arrival arrived) {
    net::error_code ignored;
    const net::tcp::endpoint from = socket.remote_endpoint(ignored);
    if (!options_.proxies.contains(from.address())) return (this->*arrived)(std::move(socket), from);
    if (handshakes_ >= handshakes_max) return;
    ++handshakes_;
    net::read_proxy_head(home_, std::move(socket), options_.limits.handshake_timeout,
                         [this, arrived, proxy = from.address(), alive = std::weak_ptr(self_)](
                             net::error_code failure, net::tcp::socket taken, net::tcp::endpoint client) {
                             if (alive.expired()) return;
                             --handshakes_;
                             if (!listener_) return;
                             if (!failure) return (this->*arrived)(std::move(taken), client);
                             const auto more = bad_heads_.count(home_.time().now());
                             if (more && options_.notice)
                                 options_.notice(
                                     "closed without a good PROXY header, which embedded.proxy_protocol "
                                     "expects, " +
                                     std::to_string(*more + 1) + " connections, the last one from " +
                                     proxy.to_string() + ": " + failure.message());
                         });
}

void server::take(net::tcp::socket socket, const net::tcp::endpoint& from) {
    add(net::stream::plain(home_, std::move(socket), stream_limits(), from), std::nullopt);
}

void server::accept_tls(net::tcp::socket socket, const net::tcp::endpoint& from) {
    if (handshakes_ >= handshakes_max) return;  // they say nothing and keep their sockets
    ++handshakes_;
    net::shake_hands(home_, std::move(socket), tls_->in_force(), options_.limits.handshake_timeout,
                     [this, from, alive = std::weak_ptr(self_)](net::error_code failure, net::tls_socket secure) {
                         if (alive.expired()) return;
                         --handshakes_;
                         if (failure == net::proxy_error::unexpected) on_proxy_head(from);
                         if (failure || !tls_listener_) return;
                         auto certified = net::verified_name(secure.tls.get(), net::peer_name::common_name);
                         add(net::stream::tls(home_, std::move(secure), stream_limits(), from), std::move(certified));
                     });
}

void server::on_proxy_head(const net::tcp::endpoint& from) {
    const auto more = stray_heads_.count(home_.time().now());
    if (more && options_.notice)
        options_.notice("closed for a PROXY header that is not expected, " + std::to_string(*more + 1) +
                        " connections, the last one from " + from.address().to_string() +
                        ": is it a proxy that embedded.proxy_protocol should name?");
}

void server::on_refused(const net::tcp::endpoint& from, std::string_view user, std::string_view why) {
    const auto more = refusals_.count(home_.time().now());
    if (!more || !options_.notice) return;
    // Names are the client's words.
    constexpr std::size_t shown_max = 128;
    const bool showable = user.size() <= shown_max && is_utf8(user);
    std::string line = "login refused: " + (showable ? json_string(user) : "a name that can't be shown") + " from " +
                       from.address().to_string() + ":" + std::to_string(from.port()) + ": ";
    line += is_utf8(why) ? why : "a name that can't be shown";
    if (*more > 0) line += " (and " + std::to_string(*more) + " others before)";
    options_.notice(line);
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
