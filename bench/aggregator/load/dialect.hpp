// The same things said to the three servers: Foz (docs/protocol.md), bun_server.js and the bare loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace foz::load {

enum class server_kind : std::uint8_t { foz, bun, bare };

server_kind kind_of(const std::string& name);

class dialect {
public:
    dialect(server_kind kind, std::string channel) : kind_(kind), channel_(std::move(channel)) {}

    std::string path() const { return kind_ == server_kind::foz ? "/primus/" : "/"; }
    // Hear broadcasts. Answered by one message.
    std::string hear_all() const;
    // Hear these topics (patterns, for Foz), or be in these groups. Answered by one message.
    std::string hear_topics(const std::vector<std::string>& topics) const;
    std::string join_groups(const std::vector<std::string>& groups) const;
    // A publish on a WebSocket, to the servers without a broker; no topic: everybody.
    std::string publish(const std::string& topic, std::string_view body) const;
    // Is this a message that was published?
    bool is_delivery(std::string_view payload) const {
        return kind_ == server_kind::foz ? payload.starts_with(R"({"event":"message")")
                                         : !payload.empty() && payload.front() == 'x';
    }
    server_kind kind() const noexcept { return kind_; }
    const std::string& channel() const noexcept { return channel_; }

private:
    server_kind kind_;
    std::string channel_;
};

// Of a message from Foz: the text that follows `name` and begins with a quotation mark.
std::string_view quoted_after(std::string_view payload, std::string_view name);
// The number that a message's body begins with (`mark`); -1: none.
std::int64_t mark_of(std::string_view payload);
std::string text_frame(std::string_view payload);

}  // namespace foz::load
