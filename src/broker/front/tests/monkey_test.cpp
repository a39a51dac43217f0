// Many clients that do well-formed things in any order, read or do not, and die: at the end nothing is left of them.
// The seed is printed; FOZ_SEED runs one again. Made for the sanitizers: whoever is on the stack may go.
#include "broker/front/tests/rig.hpp"

#include <array>
#include <cstdlib>
#include <iostream>

#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using namespace std::chrono_literals;

class monkey {
public:
    explicit monkey(std::uint64_t seed)
        : rig_({.queued_bytes_max = 20'000, .answers_bytes_max = 60'000}, seed), random_(seed) {}

    void run(int steps) {
        for (int i = 0; i < steps; ++i) step();
        for (auto& one : clients_) one.reset();
        for (const auto& [key, one] : std::unordered_map(rig_.listed)) one->shut_down();
        rig_.commit();
        rig_.pass(10s);
        rig_.pass(10s);
        EXPECT_TRUE(rig_.listed.empty());
        for (const auto& [name, one] : rig_.host().queues()) {
            EXPECT_EQ(one->consumer_count(), 0u) << name;
            EXPECT_EQ(one->unacked_count(), 0u) << name;
            EXPECT_FALSE(one->identity().flags.exclusive) << name;
        }
    }

private:
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
    std::string queue_name() { return "q" + std::to_string(below(4)); }
    std::string exchange_name() {
        static const char* const all[] = {"", "amq.topic", "amq.fanout", "x0", "x1", "x2"};
        return all[below(std::size(all))];
    }
    std::string key() { return below(2) == 0 ? queue_name() : "a.b"; }

    void step() {
        auto& mine = clients_[below(clients_.size())];
        if (!mine || mine->wire->ended() || below(300) == 0) {
            if (mine && !mine->wire->ended()) mine->hang_up();
            mine.reset();
            mine = std::make_unique<client>(rig_);
            mine->open(2, below(2) == 0 ? 0 : 5);
            return;
        }
        if (below(20) == 0) rig_.commit();
        if (below(50) == 0) rig_.pass(std::chrono::milliseconds(below(1'500)));
        if (below(6) == 0) (void)mine->read(below(2) == 0 ? std::string::npos : below(30'000));
        const auto number = static_cast<std::uint16_t>(1 + below(3));
        std::string octets;
        // Several in one packet: what one of them ends is still on the stack for the next one.
        for (std::uint64_t i = 1 + below(4); i > 0; --i) {
            if (below(3) == 0)
                octets += client::content(number, exchange_name(), key(), std::string(below(3'000), 'x'), properties(),
                                          below(8) == 0);
            else
                (void)amqp::encode_method(octets, number, some_method());
        }
        if (below(400) == 0) (void)amqp::encode_method(octets, 0, amqp::connection_close{});
        mine->send(octets);
    }

    amqp::basic_properties properties() {
        amqp::basic_properties out;
        if (below(2) == 0) out.delivery_mode = 2;
        if (below(6) == 0) out.expiration = std::to_string(below(300));
        if (below(20) == 0) out.headers = amqp::table{{"CC", amqp::field_array{amqp::field_value(queue_name())}}};
        return out;
    }

    amqp::queue_declare some_queue() {
        amqp::queue_declare m;
        m.queue = queue_name();
        // The name decides most of it, or hardly any second declaration would agree.
        const char last = m.queue.back();
        m.auto_delete = last == '0';
        m.durable = last != '0';
        if (last == '1') m.arguments = {{"x-queue-type", "quorum"}, {"x-delivery-limit", 3}};
        if (last == '2') m.arguments = {{"x-max-length", 20}, {"x-expires", 2'000}};
        if (last == '3') m.arguments = {{"x-queue-type", "stream"}};
        if (last != '3') m.arguments.set("x-dead-letter-exchange", "x1");
        if (below(40) == 0) {
            m.queue = "";
            m.durable = m.auto_delete = false;
            m.exclusive = true;
            m.arguments = {{"x-message-ttl", 50}};
        }
        return m;
    }

    amqp::method some_method() {
        switch (below(24)) {
            case 0:
            case 1:
            case 2:
                return some_queue();
            case 3: {
                amqp::queue_delete m;
                m.queue = queue_name();
                m.no_wait = below(2) == 0;
                if (below(4) != 0) m.if_unused = true;
                return m;
            }
            case 4: {
                amqp::exchange_declare m;
                m.exchange = "x" + std::to_string(below(3));
                m.type = m.exchange == "x0" ? "topic" : "fanout";
                m.auto_delete = true;
                return m;
            }
            case 5: {
                amqp::exchange_delete m;
                m.exchange = "x" + std::to_string(below(3));
                return m;
            }
            case 6:
            case 7: {
                amqp::queue_bind m;
                m.queue = below(3) == 0 ? "" : queue_name();
                m.exchange = exchange_name();
                m.routing_key = below(2) == 0 ? "a.#" : "a.*";
                return m;
            }
            case 8: {
                amqp::exchange_bind m;
                m.source = exchange_name();
                m.destination = exchange_name();
                m.routing_key = "#";
                return m;
            }
            case 9: {
                amqp::queue_unbind m;
                m.queue = queue_name();
                m.exchange = exchange_name();
                m.routing_key = "a.#";
                return m;
            }
            case 10:
            case 11:
            case 12: {
                amqp::basic_consume m;
                m.queue = queue_name();
                m.no_ack = below(3) == 0 && m.queue != "q3";
                m.exclusive = below(10) == 0;
                if (below(2) == 0) m.consumer_tag = "t" + std::to_string(below(3));
                if (below(3) == 0) m.arguments = {{"x-stream-offset", "first"}};
                return m;
            }
            case 13: {
                amqp::basic_cancel m;
                m.consumer_tag = "t" + std::to_string(below(3));
                return m;
            }
            case 14:
            case 15: {
                amqp::basic_qos m;
                m.prefetch_count = static_cast<std::uint16_t>(1 + below(8));
                m.global = below(3) == 0;
                return m;
            }
            case 16: {
                amqp::basic_get m;
                m.queue = below(8) == 0 ? "q3" : "q" + std::to_string(below(3));
                m.no_ack = below(2) == 0;
                return m;
            }
            case 17:
            case 18: {
                amqp::basic_ack m;
                m.delivery_tag = below(4) == 0 ? 0 : 1 + below(30);
                m.multiple = m.delivery_tag == 0 || below(2) == 0;
                return m;
            }
            case 19:
            case 20: {
                amqp::basic_nack m;
                m.delivery_tag = below(2) == 0 ? 0 : 1 + below(30);
                m.multiple = m.delivery_tag == 0 || below(2) == 0;
                m.requeue = below(2) == 0;
                return m;
            }
            case 21:
                return below(2) == 0 ? amqp::method(amqp::confirm_select{}) : amqp::method(amqp::basic_recover{});
            case 22:
                switch (below(4)) {
                    case 0:
                        return amqp::tx_select{};
                    case 1:
                        return amqp::tx_commit{};
                    case 2: {
                        amqp::queue_purge m;
                        m.queue = queue_name();
                        return m;
                    }
                    default:
                        return amqp::channel_close{};
                }
            default:
                return below(3) == 0 ? amqp::method(amqp::channel_close_ok{}) : amqp::method(amqp::channel_open{});
        }
    }

    front_rig rig_;
    std::mt19937_64 random_;
    std::array<std::unique_ptr<client>, 5> clients_;
};

}  // namespace

TEST(monkey, clients_that_do_anything_leave_nothing_behind) {
    const char* const given = std::getenv("FOZ_SEED");
    const std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::cout << "FOZ_SEED=" << seed << '\n';
    for (std::uint64_t round = 0; round < 20; ++round) {
        SCOPED_TRACE("FOZ_SEED=" + std::to_string(seed) + ", round " + std::to_string(round));
        monkey(seed + round).run(2'000);
        if (HasFailure()) return;
    }
}

}  // namespace foz::broker
