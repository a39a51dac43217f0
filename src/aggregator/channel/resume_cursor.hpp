// One session that goes on where it was: first what it missed, then what comes. No I/O.
#pragma once

#include "aggregator/channel/page.hpp"
#include "aggregator/channel/page_index.hpp"
#include "aggregator/channel/recent.hpp"
#include "envelope/envelope.hpp"
#include "envelope/events.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace foz::aggregator {

// While a channel is being resumed, live entries are not delivered to the session: they are among the channel's recent
// entries, which the cursor reads until it has reached the end. What is older it asks of the stream, page by page,
// until a page meets the recent entries. Order and completeness hold without a copy of anything.
//
// The recent entries may be those of the stream before, as long as this shard has not noticed that there is a new one.
// So they continue what was read only when both have an entry in common, with the same check: offsets that fit together
// show nothing. Where the two don't overlap, the stream is asked again.
//
//             ┌── moved on, no overlap ──┐
//   begin → in_ring ───── end ─────────────→ live
//     │        ↑ meets, last             │
//     └→ wants_page → awaits_page → in_page ─── gap that ends it ──→ ended
//                          ↑ more ──┘
class resume_cursor {
public:
    enum class state : std::uint8_t {
        begin,        // nothing has been looked at
        in_ring,      // reads recent entries
        wants_page,   // the stream is to be asked
        awaits_page,  // it has been asked
        in_page,      // reads a page
        live,         // nothing is missing any more
        ended,        // it has come as far as it will: the session is live from here on, and was told of a gap
    };

    enum class action : std::uint8_t {
        deliver,    // `item`, when the session hears it
        read,       // ask the stream, from `from` on
        page_done,  // the page is finished: answer it, with `more`
        gap,        // tell the session, and that it goes on at `where`
        wait,       // for a page; in_ring: for the channel to come as far, or to the same stream, as the client
        pause,      // the budget is used up: call again
        live,       // go over to live entries
        ended,      // the same, and something was missed for good
    };
    struct step {
        action what = action::wait;
        entry_ref item = {};
        envelope::resume_from from = {};
        bool more = false;
        envelope::gap_cause cause = envelope::gap_cause::retention;
        std::optional<envelope::position> where = {};
    };

    // Whom the entries are for, as far as an index can tell: what it leaves out is not for this session.
    struct listener {
        page_index::listener is;
        const std::set<std::string>* groups = nullptr;
    };

    // At most so many entries are read on the way.
    resume_cursor(const envelope::resume_from& from, std::size_t entries_max);

    // What is to be done next. Each entry that is looked at costs one of the budget, and so does a look into an index.
    // `head`: the place of the channel's last entry on this shard, for gaps.
    step next(const recent_entries& recent, const std::optional<envelope::position>& head, const listener& who,
              std::size_t& budget);
    // The session hears something else from now on.
    void interest_changed() noexcept { picked_.reset(); }
    // A page has come; only while one is awaited.
    void take(page next_page);

    state now() const noexcept { return state_; }
    // The stream has been asked, and was not yet told that no more is wanted.
    bool reads_the_stream() const noexcept { return state_ == state::awaits_page || page_owed_; }
    // The last entry that it has passed: a client that comes back there has missed nothing.
    const std::optional<envelope::position>& last() const noexcept { return last_; }
    // What another cursor has to begin with to go on from here.
    envelope::resume_from from_here() const;

private:
    using place = std::optional<envelope::position>;
    // The stream that the recent entries are of, compared with the one that was read.
    enum class kinship : std::uint8_t { unknown, same, other };
    // Entries one behind the other, of a page or of a block of the ring.
    struct run {
        std::uint64_t number;  // of the page or block: whose picks are remembered
        std::span<const entry_ref> entries;
        const page_index* index;  // null: each is looked at
        std::size_t end;          // the entries before it are read
    };

    step start(const recent_entries& recent);
    step read_page(const recent_entries& recent, const place& head, const listener& who, std::size_t& budget);
    step read_ring(const recent_entries& recent, const place& head, const listener& who, std::size_t& budget);
    std::size_t meeting(const recent_entries& recent, std::span<const entry_ref> entries);
    void compare(const entry& recent_one, const envelope::position& with) noexcept;
    step ask_stream();
    std::optional<step> read(const run& of, std::size_t& at, const place& head, const listener& who,
                             std::size_t& budget);
    std::size_t next_pick(const run& of, std::size_t at, const listener& who, std::size_t& budget);
    bool pass_over(const run& of, std::size_t from, std::size_t to);
    step finish_page(bool more, state then);
    step end(envelope::gap_cause cause, const place& where);

    const envelope::resume_from from_;
    const std::size_t entries_max_;
    state state_ = state::begin;
    std::optional<page> page_;  // in_page
    std::size_t at_ = 0;        // in it
    bool page_owed_ = false;    // a page has come and was not answered yet
    kinship ring_ = kinship::unknown;
    bool nothing_before_ring_ = false;  // the stream had nothing at all for it
    std::uint64_t next_offset_ = 0;     // everything before it has been passed
    std::optional<envelope::position> last_;
    // Which entries of a page or block are to be looked at, and which of them is next.
    std::optional<std::uint64_t> picked_;
    std::vector<std::uint32_t> picks_;
    std::size_t next_pick_ = 0;
    std::uint64_t pages_ = 0;    // that have come
    std::uint64_t since_s_ = 0;  // older entries are not wanted
    std::uint64_t said_s_ = 0;   // the last time that an entry has named
    std::size_t entries_ = 0;
};

std::string_view to_string(resume_cursor::state state) noexcept;

}  // namespace foz::aggregator
