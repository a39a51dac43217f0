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

}  // namespace

worker_core::worker_core(worker_options options)
    : options_(std::move(options)),
      topology_(contract::make_topology(options_.channels)),
      store_(options_.dedupe ? options_.dedupe : std::shared_ptr<dedupe_store>(make_memory_store())),
      consume_(home_, client_options(options_, "consume"), this),
      publish_(home_, client_options(options_, "publish")),
      out_(publish_, options_.channels),
      asker_(consume_, [this](amqp::publication p, steady_time deadline,
                              amqp::on_outcome done) { publish(std::move(p), deadline, std::move(done)); }),
      cancels_(consume_, {.prepare = [this](amqp::channel& on) { return prepare(on); },
                          .cancelled = [this](std::string_view message_id) { on_cancelled(message_id); },
                          .notice = [this](const std::string& text) { notice(text); }}) {
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
    const stream_follower::parts parts{*streams_, out_.to(wanted), hearing_, *this};
    followers_.push_back(std::make_unique<stream_follower>(parts, wanted, since, std::move(hear)));
}

worker_counters worker_core::counters() const {
    return {counters_.handled,   counters_.refused, counters_.requeued,
            counters_.published, counters_.held,    counters_.cancelled};
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
    std::vector<std::string> channels;
    for (auto& one : consumers_) {
        one->link = consume_.open_channel(*one);
        channels.push_back(one->channel.name);
    }
    if (!channels.empty()) cancels_.start(std::move(channels));
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
        if (one->link) co_await one->cancel_all();  // else work has not begun
    }
    give_back_all();
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
