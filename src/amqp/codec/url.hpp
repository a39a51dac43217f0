// AMQP URIs as RabbitMQ defines them: amqp[s]://user:password@host:port/vhost?parameters.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace foz::amqp {

// A broker's address with everything decoded. What the URI does not say has RabbitMQ's default.
struct url {
    bool tls = false;  // amqps
    std::string user = "guest";
    std::string password = "guest";
    std::string host = "localhost";  // without the brackets of an IPv6 address
    std::uint16_t port = 5672;       // 5671 with tls
    // "amqp://h" is "/"; "amqp://h/" is the empty name; "amqp://h/%2f" is "/".
    std::string vhost = "/";

    // RabbitMQ's query parameters. heartbeat is in seconds and connection_timeout in milliseconds there. The files and
    // what follows them need amqps; certfile and keyfile go together.
    std::optional<std::chrono::seconds> heartbeat{};
    std::optional<std::chrono::milliseconds> connection_timeout{};
    std::optional<std::uint16_t> channel_max{};
    std::optional<std::uint32_t> frame_max{};
    std::optional<std::string> cacertfile{};
    std::optional<std::string> certfile{};
    std::optional<std::string> keyfile{};
    std::optional<bool> verify{};  // verify_peer or verify_none
    std::optional<std::string> server_name_indication{};
    std::optional<std::string> auth_mechanism{};  // "PLAIN" or "EXTERNAL": who we are, certfile says

    // For logs: scheme, user, host, port and vhost; neither the password nor the parameters.
    std::string redacted() const;
    // Without the user as well: to be copied by people who know who they are.
    std::string without_user() const;

    bool operator==(const url&) const = default;
};

enum class url_errc : std::uint8_t { scheme, authority, credentials, host, port, vhost, parameter };

// `text` says in plain words what is wrong and where. It never repeats octets of the URI that may be a password.
struct url_error {
    url_errc part = url_errc::scheme;
    std::string text;
};

std::expected<url, url_error> parse_url(std::string_view text);

}  // namespace foz::amqp
