#include "scenario.hpp"

#include "usage.hpp"

#include <iostream>

namespace foz::load {
namespace {

constexpr double join_patience = 60;  // seconds without anything

}  // namespace

crowd_options crowd_in(const arguments& all) {
    crowd_options out;
    out.server.host = all.text("host", out.server.host);
    out.server.port = static_cast<std::uint16_t>(all.count("port", 0));
    out.source = all.text("source", out.source);
    out.at_once = all.count("at_once", out.at_once);
    // Every scenario is told these, whether it needs them or not.
    process_in(all);
    amqp_port_in(all);
    return out;
}

std::uint16_t amqp_port_in(const arguments& all) {
    return static_cast<std::uint16_t>(all.count("amqp_port", 0));
}

void join_and_wait(crowd& clients, std::size_t count, const crowd::greet& how, std::size_t answers) {
    const std::size_t upgraded = clients.upgraded() + count;
    std::size_t answered = 0;
    clients.join(count, how);
    const auto done = [&] {
        if (clients.gone() > 0) throw std::runtime_error("the server has closed a connection");
        return clients.upgraded() == upgraded && answered >= count * answers;
    };
    clients.poll_until(done, join_patience, "clients to be answered", [&](std::size_t, std::string_view payload) {
        if (payload.starts_with(R"({"event":"error")")) throw std::runtime_error("refused: " + std::string(payload));
        ++answered;
    });
}

bool next_command(crowd& clients, std::string& line) {
    while (!clients.driver_waits()) clients.poll(1000, [](std::size_t, std::string_view) {});
    return static_cast<bool>(std::getline(std::cin, line));
}

}  // namespace foz::load
