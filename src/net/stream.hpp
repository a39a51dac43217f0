// A connected byte stream, plain TCP or TLS: reading, and writes that are queued by reference and gathered.
#pragma once

#include "base/frame.hpp"
#include "base/ring.hpp"
#include "net/shard.hpp"
#include "net/slots.hpp"
#include "net/tls_peer.hpp"
#include "net/tls_socket.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

namespace foz::net {

// Who uses a stream. Called on the stream's shard, never from inside a call of the stream's own methods. Any of
// these may close or abort the stream and may drop its last reference.
class stream_handler {
public:
    // Valid only during the call; may be changed in place.
    virtual void on_octets(std::span<char> octets) = 0;
    // The peer closed (asio::error::eof) or the connection broke. The last call to this handler. What was queued when
    // the peer closed is still written: it may have closed its own direction alone.
    virtual void on_closed(error_code why) = 0;
    // What was queued has fallen to the low watermark after it had been above the high one.
    virtual void on_drained() {}
    // slow() said "not yet" of a socket that would block, and the patience is over: time to ask again.
    virtual void on_still_blocked() {}

protected:
    ~stream_handler() = default;
};

struct stream_options {
    // Only the two edges are reported; the stream itself never refuses what is queued. Its user bounds it.
    std::size_t high_watermark_bytes = 256 * 1024;
    std::size_t low_watermark_bytes = 64 * 1024;
    // With so much queued in one turn, a write is tried before the turn ends.
    std::size_t flush_bytes = 256 * 1024;
    // Read at once, before the other sockets have their turn; at most what the shard's read buffer holds.
    std::size_t read_bytes_max = 128 * 1024;
};

// When a peer counts as slow. Octets that nobody has tried to write count for nothing: a long turn is not the peer's
// fault.
struct slow_limits {
    // More than this waits for the socket …
    std::size_t queued_bytes_max = 1024 * 1024;
    // … and for so long it has taken nothing: slow.
    std::chrono::milliseconds patience{5'000};
    // More than this is slow at once, also while the socket takes something.
    std::size_t hard_bytes_max = 16 * 1024 * 1024;
    // With more than this queued for all sockets of the shard together there is no patience.
    std::size_t shard_bytes_max = 256 * 1024 * 1024;
};

// A connection that has left one shard and has not been taken in by another one yet. Closed when it is destroyed.
class detached_stream {
public:
    detached_stream(int descriptor, SSL* tls, tcp::endpoint remote);
    detached_stream(detached_stream&& other) noexcept;
    detached_stream& operator=(detached_stream&&) = delete;
    ~detached_stream();

    std::string unread;  // octets that had come for the handler

private:
    friend class stream;
    int descriptor_;
    SSL* tls_;  // null: plain
    tcp::endpoint remote_;
    std::string unsent_;
    slot slot_;
};

// Lives on one shard, owned by whoever started it and kept alive by its own pending operations. After close(), abort()
// or detach() the handler is not called again.
class stream : public turn_listener, public std::enable_shared_from_this<stream> {
public:
    // `from`: who the peer is when a proxy stands between; nothing: whom the system names.
    static std::shared_ptr<stream> plain(shard& home, tcp::socket socket, stream_options options = {},
                                         std::optional<tcp::endpoint> from = std::nullopt);
    // The TLS handshake has been done.
    static std::shared_ptr<stream> tls(shard& home, tls_socket socket, stream_options options = {},
                                       std::optional<tcp::endpoint> from = std::nullopt);

    // One that has left another shard. Null when the system refuses.
    static std::shared_ptr<stream> attach(shard& home, detached_stream from, stream_options options = {});

    ~stream() override;
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;

    // What is queued is written before what others have that don't. For the few whose octets many wait for.
    void write_first() noexcept { line_ = write_line::first; }
    // Starts reading. The handler outlives the stream or closes it first.
    void start(stream_handler& handler);

    // Queues a frame by reference; it is written at the end of the turn. Ignored once the stream has closed.
    void send(frame_ref frame);
    // Queues a copy of the octets, joined to what was queued by write() before. They are for this peer alone: they
    // don't wait while a frame is written to very many.
    void write(std::string_view octets);
    std::size_t queued_bytes() const noexcept { return queued_bytes_; }
    bool above_high_watermark() const noexcept { return above_high_; }
    // on_drained() follows when what is queued has fallen to the low watermark, also when it was never above the high
    // one. False: it is there already, and nothing follows.
    bool tell_when_drained() noexcept;

    // Tries to write what is queued now instead of at the end of the turn. The handler hears of nothing before that.
    void flush_now();
    // A write has been tried, and the socket takes no more for now.
    bool would_block() const noexcept { return blocked_; }
    // Octets that were queued after the last write was tried.
    std::size_t untried_bytes() const noexcept { return queued_bytes_ - tried_bytes_; }
    // Of a socket that would block: when it last took something, or since when it would block.
    steady_time last_progress() const noexcept { return progress_at_; }
    // It would block, and has taken nothing for so long, though our loop was there to give it more.
    bool stuck_for(std::chrono::milliseconds span) const;
    // Judges after trying to write what has not been tried yet. When only patience is left, on_still_blocked() follows.
    bool slow(const slow_limits& limits);

    // When octets last came from the peer; any octets, whatever they mean. The beginning before the first ones.
    steady_time last_octets_at() const noexcept { return octets_at_; }
    // Nothing has been heard of the peer for so long, though we were there to hear it: it was read from, the loop did
    // not stall, and the socket has taken nothing that waited for it.
    bool silent_for(std::chrono::milliseconds span) const;
    // For who asks now and then: since it was last asked, the peer's system has acknowledged something, and octets had
    // been on their way to it by then. What was sent behind them may not have reached it yet.
    bool taking();
    // Since when it is read from and our loop runs without a stall.
    steady_time reading_since() const noexcept { return std::max(reading_since_, home_.awake_since()); }

    // The system ends the connection (ETIMEDOUT) when what was sent has not been acknowledged for so long, and asks a
    // peer every second that it has nothing for whether it is still there, which is to be acknowledged within as long.
    // What acknowledges is the peer's system; its process may hang. A peer that takes nothing for so long though it
    // says that it lives (a window of 0) is ended, too. 0: as the system likes; an idle peer is asked all the same.
    void expect_acknowledgement(std::chrono::milliseconds within);
    // For who asks now and then, of such a stream: the peer's system has acknowledged nothing for so long, though we
    // were there to hear it. The system counts anew when a probe is overtaken by something to send; this doesn't.
    bool unacknowledged_for(std::chrono::milliseconds span);

    // While paused, no octets arrive and TCP slows the peer down.
    void pause_reading();
    void resume_reading();
    bool reading_paused() const noexcept { return paused_; }

    // Writes what is queued, tells the peer that no more comes and waits for it to close too, so that TCP does not
    // throw away what the peer has not read yet; gives up after `within`. No more callbacks from here on.
    void close(std::chrono::milliseconds within = std::chrono::seconds(5));
    // Closes at once.
    void abort();
    bool open() const noexcept { return state_ == state::open; }
    // Gives the slot back when the connection has ended.
    void keep(slot taken) noexcept { slot_ = std::move(taken); }
    // The slot that is kept becomes one of this pool below it (slot::nest).
    bool nest(const std::shared_ptr<slot_pool>& below) noexcept { return slot_.nest(below); }
    // Leaves this shard, with what is queued; from inside on_octets(). Nothing when it can't leave: TLS in the middle
    // of a write, or of a record that has arrived only in part. Then it can be written to and closed, and no more.
    std::optional<detached_stream> detach();

    shard& home() noexcept { return home_; }
    // Other sockets go first, or no longer.
    virtual void move_to(lane) {}
    // The peer's address as it was when the connection began, or the one that its proxy named; an unspecified address
    // when the peer was gone by then.
    const tcp::endpoint& remote() const noexcept { return remote_; }
    // Who the peer is by its certificate (verified_name()).
    virtual std::optional<std::string> certified_as(peer_name) const { return std::nullopt; }

protected:
    stream(shard& home, tcp::endpoint remote, stream_options options);

    virtual void start_reading() = 0;  // a read operation is to be pending
    // Takes what it can without waiting and says how much that was; would_block when it takes nothing for now. Never
    // calls the handler.
    virtual std::size_t write_some(std::span<const asio::const_buffer> buffers, error_code& error) = 0;
    virtual void wait_writable() = 0;    // writable() is to be called, once, when the socket takes octets again
    virtual void shutdown_output() = 0;  // everything has been written: send TCP's FIN
    virtual void close_socket() = 0;     // after which pending operations end with an error
    virtual std::optional<detached_stream> take_out() { return std::nullopt; }  // then the socket is not used any more
    virtual int descriptor() { return -1; }                                     // of the socket; -1: it has none

    std::shared_ptr<stream> self() { return shared_from_this(); }
    // While closing, octets are read to be thrown away.
    bool wants_octets() const noexcept {
        return !peer_done_ && (state_ == state::closing || (state_ == state::open && !paused_));
    }
    bool closed() const noexcept { return state_ == state::closed; }

    static constexpr std::size_t gather_max = 64;  // buffers in one write

    // For the two kinds of stream.
    void deliver(std::span<char> octets);
    void fail(error_code why);
    // Fills `out` with what is to be written next; returns how many entries are used.
    std::size_t gather(std::span<asio::const_buffer> out);
    bool has_queued() const noexcept { return !queue_.empty() || tail_; }
    void written(std::size_t octets);
    void writable(error_code error);
    const stream_options& options() const noexcept { return options_; }

private:
    enum class state { open, closing, closed };

    void on_turn_end(write_line which) override;
    void queue_more(std::size_t octets, write_line which);
    void seal_tail();
    error_code flush();
    void block(bool took_something);
    void take_off(std::size_t octets);
    void tell_drained();
    void come_back_at_turn_end(write_line which = write_line::round);
    void forget_queue();
    std::chrono::nanoseconds stuck_span() const;  // of a socket that would block
    void on_patience_over();
    void output_done();
    void shut();

    shard& home_;
    const tcp::endpoint remote_;
    const stream_options options_;
    stream_handler* handler_ = nullptr;
    ring<frame_ref> queue_;
    std::unique_ptr<std::string> tail_;  // write()'s octets that are not a frame yet; mostly there are none
    std::size_t front_offset_ = 0;       // octets of the first frame that are written already
    std::size_t queued_bytes_ = 0;
    std::uint32_t acknowledged_ = 0;  // taking(): octets that the peer's system had acknowledged, modulo 2³²
    bool was_behind_ = false;         // and others were on their way
    std::size_t tried_bytes_ = 0;     // of these: a write has been tried, and the socket did not take them
    slot slot_;
    steady_time progress_at_{};
    steady_time octets_at_;
    steady_time reading_since_;
    state state_ = state::open;
    bool paused_ = false;
    bool peer_done_ = false;  // TCP's FIN has come: nothing is to be read any more
    bool above_high_ = false;
    bool drained_due_ = false;       // the handler is to hear that it is below the low watermark
    bool blocked_ = false;           // the socket takes no more for now
    bool writable_pending_ = false;  // wait_writable() has been called
    std::uint8_t due_ = 0;           // a bit for each line in which it waits for the turn's end
    write_line line_ = write_line::round;
    // Open: of a socket that would block; closing: of the peer that is waited for.
    wheel_timer patience_timer_{this, [](stream& s) { s.on_patience_over(); }};
};

}  // namespace foz::net
