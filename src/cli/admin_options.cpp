#include "cli/admin_options.hpp"

#include "base/loopback.hpp"
#include "cli/commands.hpp"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <termios.h>
#include <unistd.h>
#include <utility>

#include <CLI/CLI.hpp>

namespace foz::cli {
namespace {

constexpr const char* admin_group = "Admin port";

// While it lives, nobody sees what is typed.
class no_echo {
public:
    no_echo() : there_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
        if (!there_) return;
        termios quiet = before_;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    ~no_echo() {
        if (!there_) return;
        ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
        std::fputs("\n", stderr);
    }
    no_echo(const no_echo&) = delete;
    no_echo& operator=(const no_echo&) = delete;

private:
    termios before_{};
    const bool there_;
};

std::string read_token_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string token;
    if (!std::getline(in, token) || token.empty())
        throw std::runtime_error("--token-file: " + path + " can't be read, or is empty");
    if (token.ends_with('\r')) token.pop_back();
    return token;
}

// An admin port beyond loopback has TLS; what answers there without it is something else.
void require_secrecy(const admin_access& access) {
    if (access.where.tls || is_loopback_host(access.where.host)) return;
    throw wrong_usage("--admin: a login would cross the network readably: say https://" + access.where.text() +
                      " (--admin-ca names the CA of its certificate), or tunnel to 127.0.0.1");
}

}  // namespace

bool can_be_asked() {
    return ::isatty(STDIN_FILENO) != 0;
}

std::string read_password(const std::string& prompt) {
    std::string line;
    if (can_be_asked()) std::fputs(prompt.c_str(), stderr);
    const std::optional<no_echo> quiet(std::in_place);
    if (!std::getline(std::cin, line)) throw std::runtime_error("a password is expected on standard input");
    if (line.ends_with('\r')) line.pop_back();
    return line;
}

admin_options::admin_options(CLI::App& command) {
    command
        .add_option_function<std::string>(
            "--admin",
            [this](const std::string& text) {
                auto parsed = parse_admin_address(text);
                if (!parsed) throw wrong_usage("--admin: " + parsed.error());
                access_.where = std::move(*parsed);
            },
            "What its --admin-listen says, with https:// before it for TLS; default 127.0.0.1:9090")
        ->type_name("HOST:PORT")
        ->envname("FOZ_ADMIN")
        ->group(admin_group);
    command.add_option("--admin-ca", access_.ca_file, "PEM file of the CA that signed its certificate")
        ->type_name("FILE")
        ->envname("FOZ_ADMIN_CA")
        ->group(admin_group);
    command
        .add_option("--user", access_.user,
                    "Whose password is in the variable FOZ_ADMIN_PASSWORD, or is asked for in a terminal")
        ->type_name("NAME")
        ->envname("FOZ_ADMIN_USER")
        ->group(admin_group);
    command.add_option("--token-file", token_file_, "A file with a bearer token, instead of a user and a password")
        ->type_name("FILE")
        ->envname("FOZ_ADMIN_TOKEN_FILE")
        ->group(admin_group);
}

admin_access admin_options::read() const {
    admin_access made = access_;
    if (!token_file_.empty() || !made.user.empty()) require_secrecy(made);
    if (!token_file_.empty()) {
        made.token = read_token_file(token_file_);
    } else if (!made.user.empty()) {
        const char* const password = std::getenv("FOZ_ADMIN_PASSWORD");
        if (!password && !can_be_asked())
            throw std::runtime_error("the password of " + made.user +
                                     " is expected in the variable FOZ_ADMIN_PASSWORD, or a token in --token-file");
        made.password = password ? password : read_password("Password of " + made.user + ": ");
    }
    return made;
}

}  // namespace foz::cli
