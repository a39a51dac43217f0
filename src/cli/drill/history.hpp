// What happened in a drill, as its clients, its workers and the drill itself have seen it. Plain values: the audit, the
// report and the plot read them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace foz::cli::drill {

using instant = std::chrono::steady_clock::time_point;
using std::chrono::milliseconds;

enum class outcome : std::uint8_t {
    unknown,    // nobody has told (yet)
    confirmed,  // a receipt
    answered,
    refused,  // an error
};

// One message that a client has written.
struct operation {
    instant written;
    instant settled;  // when its outcome was told
    outcome how = outcome::unknown;
    bool request = false;  // an answer is awaited, else a receipt
    bool cut = false;      // the socket that carried it ended before the outcome came
    unsigned sent = 1;     // times
    std::string code;      // of the error
    std::string expected;  // the error that is right for it; empty: it is to be acknowledged

    bool acknowledged() const { return how == outcome::confirmed || how == outcome::answered; }
};

// A message that came to the application of a client. Numbers count from 1.
struct delivery {
    std::uint32_t sender = 0;  // the line that wrote it
    std::uint32_t number = 0;
    instant at;
};

// A time in which a client was not there to hear: its socket had ended, or it had not consumed again.
struct absence {
    instant from;
    instant until = instant::max();
};

struct told_gap {
    instant at;
    std::string cause;
};

// One client on one channel.
struct line {
    std::string client;
    std::string channel;
    bool durable = true;
    bool ordered = false;  // order = client
    bool resumes = true;   // as the plugin does; the stock client does not

    std::vector<operation> operations;  // the n-th one has the number n + 1
    std::vector<delivery> heard;
    std::uint64_t again = 0;             // deliveries that the plugin's window of ids has kept from the application
    instant listening = instant::max();  // since when it consumes
    std::vector<absence> away;
    std::vector<told_gap> gaps;
};

struct fault {
    instant at;
    std::string what;
    // When what nobody could do without was there again; of an outage only.
    std::optional<instant> over = {};
};

// A handler has begun to work on a message.
struct run {
    std::uint32_t sender = 0;
    std::uint32_t number = 0;
};

struct history {
    instant begun;
    instant ended;  // of the load
    std::vector<line> lines;
    std::vector<fault> faults;
    std::vector<run> runs;
};

}  // namespace foz::cli::drill
