#include "load.hpp"

#include "amqp/codec/encode.hpp"
#include "peers.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>
#include <sys/epoll.h>
#include <thread>
#include <unistd.h>
#include <unordered_map>

namespace foz::bench {
namespace {

constexpr double patience = 30;          // seconds in which nothing moves
constexpr double memory_interval = 0.1;  // seconds
constexpr std::uint64_t chunk_octets = 128 << 10;

void declare(client& on, const load_options& options, const std::string& queue) {
    amqp::queue_declare wish;
    wish.queue = queue;
    wish.durable = options.durable;
    if (!options.queue_type.empty()) wish.arguments.set("x-queue-type", options.queue_type);
    if (options.queue_type == "stream") {
        wish.arguments.set("x-max-length-bytes", std::int64_t{1} << 30);
        wish.arguments.set("x-stream-max-segment-size-bytes", std::int64_t{50'000'000});
    }
    on.call_for<amqp::queue_declare_ok>(wish);
}

std::string encode_message(const load_options& options, std::uint32_t frame_max, const amqp::basic_publish& target) {
    amqp::basic_properties properties;
    properties.delivery_mode = options.persistent ? std::uint8_t{2} : std::uint8_t{1};
    std::string octets;
    const std::string body(options.size, 'x');
    if (!amqp::encode_content(octets, {.channel = client::channel, .frame_max = frame_max}, target, properties, body))
        throw std::runtime_error("a message can't be encoded");
    return octets;
}

class load {
public:
    explicit load(const load_options& options);
    ~load();
    load_result run();

private:
    std::string queue(unsigned index) const { return options_.name + "-" + std::to_string(index); }
    void add_consumers();
    void add_publishers();
    void watch(int socket, std::uint32_t events, int operation) const;
    bool pump();
    void turn();
    void look(double now);
    bool done(double now) const;
    std::uint64_t published() const;
    std::uint64_t delivered() const;
    std::uint64_t delivered_to_all() const;
    load_result snapshot() const;

    const load_options options_;
    client control_;
    int epoll_ = -1;
    std::vector<std::unique_ptr<publisher>> publishers_;
    std::vector<std::unique_ptr<consumer>> consumers_;
    std::unordered_map<int, publisher*> publisher_of_;
    std::unordered_map<int, consumer*> consumer_of_;
    std::uint64_t chunk_ = 1;
    double begun_ = 0;
    double next_memory_ = 0;
    double moved_at_ = 0;
    std::uint64_t moved_ = 0;
    process_memory memory_max_;
};

load::load(const load_options& options) : options_(options), control_(options.server), epoll_(epoll_create1(0)) {
    for (unsigned i = 0; i < options_.queues; ++i) declare(control_, options_, queue(i));
    if (options_.fanout) {
        amqp::exchange_declare exchange;
        exchange.exchange = options_.name;
        exchange.type = "fanout";
        exchange.durable = options_.durable;
        control_.call_for<amqp::exchange_declare_ok>(exchange);
        for (unsigned i = 0; i < options_.queues; ++i) {
            amqp::queue_bind bind;
            bind.queue = queue(i);
            bind.exchange = options_.name;
            control_.call_for<amqp::queue_bind_ok>(bind);
        }
    }
    add_consumers();
    add_publishers();
}

load::~load() {
    try {
        publishers_.clear();
        consumers_.clear();
        for (unsigned i = 0; i < options_.queues && !options_.keep; ++i) {
            amqp::queue_delete gone;
            gone.queue = queue(i);
            control_.call(gone);
        }
        if (options_.fanout && !options_.keep) {
            amqp::exchange_delete gone;
            gone.exchange = options_.name;
            control_.call(gone);
        }
    } catch (const std::runtime_error&) {  // the result is what counts, or why there is none
    }
    ::close(epoll_);
}

void load::add_consumers() {
    for (unsigned i = 0; i < options_.consumers; ++i) {
        client connection(options_.server);
        if (!options_.no_ack) {
            amqp::basic_qos qos;
            qos.prefetch_count = options_.prefetch;
            connection.call_for<amqp::basic_qos_ok>(qos);
        }
        amqp::basic_consume consume;
        consume.queue = queue(i % options_.queues);
        consume.no_ack = options_.no_ack;
        if (options_.queue_type == "stream") consume.arguments.set("x-stream-offset", "next");
        connection.call_for<amqp::basic_consume_ok>(consume);
        auto made = std::make_unique<consumer>(std::move(connection), options_.no_ack ? 0 : options_.ack_every);
        watch(made->socket(), EPOLLIN, EPOLL_CTL_ADD);
        consumer_of_.emplace(made->socket(), made.get());
        consumers_.push_back(std::move(made));
    }
}

void load::add_publishers() {
    for (unsigned i = 0; i < options_.publishers; ++i) {
        client connection(options_.server);
        if (options_.confirms) connection.call_for<amqp::confirm_select_ok>(amqp::confirm_select{});
        amqp::basic_publish target;
        if (options_.fanout)
            target.exchange = options_.name;
        else
            target.routing_key = queue(i % options_.queues);
        const std::string message = encode_message(options_, connection.frame_max(), target);
        chunk_ = std::max<std::uint64_t>(1, chunk_octets / message.size());
        auto made = std::make_unique<publisher>(std::move(connection), message);
        watch(made->socket(), EPOLLIN, EPOLL_CTL_ADD);
        publisher_of_.emplace(made->socket(), made.get());
        publishers_.push_back(std::move(made));
    }
}

void load::watch(int socket, std::uint32_t events, int operation) const {
    epoll_event wish{};
    wish.events = events;
    wish.data.fd = socket;
    epoll_ctl(epoll_, operation, socket, &wish);
}

std::uint64_t load::published() const {
    std::uint64_t sum = 0;
    for (const auto& one : publishers_) sum += one->published();
    return sum;
}

std::uint64_t load::delivered() const {
    std::uint64_t sum = 0;
    for (const auto& one : consumers_) sum += one->delivered();
    return sum;
}

// Messages that everyone who gets them has.
std::uint64_t load::delivered_to_all() const {
    if (!options_.fanout && options_.queue_type != "stream") return delivered();
    std::uint64_t least = ~std::uint64_t{0};
    for (const auto& one : consumers_) least = std::min(least, one->delivered());
    return least;
}

// True when there is more to write and someone who could.
bool load::pump() {
    std::uint64_t left = ~std::uint64_t{0};
    if (options_.window != 0 && !consumers_.empty()) {
        const std::uint64_t flying = published() - delivered_to_all();
        left = options_.window - std::min(options_.window, flying);
    }
    if (options_.count != 0) left = std::min(left, options_.count - std::min(options_.count, published()));
    bool more = false;
    for (const auto& one : publishers_) {
        if (left == 0) return false;
        if (!one->writable) continue;
        std::uint64_t most = std::min(left, chunk_);
        if (options_.confirms)
            most = std::min(most, options_.confirm_window - std::min(options_.confirm_window, one->unconfirmed()));
        if (most == 0) continue;
        left -= std::min(left, one->pump(most));
        if (one->writable)
            more = true;
        else
            watch(one->socket(), EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    }
    return more && left > 0;
}

void load::turn() {
    const bool more = pump();
    std::array<epoll_event, 64> events;
    const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), more ? 0 : 10);
    for (int i = 0; i < ready; ++i) {
        const int socket = events[static_cast<std::size_t>(i)].data.fd;
        const std::uint32_t what = events[static_cast<std::size_t>(i)].events;
        if (const auto at = consumer_of_.find(socket); at != consumer_of_.end()) {
            at->second->receive();
            continue;
        }
        publisher& one = *publisher_of_.at(socket);
        if ((what & EPOLLOUT) != 0) {
            one.writable = true;
            watch(socket, EPOLLIN, EPOLL_CTL_MOD);
        }
        if ((what & ~std::uint32_t{EPOLLOUT}) != 0) one.receive();
    }
}

void load::look(double now) {
    std::uint64_t moved = published() + delivered();
    for (const auto& one : publishers_) moved += one->confirmed() + one->refused();
    if (std::exchange(moved_, moved) != moved) moved_at_ = now;
    if (now - moved_at_ > patience) throw std::runtime_error("nothing moves any more");
    if (now < next_memory_) return;
    next_memory_ = now + memory_interval;
    const process_memory memory = memory_of(options_.server_pid);
    memory_max_.resident_kb = std::max(memory_max_.resident_kb, memory.resident_kb);
    memory_max_.anonymous_kb = std::max(memory_max_.anonymous_kb, memory.anonymous_kb);
}

bool load::done(double now) const {
    if (options_.count == 0) return now - begun_ >= options_.seconds;
    if (publishers_.empty()) return delivered() >= options_.count;
    std::uint64_t settled = 0;
    for (const auto& one : publishers_) settled += one->confirmed() + one->refused();
    return published() >= options_.count && (!options_.confirms || settled >= options_.count);
}

load_result load::snapshot() const {
    load_result at{.seconds = now_seconds(), .published = published(), .delivered = delivered()};
    for (const auto& one : publishers_) {
        at.confirmed += one->confirmed();
        at.refused += one->refused();
    }
    at.server_cpu = cpu_seconds_of(options_.server_pid);
    at.load_cpu = own_cpu_seconds();
    at.core_idle = idle_seconds_of_core(options_.server_core);
    return at;
}

load_result load::run() {
    const double warm_at = now_seconds() + (options_.count == 0 ? options_.warm_up : 0);
    moved_at_ = now_seconds();
    while (now_seconds() < warm_at) {
        turn();
        look(now_seconds());
    }
    const load_result before = snapshot();
    begun_ = before.seconds;
    for (double now = begun_; !done(now); now = now_seconds()) {
        turn();
        look(now);
    }
    load_result after = snapshot();
    after.seconds -= before.seconds;
    after.published -= before.published;
    after.confirmed -= before.confirmed;
    after.refused -= before.refused;
    after.delivered -= before.delivered;
    after.server_cpu -= before.server_cpu;
    after.load_cpu -= before.load_cpu;
    after.core_idle -= before.core_idle;
    after.memory_max = memory_max_;
    after.memory_end = memory_of(options_.server_pid);
    for (const auto& one : consumers_) one->finish();
    return after;
}

}  // namespace

load_result run_load(const load_options& options) {
    return load(options).run();
}

double first_confirm(const endpoint& server, double since) {
    constexpr double limit = 60;
    for (;;) {
        try {
            client connection(server);
            load_options options{.name = "foz-bench-first", .durable = true, .persistent = true};
            declare(connection, options, options.name);
            connection.call_for<amqp::confirm_select_ok>(amqp::confirm_select{});
            amqp::basic_publish target;
            target.routing_key = options.name;
            connection.send(encode_message(options, connection.frame_max(), target));
            if (!std::holds_alternative<amqp::basic_ack>(connection.receive())) throw std::runtime_error("no confirm");
            const double passed = now_seconds() - since;
            amqp::queue_delete gone;
            gone.queue = options.name;
            connection.call_for<amqp::queue_delete_ok>(gone);
            return passed;
        } catch (const std::runtime_error&) {
            if (now_seconds() - since > limit) throw;
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
    }
}

}  // namespace foz::bench
