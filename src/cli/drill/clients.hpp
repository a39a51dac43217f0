// All clients of a drill: the built-in ones, or the real Primus client in Node.
#pragma once

#include "cli/drill/history.hpp"
#include "cli/drill/process.hpp"
#include "cli/drill/system.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace foz::cli::drill {

struct clients_setup {
    unsigned count = 8;
    unsigned sockets = 1;  // of each client: one for everything, or one for each channel
    bool plugin = true;    // else the stock client: no ids, no outbox, no positions
    std::string library;   // a file: the client library of another build, for every other client in Node
    std::vector<std::uint16_t> ports;
    std::vector<drill_channel> channels;
    milliseconds pace{100};          // between an outcome and the next message of a client on a channel
    milliseconds patience{120'000};  // for an outcome: longer than any outage of a drill; the plugin has no end to it
};

struct progress {
    std::uint64_t written = 0;
    std::uint64_t acknowledged = 0;
    std::uint64_t heard = 0;
    std::size_t listening = 0;  // clients
    bool settled = false;       // nobody waits for an outcome
    bool complete = false;      // and everybody has heard what was acknowledged on durable channels
};

// Used by the drill's thread. They write once set_writing() has said so.
class clients {
public:
    virtual ~clients() = default;

    virtual std::size_t size() const = 0;
    virtual void start() = 0;
    virtual void set_writing(bool on) = 0;
    virtual progress look() = 0;

    // All sockets of one client are cut; it comes back after so long.
    virtual void drop(std::size_t client, milliseconds away) = 0;
    // They stay open, but nobody is behind them any more; the client comes back with others.
    virtual void abandon(std::size_t client) = 0;
    // The client reads nothing for so long.
    virtual void sleep(std::size_t client, milliseconds span) = 0;
    // The next message of this client on the first channel is a poison, whose only right outcome is this error.
    virtual void write_poison(std::size_t client, const std::string& expected) = 0;

    // Ends them; what they noted is then the caller's. Once.
    virtual std::vector<line> finish() = 0;
};

std::unique_ptr<clients> make_built_in_clients(const clients_setup& how);
// Throws skipped where Node or the packages of clients/js are not found.
std::unique_ptr<clients> make_node_clients(const clients_setup& how, const temporary_folder& folder);

// For both.
std::vector<line> make_lines(const clients_setup& how);
// The counts alone.
progress look_at(const std::vector<line>& lines);
// Whether everybody has heard what was acknowledged on durable channels.
bool all_heard(const std::vector<line>& lines);

}  // namespace foz::cli::drill
