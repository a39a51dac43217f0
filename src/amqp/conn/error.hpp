// What can go wrong on an AMQP connection or channel.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

namespace foz::amqp {

enum class errc {
    connect_failed,     // no TCP or TLS connection, or the handshake did not finish
    connection_closed,  // the broker closed the connection and said why, or it broke
    channel_closed,     // the broker closed the channel and said why
    timed_out,          // no answer to a method in time
    protocol,           // the broker broke the protocol
    encoding,           // what was to be sent does not fit AMQP (a name of more than 255 octets …)
    stopped,            // we are closing
};

struct error {
    errc code = errc::protocol;
    std::uint16_t reply_code = 0;  // AMQP 0-9-1 §1.1's reply code when the broker sent one, else 0
    std::string text;              // one line for people
    // The method that the broker blames when it closes a connection or a channel; 0 when it names none.
    std::uint16_t class_id = 0;
    std::uint16_t method_id = 0;

    // Trying again with the same arguments and permissions can't help: 402 (INVALID_PATH), 403 (ACCESS_REFUSED), 406
    // (PRECONDITION_FAILED), 530 (NOT_ALLOWED). Not 404 and 405: RabbitMQ says NOT_FOUND of a stream whose node is
    // still starting, and RESOURCE_LOCKED of an exclusive queue whose connection has just died. Nor a stream that was
    // declared a moment ago and has no replica on this node yet: RabbitMQ says PRECONDITION_FAILED of it, too.
    bool permanent() const noexcept {
        if (text.contains("replica on the local node")) return false;
        return reply_code == 402 || reply_code == 403 || reply_code == 406 || reply_code == 530;
    }
};

template <class T>
using result = std::expected<T, error>;

}  // namespace foz::amqp
