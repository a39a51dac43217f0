#include "net/address_race.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foz::net {
namespace {

using race_result = std::expected<tcp::socket, error_code>;

// Kept alive by the attempts that are under way; there is always one until it is decided.
class race_run final : public std::enable_shared_from_this<race_run> {
public:
    using completion = std::move_only_function<void(race_result)>;

    race_run(shard& home, std::vector<tcp::endpoint> addresses, race_options options, completion done)
        : home_(home), addresses_(std::move(addresses)), options_(options), done_(std::move(done)) {}

    void start() {
        if (addresses_.empty()) return decide(std::unexpected(error_code(asio::error::host_not_found)));
        begin_next();
    }

private:
    struct attempt {
        explicit attempt(shard& home) : socket(home.context()) {}

        void expire() {
            expired = true;
            close();
        }
        void close() {
            limit.cancel();
            error_code ignored;
            socket.close(ignored);
        }

        tcp::socket socket;
        bool expired = false;
        wheel_timer limit{this, [](attempt& self) { self.expire(); }};
    };

    void begin_next() {
        attempt& made = *attempts_.emplace_back(std::make_unique<attempt>(home_));
        ++under_way_;
        made.limit.start(home_.wheel(), options_.each);
        stagger_.cancel();
        if (attempts_.size() < addresses_.size()) stagger_.start(home_.wheel(), options_.stagger);
        made.socket.async_connect(addresses_[attempts_.size() - 1],
                                  [keep = shared_from_this(), this, &made](error_code error) {
                                      home_.note_awake();
                                      on_answer(made, error);
                                  });
    }

    void on_answer(attempt& of, error_code error) {
        if (!done_) return;
        of.limit.cancel();
        --under_way_;
        if (!error && !of.expired) return decide(std::move(of.socket));
        if (attempts_.size() < addresses_.size()) return begin_next();
        if (under_way_ > 0) return;
        decide(std::unexpected(of.expired ? error_code(asio::error::timed_out) : error));
    }

    void decide(race_result with) {
        auto done = std::exchange(done_, nullptr);
        stagger_.cancel();
        for (const auto& one : attempts_) one->close();
        done(std::move(with));
    }

    shard& home_;
    const std::vector<tcp::endpoint> addresses_;
    const race_options options_;
    completion done_;                                 // empty once it is decided
    std::vector<std::unique_ptr<attempt>> attempts_;  // of the first addresses
    std::size_t under_way_ = 0;
    wheel_timer stagger_{this, [](race_run& self) { self.begin_next(); }};
};

}  // namespace

std::vector<tcp::endpoint> in_racing_order(const std::vector<tcp::endpoint>& resolved, std::size_t turn) {
    if (resolved.empty()) return {};
    std::vector<tcp::endpoint> first, other, ordered;
    for (const tcp::endpoint& one : resolved)
        (one.protocol() == resolved.front().protocol() ? first : other).push_back(one);
    for (std::size_t i = 0; i < std::max(first.size(), other.size()); ++i) {
        if (i < first.size()) ordered.push_back(first[i]);
        if (i < other.size()) ordered.push_back(other[i]);
    }
    std::ranges::rotate(ordered, ordered.begin() + static_cast<std::ptrdiff_t>(turn % ordered.size()));
    return ordered;
}

asio::awaitable<race_result> race(shard& home, std::vector<tcp::endpoint> addresses, race_options options) {
    auto won = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(race_result)>(
        [&](auto handler) {
            auto done = [&context = home.context(), handler = std::move(handler)](race_result with) mutable {
                asio::post(context, [handler = std::move(handler), with = std::move(with)]() mutable {
                    std::move(handler)(std::move(with));
                });
            };
            std::make_shared<race_run>(home, std::move(addresses), options, std::move(done))->start();
        },
        asio::use_awaitable);
    co_return won;
}

}  // namespace foz::net
