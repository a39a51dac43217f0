// How a command reaches an admin port, and as whom.
#pragma once

#include "cli/admin_client.hpp"

#include <memory>
#include <string>

namespace CLI {
class App;
}

namespace foz::cli {

// Adds --admin, --admin-ca, --user and --token-file. A password comes from FOZ_ADMIN_PASSWORD or a terminal, never from
// an argument: everybody on the machine sees those.
class admin_options {
public:
    explicit admin_options(CLI::App& command);
    admin_options(const admin_options&) = delete;

    // Once, after the command line was parsed. Asks for the password when there is a user and a terminal, and nothing
    // else says it. Throws std::runtime_error with one line.
    admin_access read() const;

private:
    admin_access access_;
    std::string token_file_;
};

// The next line of standard input, typed without echo when that is a terminal, after the prompt on stderr. Throws
// std::runtime_error when there is none.
std::string read_password(const std::string& prompt);
bool can_be_asked();

}  // namespace foz::cli
