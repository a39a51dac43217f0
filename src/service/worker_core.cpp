#include "service/worker_core.hpp"

#include "contract/names.hpp"
#include "service/request_state.hpp"

#include <algorithm>
#include <csignal>
#include <stdexcept>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foz::service {
namespace {

constexpr std::size_t problems_max = 32;  // that are told while there is no connection
// One consumer on each channel; for a moment two, when it goes on from the first to the second.
constexpr std::string_view careful_tag = "careful";
constexpr std::string_view full_tag = "full";

std::vector<amqp::url> parse(const std::vector<std::string>& texts) {
    if (texts.empty()) throw std::runtime_error("no broker URL is given");
    std::vector<amqp::url> urls;
    for (const std::string& text : texts) {
        auto parsed = amqp::parse_url(text);
        if (!parsed) throw std::runtime_error("broker URL: " + parsed.error().text);
        urls.push_back(std::move(*parsed));
    }
    return urls;
}

amqp::client_options client_options(const worker_options& options, const char* purpose) {
    return {.urls = parse(options.broker_urls),
            .connection_name = options.name + " " + purpose,
            .tls = {.ca_file = options.broker_ca_file}};
}

// A client whose messages wait for each other must not keep the others' from being delivered. More than that would be
// returned, and counted, for nothing when a worker dies.
constexpr unsigned ordered_prefetch_factor = 4;

std::uint16_t prefetch(const contract::channel_settings& channel, std::uint16_t concurrency) {
    if (channel.order != contract::order_kind::client || concurrency == 1) return concurrency;
    return static_cast<std::uint16_t>(std::min(concurrency * ordered_prefetch_factor, 65'535u));
}

amqp::basic_qos qos(std::uint16_t prefetch) {
    amqp::basic_qos method;
    method.prefetch_count = prefetch;
    return method;
}

amqp::basic_consume consume(const std::string& queue, std::string_view tag) {
    amqp::basic_consume method;
    method.queue = queue;
    method.consumer_tag = tag;
    return method;
}

amqp::basic_cancel cancel(std::string_view tag) {
    amqp::basic_cancel method;
    method.consumer_tag = tag;
    return method;
}

}  // namespace

worker_core::worker_core(worker_options options)
    : options_(std::move(options)),
      topology_(contract::make_topology(options_.channels)),
      store_(options_.dedupe ? options_.dedupe : std::shared_ptr<dedupe_store>(make_memory_store())),
      consume_(home_, client_options(options_, "consume"), this),
      publish_(home_, client_options(options_, "publish")),
      publisher_(std::make_unique<amqp::publisher>(publish_)),
      asker_(consume_, *publisher_) {
    if (options_.concurrency == 0) throw std::runtime_error("concurrency: at least 1 is expected");
}

worker_core::~worker_core() = default;

const contract::channel_settings& worker_core::channel_of(const std::string& name) const {
    const auto& all = options_.channels;
    const auto at = std::find_if(all.begin(), all.end(), [&](const auto& c) { return c.name == name; });
    if (at == all.end()) throw std::invalid_argument("there is no channel " + name);
    return *at;
}

void worker_core::on(const std::string& channel, const std::string& type, handler work) {
    const contract::channel_settings& wanted = channel_of(channel);
    auto known =
        std::find_if(consumers_.begin(), consumers_.end(), [&](const auto& c) { return &c->channel == &wanted; });
    if (known == consumers_.end()) {
        consumers_.push_back(std::make_unique<consumer>(*this, wanted));
        known = consumers_.end() - 1;
    }
    (*known)->handlers[type] = std::move(work);
}

void worker_core::follow(const std::string& channel, std::chrono::system_clock::time_point since, follower hear) {
    const contract::channel_settings& wanted = channel_of(channel);
    if (wanted.delivery != contract::delivery_kind::durable)
        throw std::invalid_argument("channel " + channel + " is volatile: it has no stream to follow");
    client_events& events = *this;
    if (!streams_) streams_ = std::make_unique<amqp::client>(home_, client_options(options_, "streams"), &events);
    const stream_follower::parts parts{*streams_, *publisher_, hearing_, *this};
    followers_.push_back(std::make_unique<stream_follower>(parts, wanted, since, std::move(hear)));
}

worker_counters worker_core::counters() const {
    return {counters_.handled, counters_.refused, counters_.requeued, counters_.published};
}

void worker_core::run(bool signals) {
    if (consumers_.empty() && followers_.empty())
        throw std::runtime_error("a worker without handlers and followers has nothing to do");
    boost::asio::signal_set stop_signals(home_.context());
    if (signals) {
        stop_signals.add(SIGINT);
        stop_signals.add(SIGTERM);
        stop_signals.async_wait([this](boost::system::error_code error, int) {
            if (!error) stop();
        });
    }
    handling_.start(options_.concurrency);
    publish_.start();
    if (followers_.empty()) {
        begin_work();
    } else {
        hearing_.start(1);
        streams_->start();
    }
    cores_.run();
    asker_.end();  // handlers that wait for an answer
    handling_.stop();
    hearing_.stop();
    if (!failure_.empty()) throw std::runtime_error(failure_);
}

void worker_core::begin_work() {
    for (auto& one : consumers_) one->link = consume_.open_channel(*one);
    consume_.start();
    if (consumers_.empty()) become_ready();
}

void worker_core::become_ready() {
    started_ = true;
    if (tell_ready) tell_ready();
}

void worker_core::stop() {
    home_.post([this] {
        if (!std::exchange(draining_, true)) boost::asio::co_spawn(home_.context(), drain(), boost::asio::detached);
    });
}

boost::asio::awaitable<amqp::result<void>> worker_core::prepare(amqp::channel& on) {
    if (!options_.declare) co_return amqp::result<void>{};
    auto declared = co_await topology_.ensure(on);
    co_return declared;
}

void worker_core::on_caught_up() {
    if (++caught_up_ == followers_.size() && !draining_) begin_work();
}

void worker_core::on_stream_lost(const amqp::error& why) {
    if (!started_ && why.permanent()) return fail_start(why);
    if (why.code == amqp::errc::channel_closed) notice("stream: " + why.text);
}

boost::asio::awaitable<amqp::result<void>> worker_core::consumer::set_up(amqp::channel& self) {
    auto prepared = co_await owner.prepare(self);
    if (!prepared) co_return prepared;
    const std::uint16_t full = prefetch(channel, owner.options_.concurrency);
    careful = full > 1 && !channel.single_active();
    auto limited = co_await self.call(qos(careful ? 1 : full));
    if (!limited) co_return std::unexpected(limited.error());
    auto consuming_ok = co_await self.call(consume(channel.in_queue(), careful ? careful_tag : full_tag));
    if (!consuming_ok) co_return std::unexpected(consuming_ok.error());
    co_return amqp::result<void>{};
}

boost::asio::awaitable<void> worker_core::consumer::consume_fully(std::shared_ptr<amqp::channel> on) {
    // The new consumer first: a queue without consumers would be seen as a channel without a service.
    auto limited = co_await on->call(qos(prefetch(channel, owner.options_.concurrency)));
    if (!limited || owner.draining_) co_return;  // what is lost is set up anew
    auto consuming_ok = co_await on->call(consume(channel.in_queue(), full_tag));
    if (!consuming_ok) co_return;
    auto cancelled = co_await on->call(cancel(careful_tag));
    (void)cancelled;
}

void worker_core::consumer::on_delivery(amqp::channel&, const amqp::delivery& d) {
    if (careful && !d.redelivered && !owner.draining_) {
        careful = false;
        boost::asio::co_spawn(owner.home_.context(), consume_fully(link), boost::asio::detached);
    }
    owner.take(*this, d);
}

// Its caller is told as of any dead letter.
void worker_core::consumer::on_too_large(amqp::channel& self, const amqp::delivery& d, const amqp::skipped_body& body) {
    owner.notice(channel.in_queue() + ": a message of " + std::to_string(body.size) +
                 " octets is too large and was refused, message id " + d.properties.message_id.value_or("-"));
    ++owner.counters_.refused;
    self.discard(d);
}

void worker_core::consumer::on_ready(amqp::channel&) {
    consuming = true;
    const auto& all = owner.consumers_;
    if (std::all_of(all.begin(), all.end(), [](const auto& c) { return c->consuming; })) owner.become_ready();
}

void worker_core::consumer::on_lost(amqp::channel&, const amqp::error& why) {
    consuming = false;
    // What waits here will be delivered again, perhaps to another worker; what is being worked on goes on.
    std::erase_if(owner.waiting_, [&](const request_ptr& r) { return r->state_->from == link; });
    for (auto& [client, one] : lanes) one.awaited.reset();
    if (!owner.started_ && why.permanent()) return owner.fail_start(why);
    if (why.code == amqp::errc::channel_closed) owner.notice(channel.in_queue() + ": " + why.text);
}

void worker_core::fail_start(const amqp::error& why) {
    if (!failure_.empty()) return;
    failure_ = why.text;
    cores_.stop();
}

void worker_core::on_connected(const std::string& where) {
    problems_.clear();
    notice("connected to " + where);
}

void worker_core::on_disconnected(const amqp::error& why, std::chrono::milliseconds) {
    if (!started_ && why.permanent()) return fail_start(why);
    // Each is said once: there are many attempts, at a few URLs in turn.
    if (problems_.size() < problems_max && problems_.insert(why.text).second)
        notice("broker: " + why.text + "; trying again");
}

void worker_core::on_channel_sick(const std::string& queue, const amqp::error& why,
                                  std::chrono::milliseconds retry_in) {
    notice("the broker refuses " + (queue.empty() ? "what is published" : queue) + " again and again (" + why.text +
           "); it is tried again in " + std::to_string(retry_in.count()) + " ms");
}

boost::asio::awaitable<void> worker_core::drain() {
    // First no more work is taken, then what was taken is finished: a message that is returned counts as one more
    // attempt, whoever returned it. Questions to clients end now; they may take longer than a drain.
    const steady_time deadline = home_.time().now() + options_.drain_timeout;
    asker_.end();
    for (auto& one : consumers_) {
        if (!one->link) continue;  // work has not begun
        for (const auto tag : {careful_tag, full_tag}) {
            auto cancelled = co_await one->link->call(cancel(tag));
            if (!cancelled) break;  // not connected: nothing comes from there
        }
    }
    for (auto& one : consumers_)
        for (auto& [client, its] : one->lanes)
            if (its.awaited) return_waiting(*one, client);  // what they wait for does not come here any more
    notice("stopping; " + std::to_string(working_ + waiting_.size()) + " messages are in hand");
    boost::asio::steady_timer pause(home_.context());
    while (working_ + waiting_.size() > 0 && home_.time().now() < deadline) {
        pause.expires_after(std::chrono::milliseconds(5));
        co_await pause.async_wait(boost::asio::use_awaitable);
    }
    if (streams_) co_await streams_->stop();
    co_await consume_.stop();
    co_await publish_.stop();
    cores_.stop();
}

void worker_core::notice(const std::string& text) {
    if (tell_notice) tell_notice(text);
}

}  // namespace foz::service
