// One machine as several hosts: network namespaces on a bridge. Everything vanishes with the processes that live there.
#pragma once

#include "cli/drill/process.hpp"

#include <memory>
#include <string>
#include <vector>

namespace foz::cli::drill {

// True where a process may make namespaces: as root, with the program `ip`.
bool can_make_hosts();

// Needs root. Puts the calling thread, and what it starts from now on, into a network of its own with the address
// 10.99.0.1 and these hosts, 10.99.0.11, .12 …
class private_network {
public:
    // Throws std::runtime_error.
    private_network(const temporary_folder& folder, std::size_t hosts);
    ~private_network();
    private_network(const private_network&) = delete;
    private_network& operator=(const private_network&) = delete;

    std::string address_of(std::size_t host) const { return "10.99.0.1" + std::to_string(host + 1); }
    // For command::network.
    int namespace_of(std::size_t host) const { return hosts_[host].descriptor; }
    void set_link(std::size_t host, bool up);

private:
    struct host_entry {
        int descriptor = -1;
    };

    void ip(const std::string& arguments, int network = -1);

    const std::string log_;
    std::vector<host_entry> hosts_;
};

// Runs a program to its end. Throws std::runtime_error with what it wrote when it fails.
void run_tool(const command& what, milliseconds patience);

}  // namespace foz::cli::drill
