// Older entries of a durable channel's stream, for sessions that come back after long.
#pragma once

#include "aggregator/outbound.hpp"
#include "aggregator/readers.hpp"
#include "aggregator/settings.hpp"
#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "envelope/envelope.hpp"
#include "envelope/events.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace foz::aggregator {

class hub;

// One session that wants to read a channel from `from` on: at, first or since.
struct catch_up_job {
    std::size_t channel = 0;
    envelope::resume_from from;
    hub* home = nullptr;
    std::uint64_t session = 0;  // its serial
    std::uint64_t ticket = 0;   // the resume that it belongs to: a session may have begun another one since
};

// A part of what was asked for. Handled on the session's shard, which calls `taken` when it can take more (true), or
// when it needs no more (false).
struct catch_up_page {
    catch_up_job job;
    std::shared_ptr<const std::vector<shared_outbound>> entries;
    std::size_t begin = 0;  // of `entries`
    std::optional<envelope::gap_cause> gap;
    bool last = false;  // the stream has nothing more to give: the rest is in the recent messages
    std::function<void(bool)> taken;
};

// One reader for each channel at a time, shared by all sessions that wait: it begins where the oldest of them left, and
// each joins at its own place. It goes on when all of them have taken a page. Lives on shard 0.
class catch_up final : private amqp::channel_handler {
public:
    catch_up(amqp::client& streams, const settings& all, std::size_t channel);
    ~catch_up();

    void add(const catch_up_job& job);

private:
    struct reader_job {
        catch_up_job what;
        bool joined = false;  // its first entry has been found
        bool over = false;
        bool waiting = false;  // has not taken the last page yet
        std::size_t begin = 0;
        std::optional<envelope::gap_cause> gap;
    };

    boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
    void on_ready(amqp::channel& self) override;
    void on_lost(amqp::channel& self, const amqp::error& why) override;
    void on_delivery(amqp::channel& self, const amqp::delivery& message) override;

    void begin_round();
    void end_round();
    amqp::basic_consume consume_from_here() const;
    void place(reader_job& job, const outbound& entry, std::size_t index);
    void flush(bool last);
    void on_taken(std::uint64_t round, std::size_t index, bool more);
    void on_silence();

    amqp::client& client_;
    const settings& settings_;
    const std::size_t channel_;
    std::shared_ptr<amqp::channel> link_;
    std::deque<catch_up_job> waiting_;
    std::vector<reader_job> jobs_;  // of this round
    std::shared_ptr<std::vector<shared_outbound>> page_ = std::make_shared<std::vector<shared_outbound>>();
    std::unique_ptr<recent_ids> seen_;
    std::optional<std::uint64_t> last_offset_;
    amqp::delivery_id last_delivery_;
    std::size_t unacknowledged_ = 0;
    std::uint64_t round_ = 0;
    bool paging_ = false;  // a page is with the sessions
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    net::wheel_timer flush_timer_{this, [](catch_up& self) { self.flush(false); }};
    net::wheel_timer silence_timer_{this, [](catch_up& self) { self.on_silence(); }};
};

}  // namespace foz::aggregator
