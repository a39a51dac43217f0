// Random operations on a queue and on the simplest thing that behaves as it should. The seed is printed; FOZ_SEED runs
// one again.
#include "broker/core/tests/rig.hpp"
#include "broker/core/work_queue.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <ranges>
#include <tuple>

#include <gtest/gtest.h>

namespace foz::broker {
namespace {

// What a queue is, in a sorted map: every entry that is neither acknowledged nor dropped.
struct reference {
    struct item {
        std::string body;
        std::int64_t expires_ms = 0;
        bool persistent = false;
        bool out = false;        // with a consumer
        bool delivered = false;  // some time
        std::uint32_t returns = 0;
        std::uint64_t turn = 0;  // of a quorum queue: counts what came back; it goes out first, in that order
    };
    std::map<std::uint64_t, item> items;
    std::uint64_t turns = 0;

    // Which goes out first.
    auto place(std::uint64_t at) const {
        const auto one = items.find(at);
        const std::uint64_t turn = one == items.end() ? 0 : one->second.turn;
        return std::tuple(turn == 0, turn, at);
    }

    std::size_t ready() const {
        return static_cast<std::size_t>(std::ranges::count_if(items, [](const auto& one) { return !one.second.out; }));
    }
    auto head() {
        auto first = items.end();
        for (auto one = items.begin(); one != items.end(); ++one)
            if (!one->second.out && (first == items.end() || place(one->first) < place(first->first))) {
                first = one;
                if (turns == 0) break;
            }
        return first;
    }
};

struct setting {
    const char* name;
    amqp::table arguments;
    bool durable;
    std::size_t body_max;
    std::size_t publish_max;  // at once
};

// One queue, three consumers of different appetites, and the reference.
class trial {
public:
    trial(const setting& how, std::uint64_t seed) : how_(how), rig_(seed), random_(seed) {
        dead_ = &rig_.declare("dead");
        amqp::table arguments = how.arguments;
        arguments.set("x-dead-letter-exchange", "");
        arguments.set("x-dead-letter-routing-key", "dead");
        queue_ = &rig_.declare("q", arguments, {.durable = how.durable});
        settings_ = queue_->settings();
        for (taker& one : takers_) one.prefetch = 1 + below(20);
    }

    void run(int steps) {
        for (step_ = 0; step_ < steps; ++step_) {
            act();
            rig_.model->run_due();
            settle_model();
            check();
            if (testing::Test::HasFailure()) return;
        }
        finish();
    }

private:
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

    void act() {
        switch (below(12)) {
            case 0:
            case 1:
            case 2:
                return publish(1 + below(how_.publish_max));
            case 3:
                return toggle(takers_[below(std::size(takers_))]);
            case 4:
            case 5:
            case 6:
                return settle(takers_[below(std::size(takers_))]);
            case 7:
                return get();
            case 8:
                return pass();
            case 9:
                if (below(60) == 0) return purge();
                return publish(1);
            case 10:
                if (below(80) == 0) return restart();
                return settle(takers_[below(std::size(takers_))]);
            default:
                for (std::uint64_t i = below(8); i > 0; --i) settle(takers_[below(std::size(takers_))]);
        }
    }

    void publish(std::size_t count) {
        for (; count > 0; --count) {
            amqp::basic_properties properties;
            const bool lasting = below(3) != 0;
            if (lasting) properties.delivery_mode = 2;
            if (below(5) == 0) properties.expiration = std::to_string(1 + below(5'000));
            const std::string body = std::to_string(next_) + std::string(below(how_.body_max + 1), '.');
            const bool full = settings_.when_full != overflow::drop_head && over(1, body.size());
            ASSERT_EQ(rig_.publish("q", body, properties).rejected, full);
            if (full) continue;
            const auto own = rig_.time.passed.count();
            std::int64_t expires = settings_.message_ttl ? own + settings_.message_ttl->count() : 0;
            if (properties.expiration) {
                const std::int64_t mine = own + std::stoll(*properties.expiration);
                if (expires == 0 || mine < expires) expires = mine;
            }
            model_.items[next_++] = {
                .body = body, .expires_ms = expires, .persistent = lasting || settings_.kind == queue_kind::quorum};
            settle_model();
        }
    }

    bool over(std::size_t more, std::size_t bytes_more) {
        std::size_t bytes = bytes_more;
        for (const auto& [at, one] : model_.items)
            if (!one.out) bytes += one.body.size();
        return (settings_.length_max && model_.ready() + more > *settings_.length_max) ||
               (settings_.bytes_max && bytes > *settings_.bytes_max);
    }

    void toggle(taker& who) {
        const bool there = std::ranges::find(consuming_, &who) != consuming_.end();
        if (there) {
            queue_->cancel(who);
            std::erase(consuming_, &who);
        } else {
            ASSERT_TRUE(consume(*queue_, who));
            consuming_.push_back(&who);
        }
    }

    void settle(taker& who) {
        if (who.held.empty()) return;
        const std::size_t i = below(who.held.size());
        const std::uint64_t at = who.held[i].at;
        model_.items.at(at).out = false;  // until we know more
        const bool consuming = std::ranges::find(consuming_, &who) != consuming_.end();
        switch (below(5)) {
            case 0: {
                reference::item& back = model_.items.at(at);
                ++back.returns;
                if (settings_.kind == queue_kind::quorum) back.turn = ++model_.turns;
                const bool dies = settings_.delivery_limit && back.returns > *settings_.delivery_limit;
                if (dies) drop(at);
                queue_->give_back(who.pop(i));
                settle_model();  // takes what consumers get of it
                queue_->deliver();
                break;
            }
            case 1:
                drop(at);
                queue_->reject(who.pop(i));
                break;
            default:
                model_.items.erase(at);
                queue_->ack(who.pop(i));
        }
        if (consuming) queue_->wake(who);
        settle_model();
    }

    void get() {
        const auto got = *queue_->get(true);
        expire();
        const auto head = model_.head();
        ASSERT_EQ(got.has_value(), head != model_.items.end());
        if (!got) return;
        EXPECT_EQ(got->at, head->first);
        EXPECT_EQ(got->what->body(), head->second.body);
        EXPECT_EQ(got->redelivered, head->second.delivered);
        model_.items.erase(head);
    }

    void pass() { rig_.pass(std::chrono::milliseconds(below(3'000))); }

    void purge() {
        expire();
        const std::size_t ready = model_.ready();
        std::erase_if(model_.items, [](const auto& one) { return !one.second.out; });
        rig_.pass(std::chrono::milliseconds(0));
        ASSERT_EQ(queue_->purge(), ready);
    }

    // What is out comes back; what is not durable is gone.
    void restart() {
        for (taker& one : takers_) one.held.clear();
        consuming_.clear();
        rig_.restart();
        dead_ = &rig_.declare("dead");
        dead_count_ = 0;
        if (!how_.durable) {
            model_.items.clear();
            amqp::table arguments = how_.arguments;
            arguments.set("x-dead-letter-exchange", "");
            arguments.set("x-dead-letter-routing-key", "dead");
            queue_ = &rig_.declare("q", arguments, {});
            next_ = 0;
            return;
        }
        queue_ = &rig_.find("q");
        // Transient ones stay when they were in the log to keep memory small: that is more than was promised.
        std::map<std::uint64_t, bool> logged;
        for (const auto& [at, one] : rig_.disk.logs.at(queue_->identity().number).entries) logged[at] = true;
        const std::uint64_t delivered_end = rig_.disk.logs.at(queue_->identity().number).summary.delivered_end;
        std::erase_if(model_.items, [&](const auto& one) {
            EXPECT_TRUE(!one.second.persistent || logged.contains(one.first)) << "lost " << one.first;
            return !logged.contains(one.first);
        });
        EXPECT_EQ(logged.size(), model_.items.size()) << "something that was settled is back";
        for (auto& [at, one] : model_.items) {
            EXPECT_TRUE(!one.delivered || at < delivered_end || one.returns > 0);
            one.out = false;
            one.turn = 0;
            one.delivered = one.returns > 0 || at < delivered_end;
            if (settings_.kind == queue_kind::classic) one.returns = 0;
        }
        next_ = rig_.disk.logs.at(queue_->identity().number).summary.next;
        rig_.model->run_due();
        queue_->deliver();  // what was out may be too much now
    }

    void drop(std::uint64_t at) {
        model_.items.erase(at);
        ++dead_count_;
    }
    void expire() {
        for (auto head = model_.head(); head != model_.items.end(); head = model_.head()) {
            if (head->second.expires_ms == 0 || head->second.expires_ms > rig_.time.passed.count()) return;
            drop(head->first);
        }
    }

    // Brings the reference up to what consumers were given: each got the heads, in order, none of them expired.
    void settle_model() {
        std::vector<const entry*> fresh;
        for (const taker& one : takers_)
            for (const entry& held : one.held)
                if (const auto at = model_.items.find(held.at); at == model_.items.end() || !at->second.out)
                    fresh.push_back(&held);
        std::ranges::sort(fresh, {}, [this](const entry* one) { return model_.place(one->at); });
        for (const entry* const one : fresh) {
            expire();
            const auto head = model_.head();
            ASSERT_TRUE(head != model_.items.end()) << "a consumer has more than there is";
            ASSERT_EQ(one->at, head->first) << "out of order";
            EXPECT_EQ(one->what->body(), head->second.body);
            EXPECT_EQ(one->redelivered, head->second.delivered);
            EXPECT_TRUE(settings_.kind != queue_kind::quorum || one->returns == head->second.returns);
            head->second.out = head->second.delivered = true;
        }
        expire();
        while (settings_.when_full == overflow::drop_head && model_.ready() > 0 && over(0, 0))
            drop(model_.head()->first);
        expire();
    }

    void check() {
        // Nobody who can take waits while there is something.
        const std::size_t asked = settings_.single_active ? 1 : std::size(takers_);
        const bool wanted = std::ranges::any_of(consuming_ | std::views::take(asked), &taker::can_take);
        EXPECT_TRUE(!wanted || queue_->ready_count() == 0) << "somebody waits for nothing";
        EXPECT_EQ(queue_->ready_count(), model_.ready());
        EXPECT_EQ(queue_->unacked_count(), model_.items.size() - model_.ready());
        EXPECT_EQ(dead_->ready_count(), dead_count_);
    }

    // Everything is there, in order, once.
    void finish() {
        for (taker* const one : std::vector(consuming_)) toggle(*one);
        for (taker& one : takers_) {
            while (!one.held.empty()) {
                model_.items.erase(one.held.back().at);
                queue_->ack(one.pop(one.held.size() - 1));
            }
        }
        while (!testing::Test::HasFailure() && !model_.items.empty()) get();
        EXPECT_EQ(queue_->ready_count(), 0u);
        EXPECT_TRUE(rig_.disk.logs.at(queue_->identity().number).entries.empty());
    }

    const setting& how_;
    broker_rig rig_;
    std::mt19937_64 random_;
    queue* queue_ = nullptr;
    queue* dead_ = nullptr;
    queue_settings settings_;
    taker takers_[3];
    std::vector<taker*> consuming_;
    reference model_;
    std::uint64_t next_ = 0;
    std::size_t dead_count_ = 0;
    int step_ = 0;
};

std::uint64_t first_seed() {
    if (const char* const text = std::getenv("FOZ_SEED")) return std::strtoull(text, nullptr, 10);
    return std::random_device{}();
}

}  // namespace

TEST(model, a_queue_behaves_as_its_reference) {
    const setting settings[] = {
        {"transient", {}, false, 10, 3},
        {"durable", {}, true, 10, 3},
        {"quorum", {{"x-queue-type", "quorum"}, {"x-delivery-limit", 2}}, true, 10, 3},
        {"ttl", {{"x-message-ttl", 4'000}}, true, 10, 3},
        {"short", {{"x-max-length", 7}}, true, 10, 12},
        {"small", {{"x-max-length-bytes", 100}}, true, 30, 12},
        {"rejecting", {{"x-max-length", 7}, {"x-overflow", "reject-publish"}}, true, 10, 12},
        {"single", {{"x-single-active-consumer", true}}, true, 10, 3},
        {"paged", {}, true, 300'000, 8},
        {"paged and transient", {}, false, 300'000, 8},
        {"paged and small", {{"x-max-length-bytes", 5'000'000}}, true, 300'000, 8},
    };
    const std::uint64_t seed = first_seed();
    std::cout << "FOZ_SEED=" << seed << '\n';
    for (const setting& how : settings) {
        for (std::uint64_t round = 0; round < 4; ++round) {
            SCOPED_TRACE(std::string(how.name) + ", FOZ_SEED=" + std::to_string(seed) + ", round " +
                         std::to_string(round));
            trial(how, seed + round).run(how.body_max > 1'000 ? 400 : 3'000);
            if (HasFailure()) return;
        }
    }
}

}  // namespace foz::broker
