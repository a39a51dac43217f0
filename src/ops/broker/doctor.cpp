#include "ops/broker/doctor.hpp"

#include "contract/names.hpp"
#include "contract/topology.hpp"
#include "net/listener.hpp"
#include "ops/broker/probe.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <utility>

#include <boost/asio/ip/tcp.hpp>

namespace foz::ops {
namespace {

std::string property(const amqp::table& of, std::string_view name) {
    return std::string(amqp::as_string(of.find(name)).value_or(""));
}

std::string count_of(std::uint32_t number, const std::string& what) {
    return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

// 3.10 of "3.10.8" as 310; 0 when it is no version.
unsigned release_of(const std::string& version) {
    unsigned major = 0, minor = 0;
    const char* const end = version.data() + version.size();
    const auto [at, error] = std::from_chars(version.data(), end, major);
    if (error != std::errc() || at == end || *at != '.') return 0;
    std::from_chars(at + 1, end, minor);
    return major * 100 + minor;
}

// Why a connection failed, and what to do about it.
std::string advice(const amqp::error& why, const amqp::url& where) {
    if (why.reply_code == 403)
        return where.user == "guest" ? "user or password is wrong; RabbitMQ lets guest in only from its own machine"
                                     : "user or password is wrong";
    if (why.reply_code == 530) return "the virtual host does not exist, or the user may not use it";
    const auto says = [&](std::string_view part) { return why.text.find(part) != std::string::npos; };
    if (says("resolve:")) return "the name is unknown here: is it spelled right?";
    if (says("Connection refused")) return "nothing listens there: does the broker run, is the port right?";
    if (says("timed out")) return "no answer: a firewall, or another machine?";
    if (says("TLS handshake"))
        return "TLS fails: is it an amqps port, is broker.ca the CA that signed its certificate?";
    return "no AMQP 0-9-1 there?";
}

class examination {
public:
    examination(net::shard& home, const configuration& all, tell_check tell)
        : home_(home), all_(all), tell_(std::move(tell)) {}

    asio::awaitable<void> run() {
        std::vector<amqp::url> urls = all_.server.consume_urls;
        for (const amqp::url& one : all_.server.publish_urls)
            if (std::find(urls.begin(), urls.end(), one) == urls.end()) urls.push_back(one);
        bool looked = false;
        for (const amqp::url& where : urls) {
            probe broker(home_, where, all_.server.broker_tls);
            const bool open = co_await meet(broker, where);
            // The URLs of a list are the nodes of one cluster: the first that answers speaks for all. Publishing may
            // have a cluster of its own.
            const bool publishes_only = std::find(all_.server.consume_urls.begin(), all_.server.consume_urls.end(),
                                                  where) == all_.server.consume_urls.end();
            if (open && (!looked || publishes_only)) co_await look(broker, where);
            looked |= open;
            co_await broker.close();
        }
        if (looked)
            tell_(verdict::note,
                  "consumer_timeout can't be read over AMQP: RabbitMQ closes the channel of a service that works on a "
                  "message for longer (30 minutes, unless rabbitmq.conf says otherwise)");
        look_at_port("clients' port", {all_.server.listen_address, all_.server.listen_port});
        if (!all_.admin.listen.empty()) look_at_port("admin port", *parse_endpoint(all_.admin.listen));
        look_at_files();
    }

private:
    asio::awaitable<bool> meet(probe& broker, const amqp::url& where) {
        const std::string name = where.redacted();
        auto opened = co_await broker.open();
        if (!opened) {
            tell_(verdict::bad, name + ": " + advice(opened.error(), where) + " (" + opened.error().text + ")");
            co_return false;
        }
        tell_(verdict::good, name + ": connects, user " + where.user + " may use virtual host " + where.vhost);
        if (where.tls && where.verify == false)
            tell_(verdict::note, name +
                                     ": verify_none: the certificate is not checked, so anyone who can answer there "
                                     "receives the password");
        tell_version(broker.server_properties());
        co_return true;
    }

    void tell_version(const amqp::table& broker) {
        const std::string product = property(broker, "product");
        const std::string version = property(broker, "version");
        const std::string name = "broker: " + product + " " + version;
        const unsigned release = release_of(version);
        if (product == "Foz") return tell_(verdict::good, name + ", the embedded one: a single node");
        if (product != "RabbitMQ")
            return tell_(verdict::note,
                         name + ": foz is tested with RabbitMQ 3.10 to 4.x; streams and quorum queues are needed");
        if (release < 310)
            return tell_(verdict::bad, name + " is too old: 3.10 to 4.x are known to work (dead letters need 3.10)");
        if (release >= 500) return tell_(verdict::note, name + " is newer than what is known to work, 3.10 to 4.x");
        tell_(verdict::good, name + ", of the known range 3.10 to 4.x");
        if (release < 400) return;
        tell_(verdict::note, name + ": messages have at most 16 MiB unless max_message_size says otherwise");
        for (const auto& channel : all_.server.channels)
            if (channel.delivery_limit < 0)
                tell_(verdict::note,
                      "channel " + channel.name +
                          ": redeliver = \"unlimited\" is 20 on RabbitMQ 4 unless a policy says otherwise");
    }

    // What is to be declared, as far as it is there.
    asio::awaitable<void> look(probe& broker, const amqp::url& where) {
        const auto all =
            contract::make_topology(all_.server.channels, all_.server.named_clients ? contract::with_revocations::yes
                                                                                    : contract::with_revocations::no);
        bool inbound = false;
        for (const auto& exchange : all.exchanges) {
            amqp::exchange_declare passive = exchange;
            passive.passive = true;
            auto there = co_await broker.call(std::move(passive));
            if (exchange.exchange == contract::inbound_exchange) inbound = there.has_value();
            co_await compare(broker, "exchange " + exchange.exchange, exchange, there);
        }
        for (const auto& queue : all.queues) {
            amqp::queue_declare passive = queue;
            passive.passive = true;
            auto there = co_await broker.call(std::move(passive));
            co_await compare(broker, "queue " + queue.queue, queue, there);
            if (there) tell_use(*there);
        }
        co_await look_at_permissions(broker, where, inbound);
    }

    // Declares what is there again: the broker compares the arguments.
    template <class Declare, class There>
    asio::awaitable<void> compare(probe& broker, std::string what, Declare declare, There there) {
        if (!there) {
            const bool missing = there.error().reply_code == 404;
            tell_(missing ? verdict::good : verdict::bad,
                  what + (missing ? ": not there yet; foz serve or foz topology apply makes it"
                                  : ": " + there.error().text));
            co_return;
        }
        auto again = co_await broker.call(std::move(declare));
        if (again) {
            tell_(verdict::good, what + ": there, with fitting arguments");
            co_return;
        }
        const std::uint16_t code = again.error().reply_code;
        // Whoever runs foz serve need not be whoever declares.
        if (code == 403) {
            tell_(verdict::note, what + ": there; this user may not declare it, so its arguments were not compared");
            co_return;
        }
        tell_(verdict::bad, what + (code == 406 ? ": there, with other arguments" : ": can't be declared") + " (" +
                                again.error().text + ")");
    }

    void tell_use(const amqp::queue_declare_ok& queue) {
        if (queue.queue == contract::dead_queue && queue.message_count > 0)
            tell_(verdict::note, count_of(queue.message_count, "dead letter") +
                                     (queue.message_count == 1 ? " waits in " : " wait in ") + queue.queue);
        for (const auto& channel : all_.server.channels) {
            if (channel.in_queue() != queue.queue) continue;
            if (queue.consumer_count > 0) {
                tell_(verdict::good, "channel " + channel.name + ": " + count_of(queue.consumer_count, "consumer") +
                                         ", " + count_of(queue.message_count, "message") + " in the queue");
            } else {
                tell_(verdict::note, "channel " + channel.name + ": no service consumes " + queue.queue +
                                         "; requests are refused after " +
                                         std::to_string(channel.no_service_after.count()) + " ms");
            }
        }
    }

    asio::awaitable<void> look_at_permissions(probe& broker, const amqp::url& where, bool inbound) {
        const std::string user = "permissions of " + where.user + ": ";
        amqp::queue_declare own;
        // A name as foz serve uses it: no other one may be declared with what `foz topology grant` prints.
        own.queue = std::string(contract::internal_exchange) + "." + home_.random().token();
        own.exclusive = true;
        own.auto_delete = true;
        auto declared = co_await broker.call(own);
        tell_(declared ? verdict::good : verdict::bad,
              user + (declared ? "may declare queues" : "may not declare queues (" + declared.error().text + ")"));
        if (declared) {
            amqp::basic_consume consume;
            consume.queue = own.queue;
            auto consumed = co_await broker.call(std::move(consume));
            tell_(consumed ? verdict::good : verdict::bad,
                  user + (consumed ? "may consume" : "may not consume (" + consumed.error().text + ")"));
        }
        if (!inbound) co_return;
        // No binding of foz's takes an empty routing key: the message comes back.
        auto published = co_await broker.publish(std::string(contract::inbound_exchange), "");
        tell_(published ? verdict::good : verdict::bad,
              user + (published ? "may publish to INBOUND"
                                : "may not publish to INBOUND (" + published.error().text + ")"));
    }

    void look_at_port(const std::string& what, const endpoint& where) {
        if (where.port == 0) return tell_(verdict::good, what + ": the kernel will choose one");
        const std::string name = what + " " + std::to_string(where.port);
        auto opened = net::listener::open(home_, {.address = where.address, .port = where.port, .reuse_port = false},
                                          [](net::tcp::socket) {});
        if (opened) return tell_(verdict::good, name + ": free");
        // A foz that runs already is no failure of its own.
        net::tcp::iostream socket;
        socket.expires_after(std::chrono::seconds(2));
        socket.connect(net::tcp::endpoint(boost::asio::ip::make_address(where.address), where.port));
        socket << "GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n" << std::flush;
        std::string answer;
        std::getline(socket, answer);
        const bool http = answer.starts_with("HTTP/1.");
        tell_(http ? verdict::note : verdict::bad,
              name + (http ? ": taken; an HTTP server answers there: foz itself?" : ": " + opened.error()));
    }

    void look_at_files() {
        const aggregator::settings& server = all_.server;
        // That the paths exist was checked when the configuration was read.
        if (server.primus_js_file.empty()) {
            tell_(verdict::note, "web.primus_js is not set: browsers won't find /primus/primus.js here");
        } else {
            tell_(verdict::good, "client library: " + server.primus_js_file);
        }
        if (server.web_folder.empty()) return;
        const bool index = std::filesystem::exists(server.web_folder + "/index.html");
        tell_(index ? verdict::good : verdict::note,
              "web folder: " + server.web_folder + (index ? "" : " has no index.html"));
    }

    net::shard& home_;
    const configuration& all_;
    const tell_check tell_;
};

}  // namespace

boost::asio::awaitable<void> examine(net::shard& home, const configuration& all, tell_check tell) {
    examination what(home, all, std::move(tell));
    co_await what.run();
}

}  // namespace foz::ops
