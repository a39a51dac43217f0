#include "service/worker_core.hpp"

#include "contract/names.hpp"
#include "contract/topology.hpp"
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

constexpr std::string_view consumer_tag = "foz";  // one consumer on each channel

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

amqp::basic_qos qos(std::uint16_t prefetch) {
    amqp::basic_qos method;
    method.prefetch_count = prefetch;
    return method;
}

amqp::basic_consume consume(const std::string& queue) {
    amqp::basic_consume method;
    method.queue = queue;
    method.consumer_tag = consumer_tag;
    return method;
}

amqp::basic_cancel cancel() {
    amqp::basic_cancel method;
    method.consumer_tag = consumer_tag;
    return method;
}

std::string text_header(const amqp::basic_properties& properties, std::string_view name) {
    const auto value = amqp::as_string(properties.headers ? properties.headers->find(name) : nullptr);
    return value ? std::string(*value) : std::string();
}

}  // namespace

worker_core::worker_core(worker_options options)
    : options_(std::move(options)),
      consume_(home_, client_options(options_, "consume"), this),
      publish_(home_, client_options(options_, "publish")),
      publisher_(std::make_unique<amqp::publisher>(publish_)) {
    if (options_.concurrency == 0) throw std::runtime_error("concurrency: at least 1 is expected");
}

worker_core::~worker_core() = default;

void worker_core::on(const std::string& channel, const std::string& type, handler work) {
    const auto& all = options_.channels;
    const auto at = std::find_if(all.begin(), all.end(), [&](const auto& c) { return c.name == channel; });
    if (at == all.end()) throw std::invalid_argument("there is no channel " + channel);
    const auto index = static_cast<std::size_t>(at - all.begin());
    auto known = std::find_if(consumers_.begin(), consumers_.end(), [&](const auto& c) { return c->index == index; });
    if (known == consumers_.end()) {
        consumers_.push_back(std::make_unique<consumer>(*this, index));
        known = consumers_.end() - 1;
    }
    (*known)->handlers[type] = std::move(work);
}

worker_counters worker_core::counters() const {
    return {counters_.handled, counters_.refused, counters_.requeued, counters_.published};
}

void worker_core::run(bool signals) {
    if (consumers_.empty()) throw std::runtime_error("a worker without handlers has nothing to do");
    boost::asio::signal_set stop_signals(home_.context());
    if (signals) {
        stop_signals.add(SIGINT);
        stop_signals.add(SIGTERM);
        stop_signals.async_wait([this](boost::system::error_code error, int) {
            if (!error) stop();
        });
    }
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < options_.concurrency; ++i) threads.emplace_back([this] { work_loop(); });
    for (auto& one : consumers_) one->link = consume_.open_channel(*one);
    consume_.start();
    publish_.start();
    cores_.run();
    {
        const std::lock_guard lock(work_mutex_);
        end_ = true;
    }
    work_there_.notify_all();
    threads.clear();
    if (!failure_.empty()) throw std::runtime_error(failure_);
}

void worker_core::stop() {
    home_.post([this] {
        if (!std::exchange(draining_, true)) boost::asio::co_spawn(home_.context(), drain(), boost::asio::detached);
    });
}

boost::asio::awaitable<amqp::result<void>> worker_core::consumer::set_up(amqp::channel& self) {
    auto declared = co_await contract::declare(self, contract::make_topology(owner.options_.channels));
    if (!declared) co_return declared;
    auto limited = co_await self.call(qos(owner.options_.concurrency));
    if (!limited) co_return std::unexpected(limited.error());
    auto consuming_ok = co_await self.call(consume(owner.options_.channels[index].in_queue()));
    if (!consuming_ok) co_return std::unexpected(consuming_ok.error());
    co_return amqp::result<void>{};
}

void worker_core::consumer::on_ready(amqp::channel&) {
    consuming = true;
    if (!std::all_of(owner.consumers_.begin(), owner.consumers_.end(), [](const auto& c) { return c->consuming; }))
        return;
    owner.started_ = true;
    if (owner.tell_ready) owner.tell_ready();
}

void worker_core::consumer::on_lost(amqp::channel&, const amqp::error& why) {
    consuming = false;
    // What waits here will be delivered again, perhaps to another worker; what is being worked on goes on.
    std::erase_if(owner.waiting_, [&](const request_ptr& r) { return r->state_->from == link; });
    if (!owner.started_ && why.permanent()) return owner.fail_start(why);
    if (why.code == amqp::errc::channel_closed)
        owner.notice(owner.options_.channels[index].in_queue() + ": " + why.text);
}

void worker_core::fail_start(const amqp::error& why) {
    if (!failure_.empty()) return;
    failure_ = why.text;
    cores_.stop();
}

void worker_core::on_connected(const std::string& where) {
    notice("connected to " + where);
}

void worker_core::on_disconnected(const amqp::error& why, std::chrono::milliseconds) {
    if (!started_ && why.permanent()) return fail_start(why);
    notice("broker: " + why.text + "; trying again");
}

void worker_core::take(consumer& from, amqp::channel&, const amqp::delivery& d) {
    auto state = std::make_unique<request::state>();
    state->from = from.link;
    state->id = d.id;
    state->redelivered = d.redelivered;
    state->channel = options_.channels[from.index].name;
    const std::string prefix = state->channel + ".";
    if (d.routing_key.starts_with(prefix)) state->topic = d.routing_key.substr(prefix.size());
    state->client = text_header(d.properties, contract::header_client);
    state->session = text_header(d.properties, contract::header_session);
    state->properties = d.properties;
    state->body = d.body;
    waiting_.push_back(request_ptr(new request(std::move(state))));
    start_work();
}

void worker_core::start_work() {
    while (!waiting_.empty() && !alone_ && working_ < options_.concurrency) {
        // A message that came back may be the one that killed its worker: nothing else is at stake while it runs.
        const bool must_be_alone = waiting_.front()->redelivered();
        if (must_be_alone && working_ > 0) return;
        alone_ = must_be_alone;
        ++working_;
        {
            const std::lock_guard lock(work_mutex_);
            work_.push_back(std::move(waiting_.front()));
        }
        waiting_.pop_front();
        work_there_.notify_one();
    }
}

void worker_core::work_loop() {
    for (;;) {
        request_ptr next;
        {
            std::unique_lock lock(work_mutex_);
            work_there_.wait(lock, [this] { return end_ || !work_.empty(); });
            if (work_.empty()) return;
            next = std::move(work_.front());
            work_.pop_front();
        }
        const bool failed = !handle(*next);
        home_.post([this, done = std::move(next), failed]() mutable { on_worked(std::move(done), failed); });
    }
}

// True: done with, answered or refused.
bool worker_core::handle(request& r) {
    const auto at = std::find_if(consumers_.begin(), consumers_.end(),
                                 [&](const auto& c) { return options_.channels[c->index].name == r.channel(); });
    const auto& handlers = (*at)->handlers;  // not changed while handlers run
    auto work = handlers.find(std::string(r.type()));
    if (work == handlers.end()) work = handlers.find("");
    try {
        if (work == handlers.end()) throw error("unknown_type", "no handler takes this type of message");
        work->second(r);
        return true;
    } catch (const error& refusal) {
        r.reply_error(refusal.code(), refusal.what());
        return true;
    } catch (const std::exception& failure) {
        notice("handler of " + std::string(r.channel()) + " failed on " + std::string(r.message_id()) + ": " +
               failure.what());
        return false;
    } catch (...) {
        notice("handler of " + std::string(r.channel()) + " failed on " + std::string(r.message_id()));
        return false;
    }
}

void worker_core::on_worked(request_ptr done, bool failed) {
    if (failed || done->state_->said.empty()) return finish(std::move(done), !failed);
    publish_said(std::move(done));
}

void worker_core::publish_said(request_ptr done) {
    // The last confirm decides; the request lives until then.
    struct progress {
        request_ptr done;
        std::size_t left;
        bool good = true;
    };
    auto said = std::exchange(done->state_->said, {});
    const auto all = std::make_shared<progress>(progress{std::move(done), said.size()});
    for (auto& one : said)
        publisher_->publish(std::move(one), options_.confirm_timeout, [this, all](amqp::outcome result) {
            // What nobody takes or what can't be encoded would fail in the same way the next time.
            const bool good = result == amqp::outcome::confirmed || result == amqp::outcome::unroutable ||
                              result == amqp::outcome::invalid;
            if (result == amqp::outcome::confirmed) ++counters_.published;
            if (result == amqp::outcome::invalid) notice("a message does not fit AMQP: a topic or type is too long");
            all->good = all->good && good;
            if (--all->left == 0) finish(std::move(all->done), all->good);
        });
}

void worker_core::finish(request_ptr done, bool confirmed) {
    const request::state& state = *done->state_;
    if (confirmed) {
        state.from->ack(state.id);
        ++counters_.handled;
        if (state.refused) ++counters_.refused;
    } else {
        state.from->nack(state.id, true);
        ++counters_.requeued;
    }
    --working_;
    alone_ = false;
    start_work();
}

boost::asio::awaitable<void> worker_core::drain() {
    // First no more work is taken, then what was taken is finished: a message that is returned counts as one more
    // attempt, whoever returned it.
    const steady_time deadline = home_.time().now() + options_.drain_timeout;
    for (auto& one : consumers_) {
        auto cancelled = co_await one->link->call(cancel());
        if (!cancelled) continue;  // not connected: nothing comes from there
    }
    boost::asio::steady_timer pause(home_.context());
    while (working_ + waiting_.size() > 0 && home_.time().now() < deadline) {
        pause.expires_after(std::chrono::milliseconds(5));
        co_await pause.async_wait(boost::asio::use_awaitable);
    }
    co_await consume_.stop();
    co_await publish_.stop();
    cores_.stop();
}

void worker_core::notice(const std::string& text) {
    if (tell_notice) tell_notice(text);
}

}  // namespace foz::service
