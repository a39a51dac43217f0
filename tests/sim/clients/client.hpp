// A model of a browser's page: Primus' connection, and what the page does with it.
#pragma once

#include "aggregator/aggregator_process.hpp"
#include "aggregator/channel/interest.hpp"
#include "clients/heard.hpp"
#include "core/ws_link.hpp"
#include "ws/codec/parser.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace foz::sim {

class oracle;

// What a page may do on a channel.
struct publish_wish {
    std::size_t channel = 0;
    std::int64_t number = 0;  // of this message, in the run
    std::string message;      // JSON
    std::string topic;
    bool with_id = true;  // stock: the page gives it one
    bool answer = false;  // it awaits one
    std::string more;     // further members of the envelope, each with a comma before it
};

// Keeps a connection as Primus 8 does: comes back with pauses that double, buffers what is written while the socket is
// closed and flushes it on reopening before anybody hears of `open`, answers pings, and gives a silent socket up.
class client : public process, private link_end, private handshake_listener, private ws::parser_handler {
public:
    client(environment& around, oracle& judge, std::vector<aggregator_process*> to, unsigned index,
           std::string identity);
    ~client() override;

    unsigned index() const noexcept { return index_; }
    const std::string& identity() const noexcept { return identity_; }
    bool open() const noexcept { return state_ == state::open; }
    virtual bool plugin() const noexcept = 0;
    // What its message ids begin with.
    virtual std::string prefix() const { return {}; }
    // The aggregator that it is connected to, or null.
    aggregator_process* home() const noexcept { return open() ? home_ : nullptr; }
    const std::shared_ptr<ws_link>& link() const noexcept { return link_; }
    // Counts its sockets.
    std::uint32_t session() const noexcept { return sessions_; }
    steady_time open_since() const noexcept { return open_since_; }

    // The page.
    virtual void consume(std::size_t channel, const aggregator::interest& what) = 0;
    virtual void leave(std::size_t channel) = 0;
    virtual void publish(const publish_wish& what) = 0;
    // It still waits for something that will come, or tell why not.
    virtual std::size_t waiting() const = 0;
    // Reads no more for so long.
    void stop_reading(duration span);

    // For whoever replays what it did: called with each frame that it gets and sends, and with what its page does.
    std::function<void(std::string_view what, std::string_view text)> record;

protected:
    void on_start() override;
    // What Primus does with a frame: into the socket or into its buffer.
    void write(std::string frame);
    const std::string& channel_name(std::size_t channel) const { return around_.with.channels[channel].name; }
    std::optional<std::size_t> channel_of(const std::string& name) const;
    void note(std::string_view what, std::string_view text) const {
        if (record) record(what, text);
    }

    virtual handshake greeting() = 0;
    virtual void on_opened() = 0;
    virtual void on_lost() = 0;
    virtual void on_heard(const heard& frame) = 0;
    virtual duration first_pause() = 0;

    environment& around_;
    oracle& oracle_;

private:
    enum class state : std::uint8_t { closed, connecting, open, given_up };

    void connect();
    void lose(bool come_back);
    void send_text(std::string_view text);
    void watch_silence();

    void on_accepted() override;
    void on_refused() override;
    void on_octets(std::string& octets) override;
    void on_end() override;
    void on_message(ws::opcode, std::string_view payload) override;
    void on_ping(std::string_view) override {}
    void on_pong(std::string_view) override {}
    void on_close(ws::close_code, std::string_view) override { closed_by_peer_ = true; }

    const std::vector<aggregator_process*> to_;
    const unsigned index_;
    const std::string identity_;
    state state_ = state::closed;
    aggregator_process* home_ = nullptr;
    std::shared_ptr<ws_link> link_;
    std::unique_ptr<ws::parser> parser_;
    std::deque<std::string> buffer_;
    std::uint32_t sessions_ = 0;
    std::uint32_t attempt_ = 0;
    unsigned failures_ = 0;
    steady_time heard_at_{};
    steady_time open_since_{};
    bool closed_by_peer_ = false;
    bool stay_away_ = false;
};

// Repeated consumes are a union.
void add(aggregator::interest& to, const aggregator::interest& what);

// {"packet_action":"consume",…}
std::string consume_frame(const std::string& channel, const std::string& id, const aggregator::interest& what,
                          const std::string& own_name, const std::string& from);

}  // namespace foz::sim
