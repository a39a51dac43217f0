// A drill under way: what it works on, its clients, its faults, its audit.
#pragma once

#include "cli/drill/audit.hpp"
#include "cli/drill/clients.hpp"
#include "cli/drill/system.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace foz::cli::drill {

struct drill_options {
    bool cluster = false;
    unsigned sockets = 1;
    unsigned clients = 8;
    unsigned faults = 0;  // 0: as many as the drill thinks right
    std::uint64_t seed = 0;
    bool brief = false;         // for a test suite
    bool stock = false;         // clients behave as the stock Primus client, without the plugin
    bool node_clients = false;  // the real Primus client
    bool node_workers = false;  // workers on amqplib, without the SDK
    std::string sabotage;       // a promise that the workers break on purpose
    std::string other;          // the program of another build
    std::string library;        // of another build: what every other client in Node uses
    bool quiet = false;         // no progress
};

// The drill was interrupted from the keyboard.
struct interrupted {};

// A drill's own thread uses it, from top to bottom; its methods block.
class stage {
public:
    stage(std::string name, const drill_options& options);
    ~stage();
    stage(const stage&) = delete;
    stage& operator=(const stage&) = delete;

    // Starts everything; returns when every client listens and has been answered. Throws skipped, std::runtime_error.
    void open(plan what);

    const drill_options& options() const noexcept { return options_; }
    const temporary_folder& folder() const noexcept { return folder_; }
    bool brief() const noexcept { return options_.brief; }
    system_under_test& system() { return *system_; }
    clients& all_clients() { return *clients_; }
    unsigned faults(unsigned usual, unsigned in_brief) const;
    // A span for the full form, and one for the brief form.
    milliseconds either(milliseconds usual, milliseconds in_brief) const { return brief() ? in_brief : usual; }

    // Of the seed.
    std::size_t choose(std::size_t bound);
    milliseconds between(milliseconds min, milliseconds max);
    // The load goes on for so long. Throws interrupted.
    void pause(milliseconds span);
    // For a time of the seed's choice, as it lies between two faults.
    void pause_between_faults();
    // To be called when it has been done.
    void fault(const std::string& what);
    // What nobody can do without, and the fault has taken away, is there again.
    void outage_over(const std::string& what);
    void note(const std::string& what);
    // Until every client listens again. False when it has not come to that in time.
    bool await_listening(milliseconds patience);

    // Ends the load, waits until what is under way has come, and audits. `drain`: how long that may take.
    findings finish(const audit_rules& rules, milliseconds drain = std::chrono::seconds(40));
    const history& all() const noexcept { return history_; }

    // Where to look when a promise was broken.
    std::string keep_logs();

private:
    void show_progress();

    const std::string name_;
    const drill_options options_;
    std::mt19937_64 random_;
    temporary_folder folder_;
    std::unique_ptr<system_under_test> system_;
    std::unique_ptr<clients> clients_;
    history history_;
    instant shown_at_{};
    bool line_open_ = false;
};

// Ctrl-C ends the drill in good order from here on.
void catch_interrupts();

}  // namespace foz::cli::drill
