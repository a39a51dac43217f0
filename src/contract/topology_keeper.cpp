#include "contract/topology_keeper.hpp"

#include "amqp/conn/client.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foz::contract {
namespace {

using amqp::error;
using amqp::result;
using boost::asio::awaitable;

constexpr std::uint16_t access_refused = 403;
constexpr std::uint16_t not_found = 404;
constexpr std::uint16_t resource_locked = 405;

std::string cluster_of(const amqp::client& of) {
    const amqp::table properties = of.server_properties();
    return std::string(amqp::as_string(properties.find("cluster_name")).value_or(""));
}

}  // namespace

// Declares the topology once, on a channel of its own, so that a refusal costs nobody else's. A channel that the broker
// closes is opened again by its client, and goes on where it was.
class topology_keeper::declarer final : public amqp::channel_handler, public std::enable_shared_from_this<declarer> {
public:
    declarer(topology_keeper& owner, std::string broker_name)
        : keeper_(owner), name_(std::move(broker_name)), what_(owner.what_) {}
    ~declarer() {
        if (link_) link_->close();
    }

    void start(amqp::client& through) {
        home_ = &through.home();
        link_ = through.open_channel(*this);
    }

private:
    enum class step { look, declare, bind };

    awaitable<result<void>> set_up(amqp::channel& self) override {
        const auto keep = shared_from_this();
        while (exchanges_ < what_.exchanges.size()) {
            amqp::exchange_declare one = what_.exchanges[exchanges_];
            one.passive = looks();
            count();
            auto done = co_await self.call(std::move(one));
            if (!done) co_return std::unexpected(done.error());
            missing_ = false;
            ++exchanges_;
        }
        while (queues_ < what_.queues.size()) {
            amqp::queue_declare one = what_.queues[queues_];
            one.passive = looks();
            count();
            auto done = co_await self.call(std::move(one));
            if (!done) co_return std::unexpected(done.error());
            if (limited_ && !one_was_looked_at()) made_.push_back(what_.queues[queues_].queue);
            missing_ = false;
            ++queues_;
        }
        while (bindings_ < what_.bindings.size()) {
            amqp::queue_bind one = what_.bindings[bindings_];
            if (std::ranges::find(locked_, one.queue) != locked_.end()) {
                ++bindings_;
                continue;
            }
            if (limited_ && std::find(made_.begin(), made_.end(), one.queue) == made_.end()) {
                const std::lock_guard lock(keeper_.mutex_);
                ++keeper_.counters_.unbound;
                ++bindings_;
                continue;
            }
            step_ = step::bind;
            count();
            auto done = co_await self.call(std::move(one));
            if (!done) co_return std::unexpected(done.error());
            ++bindings_;
        }
        co_return result<void>{};
    }

    void on_ready(amqp::channel&) override { end({}); }

    void on_lost(amqp::channel& self, const error& why) override {
        if (why.code != amqp::errc::channel_closed) return end(std::unexpected(why));
        if (why.reply_code == access_refused && step_ == step::declare && !limited_) {
            limited_ = true;
            return self.forgive();
        }
        if (why.reply_code == not_found && step_ == step::look) {
            missing_ = true;
            not_found_ = why.text;
            return self.forgive();
        }
        // Somebody's exclusive queue has the name: that is told to those who consume it, and the others go on. It goes
        // with its connection; whoever misses it then has everything declared again.
        if (why.reply_code == resource_locked && step_ != step::bind && exchanges_ == what_.exchanges.size()) {
            locked_.push_back(what_.queues[queues_++].queue);
            missing_ = false;
            return self.forgive();
        }
        error told = why;
        // What is missing is what people have to be told.
        if (missing_) told.text = not_found_ + "; and it can't be declared: " + why.text;
        end(std::unexpected(std::move(told)));
    }

    bool looks() {
        step_ = limited_ && !missing_ ? step::look : step::declare;
        return step_ == step::look;
    }
    bool one_was_looked_at() const { return step_ == step::look; }
    void count() {
        const std::lock_guard lock(keeper_.mutex_);
        ++(step_ == step::look ? keeper_.counters_.looked_at : keeper_.counters_.declared);
    }
    void end(result<void> with) {
        const auto keep = shared_from_this();
        link_->close();
        keeper_.finish(name_, std::move(with), home_->time().now());
    }

    topology_keeper& keeper_;
    const std::string name_;
    const topology& what_;
    net::shard* home_ = nullptr;
    std::shared_ptr<amqp::channel> link_;
    std::size_t exchanges_ = 0, queues_ = 0, bindings_ = 0;  // done
    step step_ = step::declare;                              // that is under way
    bool limited_ = false;                                   // the user may not declare
    bool missing_ = false;                                   // what comes next was looked for in vain
    std::string not_found_;
    std::vector<std::string> made_;    // queues, by a limited user
    std::vector<std::string> locked_;  // queues that belong to somebody else
};

topology_keeper::topology_keeper(topology what) : what_(std::move(what)) {}
topology_keeper::~topology_keeper() = default;

awaitable<result<void>> topology_keeper::ensure(amqp::channel& on) {
    const std::uint32_t opening = on.opening();
    amqp::client& through = *on.owner();
    const std::string name = cluster_of(through);
    {
        const std::lock_guard lock(mutex_);
        broker& known = brokers_[name];
        const auto& loss = on.last_loss();
        if (known.there && loss && loss->reply_code == not_found && on.lost_at() > known.declared_at)
            known.there = false;
        if (known.there) co_return result<void>{};
    }
    auto& context = through.home().context();
    auto done = co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(result<void>)>(
        [this, &name, &through, &context](auto handler) {
            join(name, through, [&context, handler = std::move(handler)](result<void> with) mutable {
                boost::asio::post(context, [handler = std::move(handler), with = std::move(with)]() mutable {
                    std::move(handler)(std::move(with));
                });
            });
        },
        boost::asio::use_awaitable);
    // What waited here waited without a call of the channel, which may have been lost and opened again meanwhile.
    if (on.opening() != opening)
        co_return std::unexpected(error{amqp::errc::channel_closed, 0, "the channel was opened anew"});
    co_return done;
}

void topology_keeper::join(const std::string& name, amqp::client& through, waiter done) {
    std::shared_ptr<declarer> begun;
    {
        const std::lock_guard lock(mutex_);
        broker& of = brokers_[name];
        of.waiting.push_back(std::move(done));
        if (of.at_work) return;
        of.there = false;
        begun = of.at_work = std::make_shared<declarer>(*this, name);
        ++counters_.rounds;
    }
    begun->start(through);
}

void topology_keeper::finish(const std::string& name, result<void> with, steady_time now) {
    std::vector<waiter> waiting;
    std::shared_ptr<declarer> done;  // destroyed after the lock is free
    {
        const std::lock_guard lock(mutex_);
        broker& of = brokers_[name];
        of.there = with.has_value();
        of.declared_at = now;
        waiting = std::exchange(of.waiting, {});
        done = std::exchange(of.at_work, nullptr);
    }
    for (auto& one : waiting) one(with);
}

topology_counters topology_keeper::counters() const {
    const std::lock_guard lock(mutex_);
    return counters_;
}

}  // namespace foz::contract
