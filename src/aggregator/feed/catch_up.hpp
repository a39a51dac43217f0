// Older entries of a durable channel's stream, for sessions that come back after long.
#pragma once

#include "aggregator/feed/decode.hpp"
#include "aggregator/settings.hpp"
#include "amqp/conn/client.hpp"
#include "envelope/envelope.hpp"
#include "envelope/events.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace foz::aggregator {

class catch_up_reader;
class hub;

// One session that wants to read a channel from `from` on: at, first or since.
struct catch_up_job {
    std::size_t channel = 0;
    envelope::resume_from from;
    hub* home = nullptr;
    std::uint64_t session = 0;  // its serial
    std::uint64_t ticket = 0;   // the resume that it belongs to: a session may have begun another one since
    bool has_recent = false;    // there are recent messages to meet: before them the stream has not ended
};

// A part of what was asked for; it may be empty, to see who still reads. Handled on the session's shard, which calls
// `taken` when it can take more (true), or when it needs no more (false).
struct catch_up_page {
    catch_up_job job;
    std::shared_ptr<const std::vector<entry_ref>> entries;
    std::size_t begin = 0;  // of `entries`
    std::optional<envelope::gap_cause> gap;
    bool last = false;  // the stream has nothing more to give: the rest is in the recent messages
    std::function<void(bool)> taken;
};

// A job on its way. It goes from reader to reader: its place moves on with every page, and whoever has not taken a
// page while others wait is left behind, costs nothing, and is queued again when it asks for more.
struct catch_up_reading {
    catch_up_job what;
    catch_up_reader* by = nullptr;
    bool joined = false;   // its first entry has been found
    bool waiting = false;  // has not taken its page yet
    bool stale = false;    // its session has asked for something else since
    std::optional<envelope::gap_cause> gap;
};
using shared_reading = std::shared_ptr<catch_up_reading>;

// A few readers for each channel, shared by all sessions that wait: one begins where who waits longest left, and takes
// along those whose places are near, and whoever's place it comes by. When all are busy, one that has read much gives
// way: whoever waits waits for a few pages, whatever the others do. Lives on shard 0.
class catch_up final {
public:
    catch_up(amqp::client& streams, const settings& all, std::size_t channel);
    ~catch_up();
    catch_up(const catch_up&) = delete;
    catch_up& operator=(const catch_up&) = delete;

    void add(const catch_up_job& job);

    // From readers.
    bool anyone_waits() const noexcept { return !waiting_.empty(); }
    void put_back(shared_reading reading);
    // Moves those whose place lies between these offsets.
    void take_along(std::uint64_t first, std::uint64_t last, std::vector<shared_reading>& into);
    void send(const shared_reading& reading, catch_up_page page);
    // Soon, not inside.
    void on_ended(const catch_up_reader& reader);

private:
    std::vector<shared_reading> next_group();
    void serve();
    void on_taken(const shared_reading& reading, bool more);
    void forget(const shared_reading& reading);

    amqp::client& client_;
    const settings& settings_;
    const std::size_t channel_;
    std::deque<shared_reading> waiting_;
    std::map<std::pair<hub*, std::uint64_t>, shared_reading> latest_;  // of each session: it has one
    std::vector<std::unique_ptr<catch_up_reader>> readers_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace foz::aggregator
