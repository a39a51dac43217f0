#include "broker/front/server.hpp"

#include <algorithm>
#include <utility>

namespace foz::broker {
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
    const auto left = std::move(connections_);
    connections_.clear();
    for (const auto& [key, one] : left) one->forsake();
}

std::expected<void, std::string> server::listen() {
    auto opened =
        net::listener::open(home_, options_.listen, [this](net::tcp::socket socket) { accept(std::move(socket)); });
    if (!opened) return std::unexpected(opened.error());
    listener_ = std::move(*opened);
    return {};
}

void server::accept(net::tcp::socket socket) {
    net::stream_options limits{.high_watermark_bytes = options_.limits.queued_bytes_max,
                               .low_watermark_bytes = options_.limits.queued_bytes_max / 4};
    const auto made = std::make_shared<connection>(net::stream::plain(home_, std::move(socket), limits), shared_,
                                                   static_cast<connection_owner&>(*this));
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
