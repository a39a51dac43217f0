#include "ws/conn/server.hpp"

#include "net/server_handshake.hpp"

#include <utility>

namespace foz::ws {
namespace {

// RFC 9110 §10.2.3, in seconds.
constexpr const char* retry_after = "5";

constexpr std::chrono::milliseconds count_interval{20};

constexpr std::chrono::seconds half_open_grace{1};
constexpr std::chrono::seconds handshake_grace{2};

// 503, or 429 (RFC 6585 §4) to an address of which there are too many.
std::string busy_response(unsigned status, wall_time now) {
    return to_octets({.status = status,
                      .body = status == 429 ? "too many connections from this address: please try again\n"
                                            : "too many connections: please try again\n",
                      .headers = {{"Retry-After", retry_after}}},
                     false, now);
}

bool by_address(refusal why) {
    return why == refusal::address_connections || why == refusal::address_arrivals;
}

}  // namespace

server::server(net::shard& home, application& app, const server_options& options,
               std::shared_ptr<const net::tls_holder> tls)
    : home_(home),
      app_(app),
      options_(options),
      tls_(std::move(tls)),
      slots_(options.slots ? options.slots : std::make_shared<net::slot_pool>(options.connections_max)),
      refusals_(std::make_shared<net::slot_pool>(options.refusals_max)),
      handshakes_(options.handshakes ? options.handshakes : std::make_shared<net::slot_pool>(options.handshakes_max)) {}

server::~server() {
    *alive_ = false;
    // Moved out first: a handler's destructor may ask for what is left of us.
    const auto connections = std::move(connections_);
    for (std::uint32_t i = 0; i < connections.extent(); ++i)
        if (connections[i]) connections[i]->forsake();
}

std::expected<std::unique_ptr<server>, std::string> server::open(net::shard& home, application& app,
                                                                 const server_options& options,
                                                                 std::shared_ptr<const net::tls_holder> tls) {
    std::unique_ptr<server> self(new server(home, app, options, std::move(tls)));
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
    net::error_code ignored;
    const net::tcp::endpoint from = socket.remote_endpoint(ignored);
    if (!options_.proxies.contains(from.address())) return take(std::move(socket), from, std::move(taken));
    net::read_proxy_head(home_, std::move(socket), options_.connection.head_timeout,
                         [this, alive = alive_, taken = std::move(taken), proxy = from.address()](
                             net::error_code error, net::tcp::socket arrived, net::tcp::endpoint client) mutable {
                             if (!*alive) return;
                             if (!error) return take(std::move(arrived), client, std::move(taken));
                             ++counters_.proxy_heads_failed;
                             note(refusal::proxy_head, proxy);
                         });
}

void server::take(net::tcp::socket socket, const net::tcp::endpoint& from, net::slot taken) {
    if (options_.addresses && !options_.forwarders.contains(from.address())) {
        const auto place = options_.addresses->arrive(from.address(), home_.time().now());
        if (!place) {
            const bool connections = place.error() == net::address_refusal::connections;
            ++(connections ? counters_.address_connections : counters_.address_arrivals);
            return refuse(std::move(socket), connections ? refusal::address_connections : refusal::address_arrivals,
                          from.address());
        }
        taken.nest(*place);
    }
    if (tls_) return accept_tls(std::move(socket), from, std::move(taken));
    ++counters_.accepted;
    auto stream = net::stream::plain(home_, std::move(socket), options_.stream, from);
    stream->keep(std::move(taken));
    add(std::move(stream));
}

void server::accept_tls(net::tcp::socket socket, const net::tcp::endpoint& from, net::slot taken) {
    auto handshake = take_handshake();
    if (!handshake) {
        ++counters_.refused;
        ++counters_.refused_silently;
        ++counters_.handshakes_refused;
        return note(refusal::handshakes);
    }
    ++counters_.accepted;
    auto begun =
        net::begin_handshake(home_, std::move(socket), tls_->in_force(), options_.connection.head_timeout,
                             [this, alive = alive_, from, taken = std::move(taken), handshake = std::move(handshake)](
                                 net::error_code error, net::tls_socket secure) mutable {
                                 handshake.release();
                                 if (!*alive) return;
                                 if (error == net::proxy_error::unexpected) note_stray_head(from);
                                 if (error) return void(++counters_.handshakes_failed);
                                 auto stream = net::stream::tls(home_, std::move(secure), options_.stream, from);
                                 stream->keep(std::move(taken));
                                 add(std::move(stream));
                             });
    begun_.push_back({.which = std::move(begun), .at = home_.time().now()});
}

// Whoever begins handshakes and doesn't go on must not keep the others out.
net::slot server::take_handshake() {
    while (!begun_.empty() && begun_.front().which.expired()) begun_.pop_front();
    if (auto free = net::slot::take(handshakes_)) return free;
    if (begun_.empty() || home_.time().now() - begun_.front().at < handshake_grace) return {};
    const auto oldest = begun_.front().which.lock();
    begun_.pop_front();
    ++counters_.handshakes_given_up;
    oldest->give_up();  // gives its slot back
    return net::slot::take(handshakes_);
}

void server::note_stray_head(const net::tcp::endpoint& from) {
    ++counters_.proxy_heads_stray;
    note(refusal::stray_proxy_head, from.address());
}

// Politely, as long as that costs little.
void server::refuse(net::tcp::socket socket, refusal why, const boost::asio::ip::address& from) {
    ++counters_.refused;
    note(why, from);
    // A handshake is what such an address is not to cost.
    if (tls_ && by_address(why)) return void(++counters_.refused_silently);
    const unsigned status = by_address(why) ? 429 : 503;
    auto taken = net::slot::take(refusals_);
    if (!taken) return void(++counters_.refused_silently);
    if (!tls_)
        return tell_busy(net::stream::plain(home_, std::move(socket), options_.stream), std::move(taken), status);
    net::shake_hands(
        home_, std::move(socket), tls_->in_force(), options_.refusal_timeout,
        [this, alive = alive_, taken = std::move(taken)](net::error_code error, net::tls_socket secure) mutable {
            if (!*alive || error) return;
            tell_busy(net::stream::tls(home_, std::move(secure), options_.stream), std::move(taken), 503);
        });
}

void server::note(refusal why, const boost::asio::ip::address& from) {
    if (const auto kept_back = notices_[static_cast<std::size_t>(why)].count(home_.time().now()))
        if (options_.on_refused) options_.on_refused({.why = why, .count = *kept_back + 1, .from = from});
}

bool server::may_answer(connection& asking, std::size_t octets) {
    const std::size_t wanted = asking.unread_bytes() + octets;
    charge(asking.number(), wanted);
    if (charged_in_all_ <= options_.unread_bytes_max) return true;
    count_unread();
    charge(asking.number(), wanted);
    if (charged_in_all_ <= options_.unread_bytes_max) return true;
    charge(asking.number(), asking.unread_bytes());
    ++counters_.answers_refused;
    note(refusal::unread);
    return false;
}

void server::charge(std::uint32_t number, std::size_t octets) {
    if (charged_.size() <= number) charged_.resize(number + 1);
    charged_in_all_ += octets;
    charged_in_all_ -= std::exchange(charged_[number], octets);
}

// Looks at all connections: not more often than it helps.
void server::count_unread() {
    const steady_time now = home_.time().now();
    if (now - counted_at_ < count_interval) return;
    counted_at_ = now;
    for (std::uint32_t i = 0; i < connections_.extent(); ++i)
        if (connections_[i]) charge(i, connections_[i]->unread_bytes());
}

void server::tell_busy(std::shared_ptr<net::stream> stream, net::slot taken, unsigned status) {
    stream->keep(std::move(taken));
    stream->write(busy_response(status, home_.time().wall_now()));
    stream->close(options_.refusal_timeout);
}

void server::adopt(moved_connection moved) {
    std::string received = std::move(moved.stream.unread);
    if (auto stream = net::stream::attach(home_, std::move(moved.stream), options_.stream))
        add(std::move(stream), std::move(received), std::move(moved.note));
}

void server::on_moved(connection& gone, unsigned shard, moved_connection what) {
    charge(gone.number(), 0);
    connections_.take(gone.number());
    options_.move(shard, std::move(what));
}

void server::add(std::shared_ptr<net::stream> stream, std::string received, std::shared_ptr<const request_note> note) {
    auto made = std::make_shared<connection>(std::move(stream), app_, static_cast<connection::owner&>(*this),
                                             options_.connection);
    made->set_number(connections_.put(made));
    ++half_open_;
    arrivals_.push_back({.number = made->number(), .which = made.get(), .at = home_.time().now()});
    bound_half_open();
    made->start(std::move(received), std::move(note));
}

// Who has a request to make makes it. Who has none must not keep the others out.
void server::bound_half_open() {
    const auto waits = [this](const arrival& one) {
        return one.number < connections_.extent() && connections_[one.number].get() == one.which &&
               one.which->half_open();
    };
    const steady_time now = home_.time().now();
    while (!arrivals_.empty()) {
        const arrival oldest = arrivals_.front();
        if (waits(oldest)) {
            if (half_open_ <= options_.half_open_max || now - oldest.at < half_open_grace) return;
            ++counters_.half_open_closed;
            connections_[oldest.number]->give_up();
        }
        arrivals_.pop_front();
    }
}

void server::on_gone(connection& gone) {
    if (gone.half_open()) --half_open_;
    charge(gone.number(), 0);
    connections_.take(gone.number());
}

}  // namespace foz::ws
