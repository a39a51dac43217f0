// What a client sends beyond its rates: refused, read more slowly, and closed in the end.
#include "aggregator/session/session.hpp"

namespace foz::aggregator {
namespace {

client_error too_fast(std::string text, std::chrono::milliseconds wait) {
    client_error error{error_code::rate_limited, std::move(text)};
    error.retry_after_ms = static_cast<std::uint64_t>(wait.count());
    return error;
}

}  // namespace

bool session::count_frame(std::size_t octets) {
    const auto beyond = shared_.rates.take_frame(rate_key(), octets, shared_.time.now());
    return !beyond || slow_down(*beyond);
}

void session::take_limits(const std::shared_ptr<const client_limits>& own) {
    if (own && !has_own_limits_) shared_.rates.enter(rate_key(), own);
    if (own && has_own_limits_) shared_.rates.renew(rate_key(), own);
    if (!own && has_own_limits_) shared_.rates.leave(rate_key());
    has_own_limits_ = own != nullptr;
}

// Whoever waits for an outcome is told; of others, which can't be told apart, the first one.
bool session::publishes_too_fast(const std::vector<std::size_t>& channels, const reply_context& context) {
    const auto beyond = shared_.rates.take_publishes(rate_key(), channels, shared_.time.now());
    if (!beyond) return false;
    if (names_its_request(context) || !beyond->again) {
        send_error(too_fast("this client publishes too fast", beyond->wait), context);
    } else {
        shared_.count_refused(error_code::rate_limited);
    }
    close_flooder(*beyond);
    return true;
}

// True: it was closed. One that is sent away goes on until it has heard of it.
bool session::close_flooder(const rate_limits::excess& by) {
    if (!by.too_long || closing_) return false;
    send_error(too_fast("this client has been sending too fast for too long", by.whole), {});
    if (closing_) return true;  // it was slow, too
    ++shared_.counters.flooders_closed;
    closing_ = true;
    shared_.out.close(self_, ws::close_code(spec::close_rate_limited), "rate limited");
    return true;
}

// False: the socket was closed.
bool session::slow_down(const rate_limits::excess& by) {
    if (close_flooder(by)) return false;
    if (slowed_ || closing_) return true;
    slowed_ = true;
    ++shared_.counters.reading_slowed;
    shared_.out.pause_reading(self_, true);
    shared_.slowed.add(self_, by.wait);
    return true;
}

void session::on_rate_room() {
    if (!slowed_) return;
    slowed_ = false;
    if (!reading_paused_ && !closing_) shared_.out.pause_reading(self_, false);
}

}  // namespace foz::aggregator
