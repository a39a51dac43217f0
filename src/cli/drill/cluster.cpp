#include "cli/drill/brokers.hpp"
#include "cli/drill/network.hpp"

#include <arpa/inet.h>
#include <array>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace foz::cli::drill {
namespace {

constexpr std::size_t nodes_count = 3;
constexpr const char* rabbitmq_server_path = "/usr/lib/rabbitmq/bin/rabbitmq-server";
constexpr const char* rabbitmqctl_path = "/usr/lib/rabbitmq/bin/rabbitmqctl";
constexpr milliseconds cluster_start_patience{180'000};
constexpr std::uint16_t amqp_port_of_a_host = 5672;

// A port of 127.0.0.1 that nobody uses now.
std::uint16_t free_port() {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const bool bound = ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                       ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    ::close(descriptor);
    if (!bound) throw std::runtime_error("no port of 127.0.0.1 is free");
    return ntohs(address.sin_port);
}

void write_file(const std::string& path, const std::string& text) {
    std::ofstream out(path, std::ios::trunc);
    out << text;
    if (!out.flush()) throw std::runtime_error(path + " can't be written");
}

// Everything that a node needs is in its environment; nothing of the system's is read. The server's own program is
// started, never the system's service.
class cluster final : public broker_nodes {
public:
    explicit cluster(const temporary_folder& folder) : folder_(folder) {
        if (::access(rabbitmq_server_path, X_OK) != 0) throw skipped("RabbitMQ (apt-get install rabbitmq-server)");
        if (can_make_hosts()) network_.emplace(folder, nodes_count);
        for (std::size_t i = 0; i < nodes_count; ++i) {
            cluster_node& one = nodes_[i];
            one.address = network_ ? network_->address_of(i) : "127.0.0.1";
            one.name = "foz" + std::to_string(i + 1) + "@" + one.address;
            one.amqp_port = network_ ? amqp_port_of_a_host : free_port();
            one.distribution_port = network_ ? std::uint16_t{25672} : free_port();
            one.folder = folder.file("rabbitmq" + std::to_string(i + 1));
            std::filesystem::create_directories(one.folder + "/mnesia");
        }
        epmd_port_ = network_ ? std::uint16_t{4369} : free_port();
        ctl_port_ = network_ ? std::uint16_t{25700} : free_port();
        prepare_files();
        start_epmd();
    }

    std::size_t size() const override { return nodes_count; }
    std::string name_of(std::size_t node) const override { return "node " + std::to_string(node + 1); }
    std::vector<std::string> urls() const override {
        std::vector<std::string> out;
        for (const cluster_node& one : nodes_)
            out.push_back("amqp://" + one.address + ":" + std::to_string(one.amqp_port));
        return out;
    }

    void start() override {
        for (std::size_t i = 0; i < nodes_count; ++i) launch(i);
        for (std::size_t i = 0; i < nodes_count; ++i) await_ready(i);
        command all{.name = "rabbitmqctl",
                    .arguments = {rabbitmqctl_path, "--longnames", "-n", nodes_[0].name, "await_online_nodes",
                                  std::to_string(nodes_count)},
                    .environment = environment(nodes_[0]),
                    .bare_environment = true,
                    .log = folder_.file("rabbitmqctl.log")};
        all.network = network_of(0);
        run_tool(all, cluster_start_patience);
    }
    process& at(std::size_t node) override { return *nodes_[node].running; }

    void launch(std::size_t node) override {
        command what{.name = name_of(node),
                     .arguments = {rabbitmq_server_path},
                     .environment = environment(nodes_[node]),
                     .bare_environment = true,
                     .log = nodes_[node].folder + "/console"};
        what.network = network_of(node);
        nodes_[node].running = std::make_unique<process>(what);
    }
    void await_ready(std::size_t node) override {
        process& one = *nodes_[node].running;
        if (!one.wait_for("completed with", cluster_start_patience))
            throw std::runtime_error("RabbitMQ's " + name_of(node) + " did not start: " + one.last_words());
    }

    bool can_cut() const override { return network_.has_value(); }
    void cut(std::size_t node) override { network_->set_link(node, false); }
    void mend(std::size_t node) override { network_->set_link(node, true); }

private:
    struct cluster_node {
        std::string name;
        std::string address;
        std::string folder;
        std::uint16_t amqp_port = 0;
        std::uint16_t distribution_port = 0;
        std::unique_ptr<process> epmd;
        std::unique_ptr<process> running;
    };

    int network_of(std::size_t node) const { return network_ ? network_->namespace_of(node) : -1; }

    void prepare_files() {
        const std::string home = folder_.file("rabbitmq-home");
        std::filesystem::create_directories(home);
        write_file(home + "/.erlang.cookie", "DRILL" + std::to_string(::getpid()));
        std::filesystem::permissions(home + "/.erlang.cookie", std::filesystem::perms::owner_read);
        std::string members;
        for (std::size_t i = 0; i < nodes_count; ++i)
            members +=
                "cluster_formation.classic_config.nodes." + std::to_string(i + 1) + " = " + nodes_[i].name + "\n";
        for (const cluster_node& one : nodes_) {
            write_file(one.folder + "/enabled_plugins", "[].\n");
            write_file(one.folder + "/rabbitmq.conf",
                       "listeners.tcp.local = " + one.address + ":" + std::to_string(one.amqp_port) +
                           "\nloopback_users = none\ndisk_free_limit.absolute = 50MB\n"
                           "vm_memory_high_watermark.absolute = 1GB\n"
                           "cluster_formation.peer_discovery_backend = classic_config\n" +
                           members +
                           "cluster_formation.randomized_startup_delay_range.min = 0\n"
                           "cluster_formation.randomized_startup_delay_range.max = 1\n"
                           "cluster_partition_handling = pause_minority\n");
        }
    }

    // Erlang would start it by itself and leave it behind.
    void start_epmd() {
        for (std::size_t i = 0; i < (network_ ? nodes_count : 1); ++i) {
            command what{.name = "epmd",
                         .arguments = {"epmd", "-port", std::to_string(epmd_port_), "-address", nodes_[i].address},
                         .log = folder_.file("epmd.log")};
            what.network = network_of(i);
            nodes_[i].epmd = std::make_unique<process>(what);
        }
    }

    std::vector<std::string> environment(const cluster_node& one) const {
        std::string interface = one.address;
        for (char& c : interface)
            if (c == '.') c = ',';
        return {
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG=C.UTF-8",
            "HOME=" + folder_.file("rabbitmq-home"),
            "RUNNING_UNDER_SYSTEMD=1",  // the script becomes the node instead of watching it
            "RABBITMQ_NODENAME=" + one.name,
            "RABBITMQ_USE_LONGNAME=true",
            "RABBITMQ_DIST_PORT=" + std::to_string(one.distribution_port),
            "RABBITMQ_MNESIA_BASE=" + one.folder + "/mnesia",
            "RABBITMQ_LOG_BASE=" + one.folder,
            "RABBITMQ_PID_FILE=" + one.folder + "/pid",
            "RABBITMQ_CONFIG_FILE=" + one.folder + "/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE=" + one.folder + "/none",
            "RABBITMQ_ADVANCED_CONFIG_FILE=" + one.folder + "/none.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE=" + one.folder + "/enabled_plugins",
            "ERL_EPMD_ADDRESS=" + one.address,
            "ERL_EPMD_PORT=" + std::to_string(epmd_port_),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel net_ticktime 8 inet_dist_use_interface {" + interface + "}",
            "RABBITMQ_CTL_DIST_PORT_MIN=" + std::to_string(ctl_port_),
            "RABBITMQ_CTL_DIST_PORT_MAX=" + std::to_string(ctl_port_)};
    }

    const temporary_folder& folder_;
    std::optional<private_network> network_;
    std::uint16_t epmd_port_ = 0;
    std::uint16_t ctl_port_ = 0;
    std::array<cluster_node, nodes_count> nodes_;
};

}  // namespace

std::unique_ptr<broker_nodes> make_cluster(const temporary_folder& folder) {
    return std::make_unique<cluster>(folder);
}

}  // namespace foz::cli::drill
