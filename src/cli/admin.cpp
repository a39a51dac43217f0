// foz admin hash; foz client disconnect
#include "base/json.hpp"
#include "base/utf8.hpp"
#include "cli/admin_options.hpp"
#include "cli/commands.hpp"
#include "cli/print.hpp"
#include "ops/admin/passwords.hpp"
#include "ops/broker/probe.hpp"

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>

#include <CLI/CLI.hpp>

namespace foz::cli {
namespace {

constexpr std::chrono::seconds answer_within{10};

struct disconnect_options {
    explicit disconnect_options(CLI::App& command) : admin(command) {}
    admin_options admin;
    std::string client;
    std::string session;
    bool stay_away = false;
};

int print_hash() {
    const std::string password = read_password("Password: ");
    if (can_be_asked() && read_password("Once more: ") != password)
        throw std::runtime_error("these were two different passwords");
    print(ops::hash_password(password) + "\n");
    return 0;
}

boost::asio::awaitable<int> disconnect_clients(net::shard& home, admin_access access, std::string json) {
    const std::string where = access.where.text();
    auto on = co_await admin_connection::open(home, std::move(access), answer_within);
    if (!on) throw std::runtime_error("no admin port at " + where + ": " + on.error());
    const auto answer = co_await (*on)->post("/api/clients/disconnect", std::move(json));
    if (!answer) throw std::runtime_error(where + ": " + answer.error());
    if (answer->status != 200) throw std::runtime_error(where + ": " + words_of(*answer));
    print(answer->body);
    co_return 0;
}

int disconnect_by(const disconnect_options& options) {
    const bool one = options.client.empty();
    const std::string& whom = one ? options.session : options.client;
    if (!is_utf8(whom)) throw wrong_usage("an id is UTF-8");
    std::string json = std::string(one ? R"({"session":)" : R"({"client":)") + json_string(whom);
    if (options.stay_away) json += R"(,"stay_away":true)";
    json += '}';
    admin_access access = options.admin.read();
    return ops::run_alone(
        [&](net::shard& home) { return disconnect_clients(home, std::move(access), std::move(json)); });
}

void add_disconnect(CLI::App& parent, run_command& chosen) {
    CLI::App* const command = parent.add_subcommand("disconnect", "Close a client's sockets");
    const auto options = std::make_shared<disconnect_options>(*command);
    command->add_option("CLIENT", options->client, "Whose sockets")->type_name("");
    command->add_option("--session", options->session, "This socket alone")->type_name("ID");
    command->add_flag("--stay-away", options->stay_away, "Tell it not to come back by itself");
    command->footer(
        "Of one foz serve; without --stay-away the client comes back at once. Needs a user of the role act. For "
        "example:\n"
        "  FOZ_ADMIN_PASSWORD=… foz client disconnect alice --user anna\n"
        "  foz client disconnect --session 5yq… --token-file token --admin https://foz.example.org:9090");
    command->callback([&chosen, options] {
        if (options->client.empty() == options->session.empty())
            throw wrong_usage("either CLIENT or --session is expected");
        chosen = [options] { return disconnect_by(*options); };
    });
}

}  // namespace

void add_admin(CLI::App& app, run_command& chosen) {
    CLI::App* const admin = app.add_subcommand("admin", "Users of the admin port");
    admin->require_subcommand(1);
    CLI::App* const hash = admin->add_subcommand("hash", "Print the hash of a password");
    hash->footer(
        "The password is typed twice, or is a line of standard input. For example:\n"
        "  foz admin hash\n"
        "  pass show foz/anna | foz admin hash");
    hash->callback([&chosen] { chosen = print_hash; });
    CLI::App* const client = app.add_subcommand("client", "Clients of a running server");
    client->require_subcommand(1);
    add_disconnect(*client, chosen);
}

}  // namespace foz::cli
