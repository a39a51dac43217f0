// Where the broker listens for amqps, and as whom.
#pragma once

#include <cstdint>
#include <string>

namespace foz::broker {

struct tls_options {
    std::string address = "127.0.0.1";
    std::uint16_t port = 5671;     // 0: the kernel chooses
    std::string certificate_file;  // PEM, the chain with the server's own certificate first
    std::string key_file;          // PEM
    // PEM; clients are asked for a certificate that one of these has signed: without any they log in by password, with
    // another one they do not get in. Empty: they are not asked.
    std::string client_ca_file{};
};

}  // namespace foz::broker
