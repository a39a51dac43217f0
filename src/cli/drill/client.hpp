// The built-in client: it writes, hears and comes back as the Primus client does, with the Foz plugin or without it.
#pragma once

#include "cli/drill/history.hpp"
#include "cli/events.hpp"
#include "cli/primus_client.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

namespace foz::cli::drill {

struct client_setup {
    std::vector<std::uint16_t> ports;  // of the aggregators, in the order in which they are tried
    std::string resume;
    std::string bound_channel;  // the socket's only one (`?channel=`); empty: it carries them all
    bool plugin = true;         // else the stock client: no ids, no outbox, no positions
    milliseconds pace{0};       // between an outcome and the next message on the same channel
    milliseconds patience{0};   // for an outcome
};

// One socket at a time, used by one coroutine on one shard. It writes to each of its lines (channels) one message after
// the other, requests and plain writes, each when the one before has its outcome, and notes everything in the lines,
// which outlive it.
class drill_client {
public:
    drill_client(net::shard& home, client_setup setup, std::vector<std::uint32_t> numbers, std::vector<line*> lines);
    drill_client(const drill_client&) = delete;
    drill_client& operator=(const drill_client&) = delete;

    // Until stop().
    boost::asio::awaitable<void> run();

    // On its shard.
    void stop();
    void set_writing(bool on);
    // The next message on this line is a poison: it kills its worker, and its only right outcome is `expected`.
    void write_poison(std::size_t which, const std::string& expected);
    // The socket is cut; the client comes back after so long.
    void drop(milliseconds away);
    // The socket stays open, but nobody is behind it any more; the client comes back with another one.
    void abandon();
    // Nothing is read for so long.
    void sleep(milliseconds span);

    bool connected() const noexcept { return socket_ != nullptr; }
    bool listening() const;
    // No message waits for its outcome.
    bool settled() const;

private:
    struct state {  // of a line
        std::uint32_t number = 0;
        line* all = nullptr;
        std::optional<std::uint32_t> waiting;  // number of the message that has no outcome yet
        std::uint64_t frame = 0;               // that carried it on this socket
        steady_time give_up_at{};
        steady_time next_at{};  // when the next one is written, or this one again
        bool again = false;
        bool consuming = false;
        std::string position;
        std::unordered_set<std::string> seen;  // ids, as the plugin remembers them …
        std::deque<std::string> seen_order;    // … and forgets them
        std::string poison;                    // the code that the next message expects
    };

    boost::asio::awaitable<void> connect();
    boost::asio::awaitable<void> rest(milliseconds span);
    steady_time next_wake() const;
    void write_due();
    void write_new(state& to);
    void send_operation(state& to);
    void send_frame(const std::string& json);
    void consume(state& of);
    void on_open();
    void on_ended();
    void on_data(const client_event& from);
    bool is_repeat(state& of, const std::string& id);
    void on_message(const server_event& event);
    void on_consuming(const server_event& event);
    void on_error(const server_event& event, const std::string& id);
    void settle(state& of, outcome how, std::string code = {});
    state* waiting_for(const std::string& id, std::uint64_t frame);
    state* of_channel(const std::string& channel);
    std::string id_of(const state& of, std::uint32_t number) const;

    net::shard& home_;
    const client_setup setup_;
    std::vector<state> lines_;
    event_reader events_;
    std::unique_ptr<primus_client> socket_;
    std::vector<std::unique_ptr<primus_client>> abandoned_;
    boost::asio::steady_timer wake_;
    std::size_t port_ = 0;
    std::uint64_t frames_ = 0;  // written on this socket
    unsigned consumes_ = 0;
    milliseconds backoff_{0};
    steady_time away_until_{};
    steady_time asleep_until_{};
    bool asleep_ = false;
    bool writing_ = false;
    bool stopped_ = false;
    bool drop_ = false;
    bool abandon_ = false;
};

}  // namespace foz::cli::drill
