// The broker as a part of a process: model, storage and door on one shard.
#pragma once

#include "broker/definitions/definition_set.hpp"
#include "broker/front/tls_options.hpp"
#include "broker/snapshot.hpp"
#include "broker/watermarks.hpp"
#include "net/shard.hpp"
#include "net/tls_holder.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace foz::broker {

struct embedded_options {
    std::string data;  // a folder, made when it is not there
    std::string address = "127.0.0.1";
    std::uint16_t port = 5672;         // 0: the kernel chooses
    std::optional<tls_options> tls{};  // amqps beside it; with client_ca_file EXTERNAL: the common name is the user
    // Networks (net::network_list) from which every connection begins with a PROXY protocol header.
    std::vector<std::string> proxies{};
    std::vector<std::string> vhosts{};  // besides those of the definitions and of the folder; "/" when there are none
    // Applied at every start, to what the folder holds: a file in RabbitMQ's format, and what whoever runs the broker
    // has to say itself (lay_over() says what of it replaces what). What is declared differently is an error.
    std::string definitions_file{};
    definition_set definitions{};
    // Whoever runs the broker, when it is a client too: gets in from this machine and may do everything, whatever users
    // are defined. Neither kept nor exported. No name: nobody.
    std::string inside_user{};
    std::string inside_password{};
    watermark_limits limits{};
    std::string version;
    // What whoever runs it should know, one line each. Called on the shard.
    std::function<void(const std::string&)> notice;
};

// Lives on the shard that it is given. When its data can't be read any more, a std::runtime_error with one line leaves
// the shard's loop. Until definitions name users there is one, guest, who gets in from this machine alone, as RabbitMQ
// has it.
class embedded {
public:
    // Recovers what the folder holds, then listens. Throws std::runtime_error with one line.
    embedded(net::shard& home, embedded_options options);
    // On the shard's thread or after it has stopped. What was confirmed is on disk.
    ~embedded();

    std::uint16_t port() const noexcept;
    std::uint16_t tls_port() const noexcept;  // 0: there is none
    // Of that port, for who looks after its files; null when there is none.
    std::shared_ptr<net::tls_holder> tls() const noexcept;
    // Tells the clients; they are gone within two seconds.
    void shut_down();
    std::size_t connections() const noexcept;
    snapshot look() const;
    // In RabbitMQ's format, for another broker: what is defined now, without the guest who is there by default.
    std::string export_definitions() const;

private:
    struct parts;
    std::unique_ptr<parts> parts_;
};

// The same of a broker that is stopped. Throws std::runtime_error with one line: nobody may be using the folder.
std::string export_definitions(const std::string& folder);

}  // namespace foz::broker
