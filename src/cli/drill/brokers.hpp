// The broker of a drill: the embedded one as a process, or three RabbitMQ nodes as a cluster.
#pragma once

#include "cli/drill/process.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace foz::cli::drill {

class broker_nodes {
public:
    virtual ~broker_nodes() = default;

    virtual std::size_t size() const = 0;
    virtual std::string name_of(std::size_t node) const = 0;
    virtual std::vector<std::string> urls() const = 0;  // after the first start()

    // All of them, for the first time: ready when it returns. Throws std::runtime_error.
    virtual void start() = 0;
    virtual process& at(std::size_t node) = 0;
    // Of a node that has been killed; it is ready some time later.
    virtual void launch(std::size_t node) = 0;
    virtual void await_ready(std::size_t node) = 0;
    // Cuts a node off from everybody: its packets vanish, nobody is told.
    virtual bool can_cut() const { return false; }
    virtual void cut(std::size_t) {}
    virtual void mend(std::size_t) {}
};

// `data`: its folder.
std::unique_ptr<broker_nodes> make_embedded_broker(const temporary_folder& folder, const std::string& data);

// Three nodes; with root each is a host of its own. Throws skipped when RabbitMQ is not installed.
std::unique_ptr<broker_nodes> make_cluster(const temporary_folder& folder);

}  // namespace foz::cli::drill
