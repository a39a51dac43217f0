// A connected byte stream, plain TCP or TLS: reading, and writes that are queued by reference and gathered.
#pragma once

#include "base/frame.hpp"
#include "net/shard.hpp"

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/system/error_code.hpp>

namespace foz::net {

using boost::system::error_code;
using tcp = asio::ip::tcp;

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

protected:
    ~stream_handler() = default;
};

struct stream_options {
    // Only the two edges are reported; the stream itself never refuses what is queued. Its user bounds it.
    std::size_t high_watermark_bytes = 256 * 1024;
    std::size_t low_watermark_bytes = 64 * 1024;
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
};

// Lives on one shard, owned by whoever started it and kept alive by its own pending operations. After close(), abort()
// or detach() the handler is not called again.
class stream : public turn_listener, public std::enable_shared_from_this<stream> {
public:
    static std::shared_ptr<stream> plain(shard& home, tcp::socket socket, stream_options options = {});
    // The TLS handshake has been done.
    static std::shared_ptr<stream> tls(shard& home, asio::ssl::stream<tcp::socket> socket, stream_options options = {});

    // One that has left another shard. Null when the system refuses.
    static std::shared_ptr<stream> attach(shard& home, detached_stream from, stream_options options = {});

    ~stream() override;
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;

    // Starts reading. The handler outlives the stream or closes it first.
    void start(stream_handler& handler);

    // Queues a frame by reference; it is written at the end of the turn. Ignored once the stream has closed.
    void send(frame_ref frame);
    // Queues a copy of the octets, joined to what was queued by write() before.
    void write(std::string_view octets);
    std::size_t queued_bytes() const noexcept { return queued_bytes_; }
    bool above_high_watermark() const noexcept { return above_high_; }

    // While paused, no octets arrive and TCP slows the peer down.
    void pause_reading();
    void resume_reading();

    // Writes what is queued, tells the peer that no more comes and waits for it to close too, so that TCP does not
    // throw away what the peer has not read yet; gives up after `within`. No more callbacks from here on.
    void close(std::chrono::milliseconds within = std::chrono::seconds(5));
    // Closes at once.
    void abort();
    bool open() const noexcept { return state_ == state::open; }
    // Leaves this shard, with what is queued; from inside on_octets(). Nothing when it can't leave: TLS in the middle
    // of a write, or of a record that has arrived only in part. Then it can be written to and closed, and no more.
    std::optional<detached_stream> detach();

    shard& home() noexcept { return home_; }
    // The peer's address as it was when the connection began; an unspecified address when it was gone by then.
    const tcp::endpoint& remote() const noexcept { return remote_; }

protected:
    stream(shard& home, tcp::endpoint remote, stream_options options);

    virtual void start_reading() = 0;    // a read operation is to be pending
    virtual void start_writing() = 0;    // nothing is being written and something is queued
    virtual void shutdown_output() = 0;  // everything has been written: send TCP's FIN
    virtual void close_socket() = 0;     // after which pending operations end with an error
    virtual std::optional<detached_stream> take_out() { return std::nullopt; }  // then the socket is not used any more

    std::shared_ptr<stream> self() { return shared_from_this(); }
    // While closing, octets are read to be thrown away.
    bool wants_octets() const noexcept {
        return !peer_done_ && (state_ == state::closing || (state_ == state::open && !paused_));
    }
    bool closed() const noexcept { return state_ == state::closed; }

    // For the two kinds of stream.
    void deliver(std::span<char> octets);
    void fail(error_code why);
    // Fills `out` with what is to be written next; returns how many entries are used.
    std::size_t gather(std::span<asio::const_buffer> out);
    bool has_queued() const noexcept { return !queue_.empty() || !tail_.empty(); }
    void written(std::size_t octets);
    void write_ended() noexcept { writing_ = false; }
    bool writing() const noexcept { return writing_; }

private:
    enum class state { open, closing, closed };

    void on_turn_end() override;
    void queue_more(std::size_t octets);
    void seal_tail();
    void output_done();
    void shut();

    shard& home_;
    const tcp::endpoint remote_;
    const stream_options options_;
    stream_handler* handler_ = nullptr;
    std::deque<frame_ref> queue_;
    std::string tail_;              // write()'s octets that are not a frame yet
    std::size_t front_offset_ = 0;  // octets of the first frame that are written already
    std::size_t queued_bytes_ = 0;
    state state_ = state::open;
    bool paused_ = false;
    bool peer_done_ = false;  // TCP's FIN has come: nothing is to be read any more
    bool above_high_ = false;
    bool writing_ = false;  // a write waits for the socket
    bool turn_end_due_ = false;
    wheel_timer closing_timer_{this, [](stream& s) { s.abort(); }};
};

}  // namespace foz::net
