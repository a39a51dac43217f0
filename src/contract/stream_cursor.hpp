// Reading a stream: one definition for live reading, for catching up and for a service's followers. No I/O: deliveries,
// losses and the time go in, what they mean comes out.
#pragma once

#include "amqp/codec/field_table.hpp"
#include "base/clock.hpp"
#include "contract/id_window.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::contract {

// Where an entry is, and a hash that tells it from another entry that is there after the stream was made anew. Offsets
// have holes: they are compared, and never computed with but as a hint where to begin.
struct stream_place {
    std::uint64_t offset = 0;
    std::uint32_t check = 0;
    friend bool operator==(const stream_place&, const stream_place&) = default;
};

// A stream's offsets are signed on the wire: no stream has a higher one.
inline constexpr std::uint64_t stream_offset_max = INT64_MAX;

// Where a consumer begins (RabbitMQ's x-stream-offset).
struct attach_at {
    enum class kind : std::uint8_t { first, next, offset, time };
    kind what = kind::next;
    std::uint64_t value = 0;  // offset: at most stream_offset_max; time: seconds since 1970
    friend bool operator==(const attach_at&, const attach_at&) = default;
};

// The arguments of basic.consume. An offset that is too high to be true becomes the highest.
amqp::table stream_arguments(const attach_at& where);

struct stream_cursor_options {
    attach_at begin;
    // Our own markers' message ids begin with it. Nobody else's do.
    std::string marker_prefix;
    // A marker is published at each attaching until the end has been reached; otherwise only after a silence.
    bool marker_at_start = true;
    std::size_t ids_max = 10'000;  // of the dedupe window

    // Begins so many entries (by their offsets) before what `begin` leads to: the end of the stream for `next`, the
    // place itself for an offset, the first entry of that time. They are given as history: what has been said already,
    // which fills a window and a ring, and is new to nobody. 0: none.
    std::uint64_t history_entries = 0;
    // When the history before the end takes more than this, it is begun anew nearer to the end, at most about ten
    // times.
    std::size_t history_octets_max = SIZE_MAX;
    std::chrono::milliseconds history_time_max{60'000};
    // After evidence of a stream made anew: so many entries before the evidence. Not more than the dedupe window knows
    // when the stream has only lost its last entries, as many again.
    std::uint64_t recreated_back = 5'000;

    // After so long without proof or progress the broker is asked again; each time after twice as long.
    std::chrono::milliseconds silence_min{2'000};
    std::chrono::milliseconds silence_max{30'000};
    // The same for what was attached and has heard nothing yet that was published later.
    std::chrono::milliseconds sign_silence_min{500};
    // After so long without any entry at the end of the stream it has to be shown again; each time after twice as long.
    std::chrono::milliseconds quiet_min{3'000};
    std::chrono::milliseconds quiet_max{60'000};
};

// One delivery, as a cursor sees it.
struct delivery_view {
    stream_place at;
    std::string_view message_id;
    bool repeatable = true;  // an answer is not: it is said again, under the same id, to whoever asks again
    bool marker = false;     // ours or another reader's
    bool too_large = false;  // its content was not read
    std::size_t octets = 0;
};

struct cursor_event {
    enum class kind : std::uint8_t {
        entry,      // this delivery, for the first time
        duplicate,  // this delivery says again what was said: its place counts, its content does not
        skipped,    // this delivery is our marker or was too large: the same
        repeated,   // this delivery was read already, or is of no interest: nothing counts
        gap,        // entries before this delivery are gone; with `recreated` the stream is another one
        restarted,  // the history given so far does not lead to what comes: forget it
        publish_marker,
        ask_again,  // give this opening of the channel up, and attach anew at where()
        proven,     // after an interruption: the stream goes on where it was
        caught_up,  // once: everything before has been read
    };
    enum class cause : std::uint8_t { none, retention, recreated, marker, too_large };

    kind what;
    bool history = false;     // entry, duplicate, skipped
    cause why = cause::none;  // gap, skipped
    std::string marker;       // publish_marker: its message id
};

// Attaching and the evidence
// --------------------------
// A stream is believed to be another one only when an entry shows it: another entry at the place that was read last, or
// a marker of our own, published after that place was read, at or below it. Other entries at lower offsets show
// nothing: a replica that lags behind gives them. Silence shows nothing either: a consumer that was asked to begin
// above the end of a stream is silent, and so is a broker that is slow. It means: look for evidence (attach at "next"
// and publish a marker), then ask at the old place again, in turns, ever more slowly.
//
// A consumer that was attached is not believed to hear before it has brought a marker of our own that was published
// later: while a cluster elects a stream's leader, RabbitMQ attaches consumers to a replica that has ended, which give
// what was there and nothing that comes. Those that were attached before may stay with such a replica, too. So at the
// first silence after an attaching, and after a longer one at any time, a marker is published; when it does not come,
// the broker is asked again.
//
// A hole in the offsets is what the end of a segment leaves, and also what retention leaves when it overtakes a
// consumer. So the old place is asked again: while its entry is there, nothing behind it is gone.
//
// A cursor begins detached. attaching() is called before basic.consume is sent, since deliveries may overtake its
// answer; attached() when it has been answered, lost() when the channel is gone. After ask_again deliveries are of no
// interest until attaching(). tick() is due at deadline().
class stream_cursor {
public:
    explicit stream_cursor(stream_cursor_options options);

    attach_at where() const;
    void attaching();
    void attached(steady_time now, std::vector<cursor_event>& out);
    void lost();
    void delivered(const delivery_view& view, steady_time now, std::vector<cursor_event>& out);
    void tick(steady_time now, std::vector<cursor_event>& out);
    // Until now the broker was kept from sending: silence counts from here on.
    void listen(steady_time now);
    std::optional<steady_time> deadline() const noexcept { return deadline_; }

    // What was read last in this stream.
    const std::optional<stream_place>& last() const noexcept { return last_; }
    bool is_caught_up() const noexcept { return phase_ == phase::live; }
    std::size_t ids() const noexcept { return ids_.size(); }

private:
    using kind = cursor_event::kind;
    using cause = cursor_event::cause;
    enum class phase : std::uint8_t {
        locating,     // where the history begins is not known yet
        catching_up,  // the end has not been reached
        live,
    };
    enum class link : std::uint8_t {
        detached,
        proving,  // nothing has shown yet that this is the stream that was read before
        probing,  // attached at "next", where only evidence counts
        reading,
    };

    void locate(const delivery_view& view, std::vector<cursor_event>& out);
    void probe(const delivery_view& view, steady_time now, std::vector<cursor_event>& out);
    void prove(const delivery_view& view, steady_time now, std::vector<cursor_event>& out);
    void accept(const delivery_view& view, steady_time now, std::vector<cursor_event>& out);
    void believe(steady_time now, std::vector<cursor_event>& out);
    void recreate(std::uint64_t evidence, std::vector<cursor_event>& out);
    void ask_again(std::vector<cursor_event>& out);
    void publish_marker(std::vector<cursor_event>& out);
    bool is_ours(const delivery_view& view) const;
    bool is_of_this_attaching(const delivery_view& view) const;
    void count_history(const delivery_view& view, steady_time now, std::vector<cursor_event>& out);
    void arm(steady_time now);

    const stream_cursor_options options_;
    attach_at begin_;
    phase phase_;
    link link_ = link::detached;
    bool probe_ = false;  // the next attaching is a probe
    std::optional<stream_place> last_;
    std::optional<std::uint64_t> hole_end_;     // where a hole behind it ends that was asked about
    std::optional<std::uint64_t> history_end_;  // entries before it are history
    std::optional<std::uint64_t> end_;          // where our first marker is: with it the end is reached
    id_window ids_;

    std::uint64_t markers_ = 0;         // published so far
    std::uint64_t markers_before_ = 0;  // of these, before this attaching: no evidence
    bool hears_ = false;                // since this attaching something has come that was published later
    std::chrono::milliseconds pause_;
    std::chrono::milliseconds sign_pause_;
    std::chrono::milliseconds quiet_pause_;
    unsigned silences_ = 0;  // since the last progress
    std::optional<steady_time> deadline_;
    struct {
        std::size_t octets = 0;
        std::uint64_t entries = 0;
        std::optional<steady_time> since;
    } round_;  // of history, since it was begun or begun nearer
};

}  // namespace foz::contract
