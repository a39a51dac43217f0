// A client of an admin port.
#pragma once

#include "net/shard.hpp"

#include <chrono>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

namespace foz::cli {

struct admin_address {
    std::string host;  // of IPv6 without brackets
    std::string port;
    bool tls = false;

    // HOST:PORT
    std::string text() const;
};

// HOST:PORT, http://HOST:PORT, https://HOST:PORT; HOST may be [::1]. The error says what is expected.
std::expected<admin_address, std::string> parse_admin_address(std::string_view text);

// Where, and as whom. A token is stronger than a password; with neither, no login is sent.
struct admin_access {
    admin_address where{.host = "127.0.0.1", .port = "9090"};
    std::string ca_file;  // PEM: who signed its certificate; empty: the system's
    std::string user;
    std::string password;
    std::string token;
};

struct admin_answer {
    unsigned status = 0;
    std::string body;
};

// One connection. Lives on one shard, used by one coroutine.
class admin_connection {
public:
    // The error is why not, in a few words.
    static boost::asio::awaitable<std::expected<std::unique_ptr<admin_connection>, std::string>> open(
        net::shard& home, admin_access access, std::chrono::milliseconds within);
    ~admin_connection();

    boost::asio::awaitable<std::expected<admin_answer, std::string>> get(std::string path);
    // `json`: the content.
    boost::asio::awaitable<std::expected<admin_answer, std::string>> post(std::string path, std::string json);

private:
    struct parts;
    explicit admin_connection(std::unique_ptr<parts> made);

    std::unique_ptr<parts> parts_;
};

// What an answer that is no success means, in a few words that say what to do.
std::string words_of(const admin_answer& refused);

}  // namespace foz::cli
