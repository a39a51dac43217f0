#include "aggregator/feed/revoked_reader.hpp"

#include "aggregator/feed/stream_delivery.hpp"
#include "contract/names.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::uint16_t revoked_prefetch = 1'000;
constexpr std::chrono::milliseconds marker_confirm_timeout{10'000};

const std::string& stream_name() {
    static const std::string name(contract::revoked_stream);
    return name;
}

// Without a user of our own we could not revoke ourselves, and the configuration names nobody then.
std::vector<std::string> revokers_of(std::vector<std::string> named, const std::string& own) {
    if (!own.empty()) named.push_back(own);
    return named;
}

contract::stream_cursor_options revoked_options(random_source& random) {
    return {.begin = {.what = contract::attach_at::kind::first}, .marker_prefix = "marker." + random.token()};
}

}  // namespace

revoked_reader::revoked_reader(amqp::client& streams, amqp::client& publish, const settings& all,
                               revocation_listener& listener)
    : home_(streams.home()),
      settings_(all),
      listener_(listener),
      user_(contract::revoking_user(all.publish_urls)),
      revokers_(revokers_of(all.revokers, user_)),
      publisher_(publish),
      cursor_(revoked_options(streams.home().random())) {
    publisher_.set_recipe([this](amqp::channel& on) { return settings_.topology->ensure(on); });
    link_ = streams.open_channel(*this);
}

revoked_reader::~revoked_reader() {
    link_->close();
}

void revoked_reader::publish(const contract::revocation& what, amqp::on_outcome done) {
    publisher_.publish(contract::make_publication(what, home_.random().token(), home_.time().wall_now(), user_),
                       settings_.publish_timeout, std::move(done));
}

boost::asio::awaitable<amqp::result<void>> revoked_reader::set_up(amqp::channel& self) {
    auto there = co_await settings_.topology->ensure(self);
    if (!there) co_return there;
    amqp::basic_qos qos;
    qos.prefetch_count = revoked_prefetch;
    auto limited = co_await self.call(qos);
    if (!limited) co_return std::unexpected(limited.error());
    cursor_.attaching();
    amqp::basic_consume consume;
    consume.queue = stream_name();
    consume.arguments = contract::stream_arguments(cursor_.where());
    auto consuming = co_await self.call(std::move(consume));
    if (!consuming) co_return std::unexpected(consuming.error());
    co_return amqp::result<void>{};
}

void revoked_reader::on_ready(amqp::channel&) {
    cursor_.attached(home_.time().now(), events_);
    act(nullptr);
}

void revoked_reader::on_lost(amqp::channel&, const amqp::error& why) {
    cursor_.lost();
    tick_timer_.cancel();
    listener_.on_revocations_lost(why);
}

void revoked_reader::on_delivery(amqp::channel& self, const amqp::delivery& message) {
    if (const auto offset = stream_offset(message)) {
        cursor_.delivered(view_of(message, *offset), home_.time().now(), events_);
        act(&message);
    }
    self.ack(message.id);
}

void revoked_reader::on_too_large(amqp::channel& self, const amqp::delivery& message, const amqp::skipped_body& body) {
    ++counters_.not_understood;
    if (const auto offset = stream_offset(message)) {
        cursor_.delivered(view_of(message, *offset, body), home_.time().now(), events_);
        act(nullptr);
    }
    self.ack(message.id);
}

// The broker has checked user_id.
bool revoked_reader::trusted(const amqp::delivery& message) const {
    const auto& by = message.properties.user_id;
    return revokers_.empty() || (by && std::ranges::find(revokers_, *by) != revokers_.end());
}

void revoked_reader::take(const amqp::delivery& message) {
    if (message.properties.type == contract::type_marker) return;  // another aggregator's
    if (!trusted(message)) return listener_.on_revocation_not_trusted(message.properties.user_id.value_or(""));
    const auto what = contract::parse_revocation(message.body);
    ++(what ? counters_.read : counters_.not_understood);
    if (what) listener_.on_revocation(*what);
}

void revoked_reader::act(const amqp::delivery* message) {
    using kind = contract::cursor_event::kind;
    bool again = false;
    for (const contract::cursor_event& event : events_) {
        switch (event.what) {
            case kind::entry:
                if (message) take(*message);
                break;
            case kind::publish_marker:
                publisher_.publish(stream_marker(stream_name(), event.marker, home_.time().wall_now()),
                                   marker_confirm_timeout, [](amqp::outcome) {});
                break;
            case kind::ask_again:
                again = true;
                break;
            case kind::caught_up:
                listener_.on_revocations_known();
                break;
            // What was revoked stays so, whatever becomes of the stream.
            case kind::duplicate:
            case kind::skipped:
            case kind::repeated:
            case kind::gap:
            case kind::restarted:
            case kind::proven:
                break;
        }
    }
    events_.clear();
    if (again) link_->reopen({amqp::errc::timed_out, 0, "asking " + stream_name() + " again"});
    set_timer();
}

void revoked_reader::on_tick() {
    cursor_.tick(home_.time().now(), events_);
    act(nullptr);
}

void revoked_reader::set_timer() {
    const auto deadline = cursor_.deadline();
    if (!deadline) return tick_timer_.cancel();
    if (tick_timer_.active()) return;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - home_.time().now());
    tick_timer_.start(home_.wheel(), std::max(left, std::chrono::milliseconds(1)));
}

}  // namespace foz::aggregator
