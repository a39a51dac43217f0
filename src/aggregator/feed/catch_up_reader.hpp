// One reader of a stream, for all who go on near one place.
#pragma once

#include "aggregator/feed/catch_up.hpp"
#include "amqp/conn/channel.hpp"
#include "contract/stream_cursor.hpp"
#include "net/timing_wheel.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace foz::aggregator {

// Reads on when everybody has taken a page; who takes long is left behind as soon as somebody else waits for it. Begins
// when it is made, says once that it has ended, and is destroyed by its owner. What is read and not on a page is
// bounded in octets: beyond that it throws away what the broker still sends, and asks for it again later. Lives on the
// readers' shard.
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
        bool gap_before = false;  // retention took what was between it and the one before
    };
    using page_entries = std::vector<entry_ref>;
    // What follows when the buffer is empty.
    enum class ending : std::uint8_t { none, caught_up, recreated };

    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_ready(amqp::channel& self) override;
    void on_lost(amqp::channel& self, const amqp::error& why) override;
    void on_delivery(amqp::channel& self, const amqp::delivery& message) override;
    void on_too_large(amqp::channel& self, const amqp::delivery& message, const amqp::skipped_body& body) override;

    std::uint16_t prefetch() const;
    void read(const amqp::delivery& message, const contract::delivery_view& view);
    // Does what the cursor says; `message` is null when it was time that passed.
    void act(const amqp::delivery* message, std::uint64_t offset);
    void keep(const amqp::delivery& message, std::uint64_t offset, const contract::cursor_event& what);
    void pass(amqp::delivery_id id);
    bool has_page() const;
    void flush();
    void hand_out(const std::shared_ptr<const page_entries>& entries, bool last);
    std::shared_ptr<page_entries> take_page();
    void finish();
    void leave();
    void set_timer();
    void on_lag();
    void on_tick();
    void end();

    catch_up& owner_;
    amqp::client& client_;
    const settings& settings_;
    const std::size_t channel_;
    contract::stream_cursor cursor_;
    std::vector<contract::cursor_event> events_;
    std::vector<shared_reading> readings_;
    std::deque<buffered> buffer_;
    std::size_t buffer_bytes_ = 0;
    std::size_t average_octets_ = 0;  // of an entry, over the last ones; 0: none was read yet
    bool gap_ = false;                // before the entry that comes next
    bool parked_ = false;             // the buffer was full
    ending ending_ = ending::none;
    std::uint64_t said_s_ = 0;                   // when the last entry on a page was said
    std::optional<amqp::delivery_id> page_end_;  // to be acknowledged when the page has been taken
    std::size_t passed_ = 0;                     // deliveries of no interest that are not acknowledged yet
    std::size_t pages_ = 0;
    bool paging_ = false;  // a page is with the sessions
    bool ended_ = false;
    std::shared_ptr<amqp::channel> link_;
    net::wheel_timer flush_timer_{this, [](catch_up_reader& self) { self.flush(); }};
    net::wheel_timer lag_timer_{this, [](catch_up_reader& self) { self.on_lag(); }};
    net::wheel_timer tick_timer_{this, [](catch_up_reader& self) { self.on_tick(); }};
};

}  // namespace foz::aggregator
