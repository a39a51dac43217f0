#include "ws/conn/server.hpp"

#include <utility>

namespace foz::ws {
namespace {

// RFC 9110 §10.2.3, in seconds.
constexpr const char* retry_after = "5";

std::string busy_response() {
    return to_octets(
        {.status = 503, .body = "too many connections: please try again\n", .headers = {{"Retry-After", retry_after}}},
        false);
}

}  // namespace

server::server(net::shard& home, application& app, const server_options& options, boost::asio::ssl::context* tls)
    : home_(home),
      app_(app),
      options_(options),
      tls_(tls),
      slots_(options.slots ? options.slots : std::make_shared<net::slot_pool>(options.connections_max)),
      refusals_(std::make_shared<net::slot_pool>(options.refusals_max)) {}

server::~server() {
    *alive_ = false;
    // Moved out first: a handler's destructor may ask for what is left of us.
    const auto connections = std::move(connections_);
    for (std::uint32_t i = 0; i < connections.extent(); ++i)
        if (connections[i]) connections[i]->forsake();
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
    if (options_.descriptors_max > 0 && static_cast<std::uint64_t>(socket.native_handle()) >= options_.descriptors_max)
        return refuse(std::move(socket), refusal::descriptors);
    auto taken = net::slot::take(slots_);
    if (!taken) return refuse(std::move(socket), refusal::connections);
    ++counters_.accepted;
    if (tls_) return accept_tls(std::move(socket), std::move(taken));
    auto stream = net::stream::plain(home_, std::move(socket), options_.stream);
    stream->keep(std::move(taken));
    add(std::move(stream));
}

void server::accept_tls(net::tcp::socket socket, net::slot taken) {
    net::shake_hands(
        home_, std::move(socket), *tls_, options_.connection.head_timeout,
        [this, alive = alive_, taken = std::move(taken)](net::error_code error, net::tls_socket secure) mutable {
            if (!*alive) return;
            if (error) return void(++counters_.handshakes_failed);
            auto stream = net::stream::tls(home_, std::move(secure), options_.stream);
            stream->keep(std::move(taken));
            add(std::move(stream));
        });
}

// Politely, as long as that costs little.
void server::refuse(net::tcp::socket socket, refusal why) {
    ++counters_.refused;
    if (const auto kept_back = notices_[static_cast<std::size_t>(why)].count(home_.time().now()))
        if (options_.on_refused) options_.on_refused(why, *kept_back + 1);
    auto taken = net::slot::take(refusals_);
    if (!taken) return void(++counters_.refused_silently);
    if (!tls_) return tell_busy(net::stream::plain(home_, std::move(socket), options_.stream), std::move(taken));
    net::shake_hands(
        home_, std::move(socket), *tls_, options_.refusal_timeout,
        [this, alive = alive_, taken = std::move(taken)](net::error_code error, net::tls_socket secure) mutable {
            if (!*alive || error) return;
            tell_busy(net::stream::tls(home_, std::move(secure), options_.stream), std::move(taken));
        });
}

void server::tell_busy(std::shared_ptr<net::stream> stream, net::slot taken) {
    stream->keep(std::move(taken));
    stream->write(busy_response());
    stream->close(options_.refusal_timeout);
}

void server::adopt(net::detached_stream moved) {
    std::string received = std::move(moved.unread);
    if (auto stream = net::stream::attach(home_, std::move(moved), options_.stream))
        add(std::move(stream), std::move(received));
}

void server::on_moved(connection& gone, unsigned shard, net::detached_stream stream) {
    connections_.take(gone.number());
    options_.move(shard, std::move(stream));
}

void server::add(std::shared_ptr<net::stream> stream, std::string received) {
    auto made = std::make_shared<connection>(std::move(stream), app_, static_cast<connection::owner&>(*this),
                                             options_.connection);
    made->set_number(connections_.put(made));
    made->start(std::move(received));
}

void server::on_gone(connection& gone) {
    connections_.take(gone.number());
}

}  // namespace foz::ws
