// One reader of a stream, for all who go on near one place.
#pragma once

#include "aggregator/feed/catch_up.hpp"
#include "aggregator/feed/readers.hpp"
#include "amqp/conn/channel.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace foz::aggregator {

// Reads on when everybody has taken a page; who takes long is left behind as soon as somebody else waits for it. Begins
// when it is made, says once that it has ended, and is destroyed by its owner. Holds at most so many entries as the
// broker sends without an acknowledgement. Lives on shard 0.
class catch_up_reader final : private amqp::channel_handler {
public:
    // `group`: not empty; the first begins first.
    catch_up_reader(catch_up& owner, amqp::client& streams, const settings& all, std::size_t channel,
                    std::vector<shared_reading> group);
    ~catch_up_reader();
    catch_up_reader(const catch_up_reader&) = delete;
    catch_up_reader& operator=(const catch_up_reader&) = delete;

    // Who has all that it needs.
    void drop(const shared_reading& reading);
    // Somebody has taken its page.
    void go_on();

private:
    struct buffered {
        entry_ref message;
        amqp::delivery_id delivery;
    };
    using page_entries = std::vector<entry_ref>;

    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_ready(amqp::channel& self) override;
    void on_lost(amqp::channel& self, const amqp::error& why) override;
    void on_delivery(amqp::channel& self, const amqp::delivery& message) override;

    amqp::basic_consume consume_from_here() const;
    void read(const amqp::delivery& message, std::uint64_t offset);
    void flush();
    void hand_out(const std::shared_ptr<page_entries>& entries, bool silent);
    std::shared_ptr<page_entries> take_page();
    void listen();
    void on_lag();
    void on_silence();
    void end();

    catch_up& owner_;
    amqp::client& client_;
    const settings& settings_;
    const std::size_t channel_;
    const envelope::resume_from from_;
    std::vector<shared_reading> readings_;
    std::deque<buffered> buffer_;
    std::size_t buffer_bytes_ = 0;
    recent_ids seen_;
    std::optional<std::uint64_t> last_offset_;
    std::optional<amqp::delivery_id> page_end_;  // to be acknowledged when the page has been taken
    std::size_t pages_ = 0;
    std::chrono::milliseconds silence_;
    bool paging_ = false;  // a page is with the sessions
    bool ended_ = false;
    std::shared_ptr<amqp::channel> link_;
    net::wheel_timer flush_timer_{this, [](catch_up_reader& self) { self.flush(); }};
    net::wheel_timer lag_timer_{this, [](catch_up_reader& self) { self.on_lag(); }};
    net::wheel_timer silence_timer_{this, [](catch_up_reader& self) { self.on_silence(); }};
};

}  // namespace foz::aggregator
