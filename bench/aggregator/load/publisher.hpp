// Who says things to the clients. To Foz as a service does, over AMQP: exchange OUTBOUND, without confirms. To the
// other servers, which have no broker, as one more client of the crowd.
#pragma once

#include "../../broker/load/client.hpp"
#include "connection.hpp"
#include "crowd.hpp"
#include "dialect.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::load {

// Whom a message is for.
struct audience {
    std::string topic;
    std::string group;                // empty, as the next one: everybody
    std::vector<std::string> groups;  // of Foz alone: several
};

class publisher {
public:
    // Joins the crowd when it has to, and then waits for it. `amqp_port` is Foz's broker.
    publisher(crowd& clients, const dialect& words, std::uint16_t amqp_port);

    // The octets of one publish, whose body has this size as receivers see it: `mark`, and then x's.
    std::string encode(const audience& to, std::size_t body, std::string_view mark = "") const;
    // What the socket does not take at once is sent by later calls, or by flush().
    void send(std::string_view octets);
    void flush();
    // To the bare loop alone.
    void say(std::string_view text) { clients_.say(*member_, text); }

private:
    std::string encode_amqp(const audience& to, const std::string& body) const;

    crowd& clients_;
    const dialect& words_;
    std::optional<std::size_t> member_;  // of the crowd
    std::optional<bench::client> broker_;
    connection link_;  // the broker's socket, not blocking
};

}  // namespace foz::load
