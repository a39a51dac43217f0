#include "aggregator/shard/aggregator.hpp"

#include "aggregator/shard/identity.hpp"
#include "contract/topology.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
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
constexpr std::chrono::milliseconds crowd_interval{10'000};
// For those who are closed at the drain's limit to read why.
constexpr std::chrono::milliseconds last_words{1'000};
// For answers to what clients asked when they were leaving: they are given to the other aggregators.
constexpr std::chrono::milliseconds late_answers{3'000};

amqp::client_options publish_options(const settings& all) {
    return {.urls = all.publish_urls,
            .connection_name = all.name + " own",
            .tls = all.broker_tls,
            .content_bytes_max = all.content_bytes_max};
}

amqp::client_options consume_options(const settings& all, const std::string& purpose) {
    return {.urls = all.consume_urls,
            .connection_name = all.name + " " + purpose,
            .tls = all.broker_tls,
            .content_bytes_max = all.content_bytes_max};
}

settings with_topology(settings all) {
    all.topology = std::make_shared<contract::topology_keeper>(contract::make_topology(
        all.channels, all.named_clients ? contract::with_revocations::yes : contract::with_revocations::no));
    return all;
}

std::string limit_of(ws::refusal why) {
    switch (why) {
        case ws::refusal::connections:
            return "the limit of connections";
        case ws::refusal::descriptors:
            return "too few descriptors";
        case ws::refusal::handshakes:
            return "too many TLS handshakes under way (limits.handshakes)";
        case ws::refusal::unread:
            return "too many unread answers (limits.answer_bytes)";
        case ws::refusal::address_connections:
            return "too many from one address (limits.address_connections)";
        case ws::refusal::address_arrivals:
            return "too many a second from one address (limits.address_handshakes)";
        case ws::refusal::proxy_head:
        case ws::refusal::stray_proxy_head:
            break;
    }
    std::unreachable();
}

std::string said_of(const ws::refusal_notice& what) {
    const std::string connections = std::to_string(what.count) + " connections";
    if (what.why == ws::refusal::proxy_head)
        return "closed without a good PROXY header, which listen.proxy_protocol expects, " + connections +
               ", the last one from " + what.from.to_string();
    if (what.why == ws::refusal::stray_proxy_head)
        return "closed for a PROXY header that is not expected, " + connections + ", the last one from " +
               what.from.to_string() + ": is it a proxy that listen.proxy_protocol should name?";
    if (what.why == ws::refusal::unread)
        return "refused for " + limit_of(what.why) + ", " + std::to_string(what.count) + " HTTP requests";
    return "refused for " + limit_of(what.why) + ", " + connections +
           (what.from.is_unspecified() ? "" : ", the last one from " + what.from.to_string());
}

ws::fixed_content read_library(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("can't read " + path);
    return {std::string(std::istreambuf_iterator<char>(in), {}), "text/javascript; charset=utf-8"};
}

}  // namespace

// Brings what one connection to the broker tells of itself and of sick channels to shard 0. The consuming connection's
// tells more.
class aggregator::link_watch final : public amqp::client_events {
public:
    link_watch(aggregator& of, std::string name) : of_(of), name_(std::move(name)) {}

    void on_channel_sick(const std::string& queue, const amqp::error& why, std::chrono::milliseconds) override {
        of_.cores_.at(0).post_control([this, queue, why = why.text] { of_.note_sick(name_, queue, why); });
    }
    void on_channel_recovered(const std::string& queue) override {
        of_.cores_.at(0).post_control([this, queue] { of_.note_recovered(name_, queue); });
    }
    void on_connected(const std::string&) override {
        reason_.reset();
        tell();
    }
    // While nothing changes, attempts come and go without a word.
    void on_disconnected(const amqp::error& why, std::chrono::milliseconds) override {
        if (reason_ == why.text) return;
        reason_ = why.text;
        tell();
    }

private:
    void tell() {
        of_.cores_.at(0).post_control([this, reason = reason_] { of_.note_link(name_, reason); });
    }

    aggregator& of_;
    const std::string name_;
    std::optional<std::string> reason_;  // why it is down
};

amqp::client_events* aggregator::watch_link(std::string name) {
    return watches_.emplace_back(std::make_unique<link_watch>(*this, std::move(name))).get();
}

// What belongs to one shard. Members are destroyed in reverse order: connections before the hub that they know.
struct aggregator::core {
    core(net::shard& home, const settings& all, const front_state& state, older_entries& older,
         other_aggregators& others, amqp::client_events* publishing)
        : way(home, all, older, others, *state.tokens, publishing), port(way, state) {
        way.heed(state.short_of_memory);
    }

    gateway way;
    front port;
    std::unique_ptr<ws::server> server;
};

aggregator::aggregator(net::runtime& cores, settings all, aggregator_events& events)
    : cores_(cores),
      settings_(with_topology(std::move(all))),
      tokens_(settings_, [this] { cores_.at(0).post_control([this] { tell_keys(); }); }),
      events_(events),
      consume_(cores.at(0), consume_options(settings_, "consume"), this),
      streams_(cores.at(0), consume_options(settings_, "streams"), watch_link("streams")),
      own_publish_(cores.at(0), publish_options(settings_), watch_link("own")),
      attached_(settings_.channels.size(), false),
      heard_(settings_.channels.size(), false) {
    if (!settings_.primus_js_file.empty()) front_state_.primus_js = read_library(settings_.primus_js_file);
    if (!settings_.foz_js_file.empty()) front_state_.foz_js = read_library(settings_.foz_js_file);
    front_state_.tokens = &tokens_;
    front_state_.proxies = net::network_list(settings_.proxies);
    front_state_.hosts = ws::host_list(settings_.hosts);
    if (!settings_.web_folder.empty()) front_state_.files = &files_.emplace(settings_.web_folder);
    if (settings_.tls) {
        auto made = net::tls_holder::open(*settings_.tls, cores_.at(0).time().now());
        if (!made) throw std::runtime_error(made.error());
        tls_ = std::move(*made);
    }
    front_state_.shards = cores_.size();
    older_entries& older = *this;
    other_aggregators& others = *this;
    for (unsigned i = 0; i < cores_.size(); ++i)
        cores_state_.push_back(std::make_unique<core>(cores_.at(i), settings_, front_state_, older, others,
                                                      watch_link("publish " + std::to_string(i))));
    open_ports();
    make_feed();
}

aggregator::~aggregator() = default;

ws::server_options aggregator::server_options() {
    ws::server_options options{.listen = {.address = settings_.listen_address, .port = settings_.listen_port}};
    // A session stops filling its socket before that is slow, and goes on when it has drained.
    options.stream.high_watermark_bytes = std::min(options.stream.high_watermark_bytes, settings_.queue_bytes_max / 4);
    options.stream.low_watermark_bytes = options.stream.high_watermark_bytes / 4;
    options.connection.limits.message_bytes_max = settings_.message_bytes_max;
    options.connection.rate_min = settings_.receive_rate_min;
    options.slots = std::make_shared<net::slot_pool>(settings_.connections_max);
    options.addresses = front_state_.addresses = addresses_ =
        std::make_shared<net::address_table>(net::address_limits{.connections_max = settings_.address_connections_max,
                                                                 .arrivals_per_second = settings_.address_arrivals_max},
                                             options.slots);
    options.forwarders = front_state_.proxies;
    options.half_open_max = std::max<std::size_t>(1, settings_.half_open_max / cores_.size());
    options.connection.client_name = settings_.client_name;
    options.handshakes = std::make_shared<net::slot_pool>(settings_.handshakes_max);
    options.unread_bytes_max = settings_.unread_bytes_max;
    options.descriptors_max = settings_.descriptors_max;
    options.proxies = net::network_list(settings_.proxy_protocol);
    options.on_refused = [this](const ws::refusal_notice& what) {
        cores_.at(0).post_control([this, text = said_of(what)] { events_.on_notice(text); });
    };
    options.move = [this](unsigned shard, ws::moved_connection moved) {
        cores_.at(shard).post([to = cores_state_[shard].get(), moved = std::move(moved)]() mutable {
            to->server->adopt(std::move(moved));
        });
    };
    return options;
}

void aggregator::open_ports() {
    ws::server_options options = server_options();
    for (unsigned i = 0; i < cores_.size(); ++i) {
        core& of = *cores_state_[i];
        // With SO_REUSEPORT a second process would share the port without anyone noticing, so it is first asked for
        // alone, unless that is what is wanted.
        if (i == 0 && !settings_.share_port) {
            ws::server_options alone = options;
            alone.listen.reuse_port = false;
            auto probe = ws::server::open(cores_.at(0), of.port, alone);
            if (!probe) throw std::runtime_error(probe.error());
            options.listen.port = (*probe)->port();
        }
        auto opened = ws::server::open(cores_.at(i), of.port, options, tls_);
        if (!opened) throw std::runtime_error(opened.error());
        of.server = std::move(*opened);
        options.listen.port = port_ = of.server->port();
    }
}

void aggregator::make_feed() {
    std::vector<gateway*> gateways;
    for (const auto& one : cores_state_) gateways.push_back(&one->way);
    dispatcher_ = std::make_unique<dispatcher>(cores_, std::move(gateways), settings_,
                                               [this](delivery_ticket upto) { readers_[upto.channel]->settled(upto); });
    feed_sink& sink = *this;
    older_.resize(settings_.channels.size());
    for (std::size_t i = 0; i < settings_.channels.size(); ++i) {
        if (settings_.channels[i].delivery == contract::delivery_kind::durable) {
            amqp::publisher& markers = markers_.emplace_back(own_publish_);
            readers_.push_back(std::make_unique<stream_reader>(streams_, markers, settings_, i, sink));
            older_[i] = std::make_unique<catch_up>(streams_, markers, settings_, i, sink);
        } else {
            readers_.push_back(std::make_unique<volatile_reader>(consume_, settings_, i, sink));
        }
    }
    watch_ = std::make_unique<service_watch>(consume_, settings_, [this](std::size_t channel, bool there) {
        dispatcher_->tell_now([channel, there](hub& home) { home.set_service(channel, there); });
    });
    notices_ = std::make_unique<dead_notices>(consume_, own_publish_, settings_);
    peers_listener& listener = *this;
    peers_ = std::make_unique<peers>(consume_, own_publish_, settings_, listener);
    control_ = std::make_unique<control>(own_publish_, settings_);
    make_door();
    if (!settings_.named_clients) return;
    revocation_listener& revoked = *this;
    revoked_ = std::make_unique<revoked_reader>(streams_, own_publish_, settings_, revoked);
}

void aggregator::make_door() {
    if (settings_.connect.channel.empty()) return;
    connect_service::listener tell;
    tell.on_ready = [this] { judge_readiness(); };
    tell.on_lost = [this](const amqp::error& why) {
        if (!started_ && why.permanent()) events_.on_start_failed(why.text);
    };
    tell.on_notice = [this](const std::string& text) { events_.on_notice(text); };
    door_ = std::make_unique<connect_service>(consume_, own_publish_, settings_, tokens_, std::move(tell));
    front_state_.door = door_.get();
}

// Limits for each address, and logs, are worth nothing when everybody comes from a proxy's.
void aggregator::look_for_crowd() {
    if (const auto found = addresses_->find_crowd())
        events_.on_notice("nearly all connections come from " + found->address + ", " +
                          std::to_string(found->connections) + " of " + std::to_string(found->all) +
                          ": if that is a proxy, name it in listen.proxies (or in listen.proxy_protocol), so that "
                          "limits count its clients");
    crowd_timer_.start(cores_.at(0).wheel(), crowd_interval);
}

// Once when an issuer's keys can't be fetched, and once when they can be again. Those that were there stay in use.
void aggregator::tell_keys() {
    const auto states = tokens_.keys();
    key_failures_.resize(states.size());
    for (std::size_t i = 0; i < states.size(); ++i) {
        const std::string before = std::exchange(key_failures_[i], states[i].last_failure);
        if (before == key_failures_[i]) continue;
        events_.on_notice("issuer " + states[i].issuer +
                          (key_failures_[i].empty() ? ": its keys can be read again"
                                                    : ": its keys can't be read, " + std::to_string(states[i].keys) +
                                                          " from before stay in use: " + key_failures_[i]));
    }
}

void aggregator::start() {
    crowd_timer_.start(cores_.at(0).wheel(), crowd_interval);
    consume_.start();
    streams_.start();
    own_publish_.start();
    look_at_memory();
    for (auto& one : cores_state_) one->way.home().post([&way = one->way] { way.start(); });
}

void aggregator::for_each_core(const std::function<void(gateway&, const ws::server&)>& work) {
    for (auto& one : cores_state_) one->way.home().post_control([&one = *one, work] { work(one.way, *one.server); });
}

void aggregator::disconnect(disconnect_order what, std::function<void(std::size_t)> done) {
    struct gathering {
        const disconnect_order order;
        const std::function<void(std::size_t)> done;
        std::size_t missing;  // the last two are shard 0's
        std::size_t closed = 0;
    };
    const auto all = std::make_shared<gathering>(std::move(what), std::move(done), cores_.size());
    for_each_core([&first = cores_.at(0), all](gateway& way, const ws::server&) {
        first.post_control([all, closed = way.sessions().disconnect(all->order)] {
            all->closed += closed;
            if (--all->missing == 0) all->done(all->closed);
        });
    });
}

void aggregator::on_told(told_message what) {
    gateway& way = cores_state_[shard_of(what.client, cores_.size())]->way;
    way.home().post([&way, what = std::move(what)] {
        way.sessions().told_elsewhere(what.client,
                                      told_answer::of({.request_id = what.request, .device = what.device}, what.json));
    });
}

void aggregator::on_revocation(const contract::revocation& what) {
    ++counters_.revocations;
    for (auto& one : cores_state_)
        one->way.home().post([this, &way = one->way, what] {
            if (way.sessions().revoke(what)) return;
            cores_.at(0).post_control(
                [this] { events_.on_notice("there are too many revocations: further ones have no effect"); });
        });
}

// However many there are, few lines are written.
void aggregator::on_revocation_not_trusted(const std::string& user) {
    if (!std::has_single_bit(++counters_.revocations_not_trusted)) return;
    events_.on_notice("an entry of the stream " + std::string(contract::revoked_stream) +
                      " is passed over: it is from " +
                      (user.empty() ? "nobody in particular" : "the user '" + user + "'") +
                      " of the broker, who may not revoke (broker.revokers)");
}

void aggregator::on_revocations_known() {
    // Behind them on every shard.
    auto left = std::make_shared<unsigned>(cores_.size());
    for (auto& one : cores_state_)
        one->way.home().post([this, left] {
            cores_.at(0).post([this, left] {
                if (--*left > 0) return;
                revocations_known_ = true;
                judge_readiness();
            });
        });
}

void aggregator::drain(grace first) {
    const auto wait = first == grace::as_set ? settings_.drain_grace : std::chrono::milliseconds(0);
    boost::asio::co_spawn(cores_.at(0).context(), drain_and_stop(wait), boost::asio::detached);
}

boost::asio::awaitable<void> aggregator::drain_and_stop(std::chrono::milliseconds wait) {
    const steady_time limit = cores_.at(0).time().now() + std::max(settings_.drain_limit, wait);
    front_state_.stopping = true;
    boost::asio::steady_timer pause(cores_.at(0).context(), wait);
    co_await pause.async_wait(boost::asio::use_awaitable);
    front_state_.closed = true;
    for (auto& one : cores_state_)
        one->way.home().post_control([&one = *one] {
            one.server->stop_accepting();
            one.way.sessions().drain();
        });
    std::size_t left = co_await until_idle(limit);
    if (left > 0) {
        events_.on_notice("the drain's limit is over: " + std::to_string(left) + " clients are closed all the same");
        for (auto& one : cores_state_) one->way.home().post_control([&one = *one] { one.way.sessions().end_drain(); });
        left = co_await until_idle(cores_.at(0).time().now() + last_words);
    }
    // Otherwise somebody else says what has become of our sessions.
    if (left == 0) peers_->leave();
    const steady_time end = cores_.at(0).time().now() + last_words;
    while (peers_->pending() > 0 && cores_.at(0).time().now() < end) {
        pause.expires_after(look_again);
        co_await pause.async_wait(boost::asio::use_awaitable);
    }
    co_await stop_all();
    cores_.stop();
}

boost::asio::awaitable<void> aggregator::stop_all() {
    boost::asio::steady_timer pause(cores_.at(0).context());
    co_await consume_.stop();
    co_await streams_.stop();
    co_await own_publish_.stop();
    std::atomic<unsigned> stopped = 0;
    for (auto& one : cores_state_)
        one->way.home().post([&one = *one, &stopped] {
            boost::asio::co_spawn(one.way.home().context(), one.way.stop(),
                                  [&stopped](std::exception_ptr) { ++stopped; });
        });
    while (stopped < cores_state_.size()) {
        pause.expires_after(look_again);
        co_await pause.async_wait(boost::asio::use_awaitable);
    }
}

// Until nothing is in flight on any shard, or so long: then how many sessions are left.
boost::asio::awaitable<std::size_t> aggregator::until_idle(steady_time deadline) {
    std::atomic<std::size_t> sessions = 0, unconfirmed = 0, awaited = 0;
    std::optional<steady_time> alone_since;
    boost::asio::steady_timer pause(cores_.at(0).context());
    for (;;) {
        unsigned answers = 0;
        sessions = unconfirmed = awaited = 0;
        for (auto& one : cores_state_)
            one->way.home().post([&one = *one, &home = cores_.at(0), &sessions, &unconfirmed, &awaited, &answers] {
                sessions += one.way.sessions().sessions();
                unconfirmed += one.way.unconfirmed();
                awaited += one.way.sessions().answers_awaited();
                // Behind everything that the shard has told this one before.
                home.post([&answers] { ++answers; });
            });
        while (answers < cores_state_.size()) {
            pause.expires_after(look_again);
            co_await pause.async_wait(boost::asio::use_awaitable);
        }
        const steady_time now = cores_.at(0).time().now();
        if (now >= deadline) co_return sessions.load();
        if (sessions > 0 || unconfirmed > 0) {
            alone_since.reset();
        } else if (awaited == 0 || now - alone_since.value_or(now) >= late_answers) {
            co_return 0;
        } else if (!alone_since) {
            alone_since = now;
        }
        pause.expires_after(look_again);
        co_await pause.async_wait(boost::asio::use_awaitable);
    }
}

}  // namespace foz::aggregator
