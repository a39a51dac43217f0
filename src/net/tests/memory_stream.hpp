// A stream without a socket: the test is the peer, takes what it likes and when, and nothing depends on timing.
#pragma once

#include "net/stream.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace foz::net {

class memory_stream final : public stream {
public:
    explicit memory_stream(shard& home, stream_options options = {}) : stream(home, {}, options) {}

    // The peer sends. The octets lie in memory of their own size, so that a sanitizer sees every step outside.
    void receive(std::string_view octets) {
        std::vector<char> copy(octets.begin(), octets.end());
        copy.shrink_to_fit();
        deliver(copy);
    }
    // The peer closes TCP.
    void hang_up() { fail(boost::asio::error::eof); }
    // The peer reads up to `most` octets.
    std::string take(std::size_t most = std::string::npos) {
        std::string taken;
        std::array<boost::asio::const_buffer, 64> buffers;
        while (!closed() && has_queued() && taken.size() < most) {
            const std::size_t used = gather(buffers);
            const std::size_t before = taken.size();
            for (std::size_t i = 0; i < used && taken.size() < most; ++i)
                taken.append(static_cast<const char*>(buffers[i].data()),
                             std::min(buffers[i].size(), most - taken.size()));
            written(taken.size() - before);
        }
        return taken;
    }
    // Would octets of the peer be read now?
    bool reads() const noexcept { return wants_octets(); }
    bool ended() const noexcept { return closed() || finished_; }

private:
    void start_reading() override {}
    // The peer takes nothing by itself.
    std::size_t write_some(std::span<const boost::asio::const_buffer>, error_code& error) override {
        error = boost::asio::error::would_block;
        return 0;
    }
    void wait_writable() override {}
    void shutdown_output() override { finished_ = true; }
    void close_socket() override {}

    bool finished_ = false;
};

}  // namespace foz::net
