// The admin port as it is configured.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace foz::ops {

enum class admin_role : std::uint8_t {
    view,  // reads everything but secrets
    act    // reads everything, and acts
};

// Comes in with a password, a token, or either. At most one of the two places of a token is set.
struct admin_user {
    std::string name;
    admin_role role = admin_role::view;
    std::string password_hash;   // crypt(5); empty: no password lets the user in
    std::string token_file;      // of a bearer token; one line end behind it doesn't count
    std::string token_variable;  // the name of an environment variable
};

struct admin_settings {
    std::string listen;           // ADDRESS:PORT; empty: no admin port
    std::string tls_certificate;  // PEM, the chain; with tls_key: HTTPS
    std::string tls_key;
    bool allow_plain = false;   // passwords may cross a network in the clear
    bool open_metrics = false;  // /metrics needs no login
    std::string audit_log;      // a file; empty: the process' log
    // None: whoever reaches the port may view, and nobody may act.
    std::vector<admin_user> users;
};

}  // namespace foz::ops
