#include "cli/drill/network.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <stdexcept>
#include <unistd.h>

namespace foz::cli::drill {
namespace {

constexpr milliseconds tool_patience{20'000};

std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(' ', at), text.size());
        out.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return out;
}

int own_namespace() {
    const int descriptor = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) throw std::runtime_error(std::string("the network namespace: ") + std::strerror(errno));
    return descriptor;
}

void enter_new_namespace() {
    if (::unshare(CLONE_NEWNET) != 0)
        throw std::runtime_error(std::string("no network of its own: ") + std::strerror(errno));
}

}  // namespace

bool can_make_hosts() {
    if (::geteuid() != 0) return false;
    for (const char* const path : {"/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"})
        if (::access(path, X_OK) == 0) return true;
    return false;
}

void run_tool(const command& what, milliseconds patience) {
    process tool(what);
    if (!tool.wait(patience)) throw std::runtime_error(what.name + " does not end: " + tool.last_words());
    // It has ended: this only asks how.
    if (tool.stop(milliseconds(0)) != 0) throw std::runtime_error(what.name + " failed: " + tool.last_words());
}

private_network::private_network(const temporary_folder& folder, std::size_t hosts) : log_(folder.file("network.log")) {
    // A namespace lives as long as somebody has a descriptor of it.
    for (std::size_t i = 0; i < hosts; ++i) {
        enter_new_namespace();
        hosts_.push_back({own_namespace()});
    }
    enter_new_namespace();
    ip("link set lo up");
    ip("link add hosts type bridge");
    ip("addr add 10.99.0.1/24 dev hosts");
    ip("link set hosts up");
    for (std::size_t i = 0; i < hosts; ++i) {
        const std::string port = "host" + std::to_string(i);
        // The other end moves into the namespace that file descriptor names, by way of /proc.
        ip("link add " + port + " type veth peer name uplink netns /proc/" + std::to_string(::getpid()) + "/fd/" +
           std::to_string(hosts_[i].descriptor));
        ip("link set " + port + " master hosts up");
        ip("link set lo up", hosts_[i].descriptor);
        ip("addr add " + address_of(i) + "/24 dev uplink", hosts_[i].descriptor);
        ip("link set uplink up", hosts_[i].descriptor);
    }
}

private_network::~private_network() {
    for (const host_entry& one : hosts_) ::close(one.descriptor);
}

void private_network::set_link(std::size_t host, bool up) {
    ip("link set host" + std::to_string(host) + (up ? " up" : " down"));
}

void private_network::ip(const std::string& arguments, int network) {
    command what{.name = "ip " + arguments, .arguments = words_of("ip " + arguments), .log = log_};
    what.network = network;
    run_tool(what, tool_patience);
}

}  // namespace foz::cli::drill
