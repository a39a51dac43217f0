#include "ws/conn/server.hpp"

#include <utility>

namespace foz::ws {
namespace {

// A TLS handshake that is under way; keeps itself until it has ended.
struct tls_handshake : std::enable_shared_from_this<tls_handshake> {
    tls_handshake(net::tcp::socket socket, boost::asio::ssl::context& context) : stream(std::move(socket), context) {}

    boost::asio::ssl::stream<net::tcp::socket> stream;
    net::wheel_timer limit{this, [](tls_handshake& self) {
                               net::error_code ignored;
                               self.stream.lowest_layer().close(ignored);
                           }};
};

}  // namespace

server::server(net::shard& home, application& app, const server_options& options, boost::asio::ssl::context* tls)
    : home_(home), app_(app), options_(options), tls_(tls) {}

server::~server() {
    *alive_ = false;
    // Moved out first: a handler's destructor may ask for what is left of us.
    const auto connections = std::exchange(connections_, {});
    for (const auto& [raw, one] : connections) one->forsake();
}

bool server::full() {
    const auto used = [this] { return connections_.size() + handshakes_ + leaving_.size(); };
    if (used() >= options_.connections_max) forget_left();
    return used() >= options_.connections_max;
}

void server::forget_left() {
    std::erase_if(leaving_, [](const auto& one) { return one.expired(); });
    forget_at_ = 2 * leaving_.size() + 64;
}

std::expected<std::unique_ptr<server>, std::string> server::open(net::shard& home, application& app,
                                                                 const server_options& options,
                                                                 boost::asio::ssl::context* tls) {
    std::unique_ptr<server> self(new server(home, app, options, tls));
    auto listening = net::listener::open(
        home, options.listen, [raw = self.get()](net::tcp::socket socket) { raw->on_accepted(std::move(socket)); });
    if (!listening) return std::unexpected(listening.error());
    self->listener_ = std::move(*listening);
    self->port_ = self->listener_->port();
    return self;
}

void server::on_accepted(net::tcp::socket socket) {
    if (full()) {
        ++counters_.refused;
        return;
    }
    ++counters_.accepted;
    if (!tls_) return add(net::stream::plain(home_, std::move(socket), options_.stream));
    const auto handshake = std::make_shared<tls_handshake>(std::move(socket), *tls_);
    ++handshakes_;
    handshake->limit.start(home_.wheel(), options_.connection.head_timeout);
    handshake->stream.async_handshake(boost::asio::ssl::stream_base::server,
                                      [this, handshake, alive = alive_](net::error_code error) {
                                          handshake->limit.cancel();
                                          if (!*alive) return;
                                          --handshakes_;
                                          if (error) return;
                                          add(net::stream::tls(home_, std::move(handshake->stream), options_.stream));
                                      });
}

void server::adopt(net::detached_stream moved) {
    if (full()) {
        ++counters_.refused;
        return;
    }
    std::string received = std::move(moved.unread);
    if (auto stream = net::stream::attach(home_, std::move(moved), options_.stream))
        add(std::move(stream), std::move(received));
}

void server::on_moved(connection& gone, unsigned shard, net::detached_stream stream) {
    connections_.erase(&gone);
    options_.move(shard, std::move(stream));
}

void server::add(std::shared_ptr<net::stream> stream, std::string received) {
    auto made = std::make_shared<connection>(std::move(stream), app_, static_cast<connection::owner&>(*this),
                                             options_.connection);
    connections_.emplace(made.get(), made);
    made->start(std::move(received));
}

void server::on_gone(connection& gone, std::weak_ptr<net::stream> last_words) {
    // Now and then: a weak pointer keeps the memory of its stream.
    if (leaving_.size() >= forget_at_) forget_left();
    leaving_.push_back(std::move(last_words));
    connections_.erase(&gone);
}

}  // namespace foz::ws
