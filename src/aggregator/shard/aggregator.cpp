#include "aggregator/shard/aggregator.hpp"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foz::aggregator {
namespace {

constexpr std::chrono::milliseconds look_again{20};

amqp::client_options publish_options(const settings& all) {
    return {.urls = all.publish_urls, .connection_name = all.name + " own", .tls = all.broker_tls};
}

amqp::client_options consume_options(const settings& all, const std::string& purpose) {
    return {.urls = all.consume_urls, .connection_name = all.name + " " + purpose, .tls = all.broker_tls};
}

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("can't read " + path);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

// What belongs to one shard. Members are destroyed in reverse order: connections before the hub that they know.
struct aggregator::core {
    core(net::shard& home, const settings& all, const front_state& state, hub::catch_up_port older)
        : sockets(home, all, std::move(older)), port(sockets, state) {}

    hub sockets;
    front port;
    std::unique_ptr<ws::server> server;
};

aggregator::aggregator(net::runtime& cores, settings all, aggregator_events& events)
    : cores_(cores),
      settings_(std::move(all)),
      events_(events),
      consume_(cores.at(0), consume_options(settings_, "consume"), this),
      streams_(cores.at(0), consume_options(settings_, "streams")),
      own_publish_(cores.at(0), publish_options(settings_)),
      markers_(own_publish_),
      attached_(settings_.channels.size(), false) {
    if (!settings_.primus_js_file.empty()) front_state_.primus_js = read_file(settings_.primus_js_file);
    if (!settings_.foz_js_file.empty()) front_state_.foz_js = read_file(settings_.foz_js_file);
    if (settings_.tls) {
        auto context = net::make_tls_context(*settings_.tls);
        if (!context) throw std::runtime_error(context.error());
        tls_ = std::move(*context);
    }
    ws::server_options options{.listen = {.address = settings_.listen_address, .port = settings_.listen_port}};
    options.connection.limits.message_bytes_max = settings_.message_bytes_max;
    options.slots = std::make_shared<net::slot_pool>(settings_.connections_max);
    options.descriptors_max = settings_.descriptors_max;
    options.on_refused = [this](ws::refusal why, std::uint64_t count) {
        const char* const limit = why == ws::refusal::connections ? "the limit of connections" : "too few descriptors";
        cores_.at(0).post_control([this, text = "refused for " + std::string(limit) + ", " + std::to_string(count) +
                                                " connections"] { events_.on_notice(text); });
    };
    options.move = [this](unsigned shard, net::detached_stream moved) {
        cores_.at(shard).post([to = cores_state_[shard].get(), moved = std::move(moved)]() mutable {
            to->server->adopt(std::move(moved));
        });
    };
    front_state_.shards = cores_.size();
    for (unsigned i = 0; i < cores_.size(); ++i) {
        auto& made = cores_state_.emplace_back(std::make_unique<core>(
            cores_.at(i), settings_, front_state_,
            [this](const catch_up_job& job) { cores_.at(0).post([this, job] { older_[job.channel]->add(job); }); }));
        // With SO_REUSEPORT a second process would share the port without anyone noticing, so it is first asked for
        // alone.
        if (i == 0) {
            ws::server_options alone = options;
            alone.listen.reuse_port = false;
            auto probe = ws::server::open(cores_.at(0), made->port, alone);
            if (!probe) throw std::runtime_error(probe.error());
            options.listen.port = port_ = (*probe)->port();
        }
        auto opened = ws::server::open(cores_.at(i), made->port, options, tls_ ? &*tls_ : nullptr);
        if (!opened) throw std::runtime_error(opened.error());
        made->server = std::move(*opened);
    }
    reader_sink& sink = *this;
    older_.resize(settings_.channels.size());
    for (std::size_t i = 0; i < settings_.channels.size(); ++i) {
        if (settings_.channels[i].delivery == contract::delivery_kind::durable) {
            readers_.push_back(std::make_unique<stream_reader>(streams_, markers_, settings_, i, sink));
            older_[i] = std::make_unique<catch_up>(streams_, settings_, i);
        } else {
            readers_.push_back(std::make_unique<volatile_reader>(consume_, settings_, i, sink));
        }
    }
    watch_ = std::make_unique<service_watch>(consume_, settings_, [this](std::size_t channel, bool there) {
        for_each_hub([channel, there](hub& home) { home.set_service(channel, there); });
    });
    notices_ = std::make_unique<dead_notices>(consume_, own_publish_, settings_);
}

aggregator::~aggregator() = default;

void aggregator::start() {
    consume_.start();
    streams_.start();
    own_publish_.start();
    for_each_hub([](hub& home) { home.start(); });
}

void aggregator::for_each_hub(const std::function<void(hub&)>& work) {
    for (auto& one : cores_state_) one->sockets.home().post([&home = one->sockets, work] { work(home); });
}

void aggregator::for_each_core(const std::function<void(hub&, const ws::server&)>& work) {
    for (auto& one : cores_state_) one->sockets.home().post([&one = *one, work] { work(one.sockets, *one.server); });
}

void aggregator::on_outbound(std::size_t channel, const amqp::delivery& message, std::optional<std::uint64_t> offset) {
    ++counters_.outbound;
    const auto& config = settings_.channels[channel];
    auto made = decode(message,
                       {.channel = channel,
                        .channel_name = config.name,
                        .durable = config.delivery == contract::delivery_kind::durable,
                        .not_json = config.not_json,
                        .offset = offset},
                       cores_.at(0).time().wall_now());
    if (made.dropped) {
        ++counters_.dropped[static_cast<std::size_t>(*made.dropped)];
        if (const auto why = to_text(*made.dropped); !why.empty())
            events_.on_notice("dropped: " + std::string(why) + ", on channel " + config.name + ", message id " +
                              message.properties.message_id.value_or("-"));
        if (!offset && !made.message.answer) return;  // what has a place in a stream keeps it
    }
    // Crosses to each core once, whatever the number of receivers there.
    const auto shared = std::make_shared<const entry>(std::move(made.message));
    for (auto& one : cores_state_) one->sockets.home().post([&home = one->sockets, shared] { home.dispatch(shared); });
}

void aggregator::on_attached(std::size_t channel, const std::string& reply_queue) {
    for_each_hub([channel, reply_queue](hub& home) { home.set_reply_queue(channel, reply_queue); });
    attached_[channel] = true;
    if (front_state_.ready || std::find(attached_.begin(), attached_.end(), false) != attached_.end()) return;
    front_state_.ready = true;
    last_problem_.clear();
    events_.on_ready();
}

void aggregator::on_detached(std::size_t channel, const amqp::error& why) {
    const auto& config = settings_.channels[channel];
    if (config.delivery == contract::delivery_kind::volatile_)
        for_each_hub([channel](hub& home) { home.interrupt(channel); });
    if (!front_state_.ready && why.permanent()) return events_.on_start_failed(why.text);
    if (why.code == amqp::errc::channel_closed) events_.on_notice("channel " + config.name + ": " + why.text);
}

void aggregator::on_gap(std::size_t channel, envelope::gap_cause cause) {
    ++counters_.gaps;
    events_.on_notice("gap: the stream of channel " + settings_.channels[channel].name +
                      (cause == envelope::gap_cause::recreated ? " was made anew" : " has lost entries"));
    for_each_hub([channel, cause](hub& home) { home.gap(channel, cause); });
}

void aggregator::on_connected(const std::string& where) {
    last_problem_.clear();
    events_.on_notice("connected to " + where);
}

void aggregator::on_disconnected(const amqp::error& why, std::chrono::milliseconds) {
    if (!front_state_.ready && why.permanent()) return events_.on_start_failed(why.text);
    if (std::exchange(last_problem_, why.text) != why.text) events_.on_notice("broker: " + why.text + "; trying again");
}

void aggregator::on_blocked(bool blocked, const std::string& reason) {
    events_.on_notice(blocked ? "the broker takes no messages: " + reason : "the broker takes messages again");
}

void aggregator::drain(std::chrono::milliseconds within) {
    boost::asio::co_spawn(cores_.at(0).context(), drain_and_stop(within), boost::asio::detached);
}

boost::asio::awaitable<void> aggregator::drain_and_stop(std::chrono::milliseconds within) {
    std::atomic<unsigned> busy = 0;
    const steady_time deadline = cores_.at(0).time().now() + within;
    boost::asio::steady_timer pause(cores_.at(0).context());
    for (auto& one : cores_state_)
        one->sockets.home().post([&one = *one] {
            one.server->stop_accepting();
            one.sockets.drain();
        });
    do {
        // Each shard says whether something is still in flight there.
        std::atomic<unsigned> answers = 0;
        busy = 0;
        for (auto& one : cores_state_)
            one->sockets.home().post([&one = *one, &busy, &answers] {
                if (one.sockets.sessions() > 0 || one.sockets.unconfirmed() > 0) ++busy;
                ++answers;
            });
        while (answers < cores_state_.size()) {
            pause.expires_after(look_again);
            co_await pause.async_wait(boost::asio::use_awaitable);
        }
    } while (busy > 0 && cores_.at(0).time().now() < deadline);

    co_await consume_.stop();
    co_await streams_.stop();
    co_await own_publish_.stop();
    std::atomic<unsigned> stopped = 0;
    for (auto& one : cores_state_)
        one->sockets.home().post([&one = *one, &stopped] {
            boost::asio::co_spawn(one.sockets.home().context(), one.sockets.stop(),
                                  [&stopped](std::exception_ptr) { ++stopped; });
        });
    while (stopped < cores_state_.size()) {
        pause.expires_after(look_again);
        co_await pause.async_wait(boost::asio::use_awaitable);
    }
    cores_.stop();
}

}  // namespace foz::aggregator
