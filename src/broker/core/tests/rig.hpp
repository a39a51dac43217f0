// A broker's model on a storage without a disk and a clock that the test moves.
#pragma once

#include "amqp/codec/property_view.hpp"
#include "broker/core/node.hpp"
#include "broker/core/tests/memory_storage.hpp"

#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace foz::broker {

struct manual_clock final : clock {
    steady_time now() const override { return steady_time(passed); }
    wall_time wall_now() const override { return wall_time(passed); }
    std::chrono::milliseconds passed{1'700'000'000'000};
};

class seeded_random final : public random_source {
public:
    explicit seeded_random(std::uint64_t seed = 1) : engine_(seed) {}
    void fill(std::span<std::uint8_t> out) override {
        for (std::uint8_t& octet : out) octet = static_cast<std::uint8_t>(engine_());
    }

private:
    std::mt19937_64 engine_;
};

inline message_ref make_message(std::string_view body, amqp::basic_properties properties = {}, std::string key = "",
                                std::string exchange = "") {
    const auto encoded = amqp::encode_properties(properties);
    return message::make({.exchange = exchange, .routing_key = key, .properties = *encoded, .body = body}).value();
}

inline amqp::basic_properties persistent() {
    amqp::basic_properties out;
    out.delivery_mode = 2;
    return out;
}

inline amqp::basic_properties expiring(std::string ms) {
    amqp::basic_properties out;
    out.expiration = std::move(ms);
    return out;
}

inline amqp::basic_properties with_headers(amqp::table headers) {
    amqp::basic_properties out;
    out.headers = std::move(headers);
    return out;
}

inline amqp::table headers_of(const message& what) {
    return amqp::decode_properties(what.properties()).headers.value_or(amqp::table());
}

// Takes up to `prefetch` entries and keeps them until it is told what to do with them.
struct taker final : consumer {
    explicit taker(std::size_t limit = 1'000'000) : prefetch(limit) {}
    bool can_take() const noexcept override { return held.size() < prefetch; }
    void take(const std::shared_ptr<queue>& queue_of, entry taken) override {
        from = queue_of;
        bodies.emplace_back(taken.what->body());
        last = taken;
        if (!no_ack) held.push_back(std::move(taken));
    }
    void on_queue_gone() override { told_gone = true; }

    entry pop(std::size_t i = 0) {
        entry one = held.at(i);
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(i));
        return one;
    }
    void ack(std::size_t i = 0) {
        from->ack(pop(i));
        from->wake(*this);
    }
    void reject(std::size_t i = 0) {
        from->reject(pop(i));
        from->wake(*this);
    }
    void requeue(std::size_t i = 0) {
        from->give_back(pop(i));
        from->deliver();
        from->wake(*this);
    }
    std::vector<std::string> take_bodies() { return std::exchange(bodies, {}); }

    std::size_t prefetch;
    std::shared_ptr<queue> from;
    std::vector<entry> held;
    std::vector<std::string> bodies;  // of everything that it ever got
    entry last;
    bool told_gone = false;
};

struct broker_rig {
    explicit broker_rig(std::uint64_t seed = 1) : random(seed) { start(); }

    void start() {
        model.emplace(disk, time, random);
        model->start({"/"});
        disk.erase_unopened();
    }
    void restart() {
        model.reset();
        disk.restart();
        start();
    }
    void commit() {
        disk.commit();
        model->on_committed(disk.committed());
    }
    void pass(std::chrono::milliseconds span) {
        time.passed += span;
        model->run_due();
    }

    vhost& host() { return *model->find_vhost("/"); }
    result<queue*> try_declare(const std::string& name, amqp::table arguments = {}, queue_flags flags = {},
                               owner_id who = 1) {
        return host().declare({.name = name, .flags = flags, .arguments = std::move(arguments)}, who);
    }
    queue& declare(const std::string& name, amqp::table arguments = {}, queue_flags flags = {}, owner_id who = 1) {
        const auto made = try_declare(name, std::move(arguments), flags, who);
        if (!made) throw std::runtime_error(made.error().text);
        return **made;
    }
    queue& declare_durable(const std::string& name, amqp::table arguments = {}) {
        return declare(name, std::move(arguments), {.durable = true});
    }
    queue& find(const std::string& name) { return *host().find_queue(name, 1).value(); }
    void exchange_named(const std::string& name, const std::string& type, exchange_request wish = {}) {
        wish.name = name;
        wish.type = type;
        const auto made = host().declare(wish);
        if (!made) throw std::runtime_error(made.error().text);
    }
    void bind(const std::string& source, const std::string& to, const std::string& key, amqp::table arguments = {},
              bool to_exchange = false) {
        const auto made = host().bind({.source = source,
                                       .destination = to,
                                       .to_exchange = to_exchange,
                                       .routing_key = key,
                                       .arguments = std::move(arguments)},
                                      1);
        if (!made) throw std::runtime_error(made.error().text);
    }
    publish_outcome publish_to(const std::string& to, const std::string& key, std::string_view body,
                               amqp::basic_properties properties = {}) {
        const auto done =
            host().publish(*host().find_exchange(to).value(), make_message(body, std::move(properties), key, to));
        if (!done) throw std::runtime_error(done.error().text);
        return *done;
    }
    // To the queue of that name.
    publish_outcome publish(const std::string& key, std::string_view body, amqp::basic_properties properties = {}) {
        return publish_to("", key, body, std::move(properties));
    }
    std::optional<entry> get(const std::string& name, bool no_ack = true) { return find(name).get(no_ack).value(); }
    // Of everything that is ready.
    std::vector<std::string> drain(const std::string& name) {
        std::vector<std::string> out;
        while (const auto one = get(name)) out.emplace_back(one->what->body());
        return out;
    }

    memory_storage disk;
    manual_clock time;
    seeded_random random;
    std::optional<node> model;
};

inline result<void> consume(queue& from, taker& who, const amqp::field_value* offset = nullptr) {
    const auto done = from.consume(who, {.stream_offset = offset});
    if (done) from.wake(who);
    return done;
}

}  // namespace foz::broker
