// Older entries of a durable channel's stream, for sessions that come back after long.
#pragma once

#include "aggregator/channel/page.hpp"
#include "aggregator/feed/feed_sink.hpp"
#include "aggregator/settings.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace foz::aggregator {

class catch_up_reader;

// A request on its way. It goes from reader to reader: its place moves on with every page, and whoever has not taken a
// page while others wait is left behind, costs nothing, and is queued again when it asks for more.
struct catch_up_reading {
    page_request what;
    catch_up_reader* by = nullptr;
    bool joined = false;                     // its first entry has been found
    bool waiting = false;                    // has not taken its page yet
    bool stale = false;                      // its session has asked for something else since
    std::optional<envelope::gap_cause> gap;  // to be told with its next page

    // What it read, or asked for, does not lead to what comes.
    void begin_anew(envelope::gap_cause why) {
        gap = why;
        joined = false;
        what.from = {.what = envelope::resume_from::kind::first, .where = {}};
    }
};
using shared_reading = std::shared_ptr<catch_up_reading>;

struct catch_up_counters {
    std::uint64_t readers = 0;      // that began to read
    std::uint64_t pages = 0;        // given to sessions
    std::uint64_t left_behind = 0;  // times that a session had not taken its page while others waited
    std::uint64_t gave_way = 0;     // readers that ended because others waited
    std::uint64_t parked = 0;       // times that a reader stopped until its pages were taken
    std::uint64_t too_large = 0;    // bodies that were skipped
};

// A few readers for each channel, shared by all sessions that wait: one begins where who waits longest left, and takes
// along those whose places are near, and whoever's place it comes by. When all are busy, one that has read much gives
// way: whoever waits waits for a few pages, whatever the others do. Lives on the readers' shard.
class catch_up final {
public:
    // The connection for streams; what publishes markers.
    catch_up(amqp::client& streams, amqp::publisher& markers, const settings& all, std::size_t channel,
             feed_sink& sink);
    ~catch_up();
    catch_up(const catch_up&) = delete;
    catch_up& operator=(const catch_up&) = delete;

    // Pages come through feed_sink::on_page(), soon and not inside. A session's earlier readings end with the next
    // page that they are asked about.
    void add(const page_request& request);
    // The answer to a page: the session can take more, or needs no more. Exactly once for each page; a reading that is
    // not known (any more) is ignored.
    void taken(const reading_id& who, bool more);

    std::size_t readings() const noexcept { return readings_.size(); }
    const catch_up_counters& counters() const noexcept { return counters_; }

    // From readers.
    void count_too_large() noexcept { ++counters_.too_large; }
    void count_left_behind(std::size_t sessions) noexcept { counters_.left_behind += sessions; }
    void count_gave_way() noexcept { ++counters_.gave_way; }
    void count_parked() noexcept { ++counters_.parked; }
    bool anyone_waits() const noexcept { return !waiting_.empty(); }
    void put_back(shared_reading reading);
    void serve();
    // Moves those whose place lies between these offsets.
    void take_along(std::uint64_t first, std::uint64_t last, std::vector<shared_reading>& into);
    void send(const shared_reading& reading, page what);
    void publish_marker(const std::string& id);
    // Soon, not inside.
    void on_ended(const catch_up_reader& reader);

private:
    std::vector<shared_reading> next_group();

    amqp::client& client_;
    amqp::publisher& markers_;
    const settings& settings_;
    const std::size_t channel_;
    feed_sink& sink_;
    std::deque<shared_reading> waiting_;
    std::map<reading_id, shared_reading> readings_;
    std::vector<std::unique_ptr<catch_up_reader>> readers_;
    catch_up_counters counters_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace foz::aggregator
