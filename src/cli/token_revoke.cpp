// foz token revoke
#include "base/random.hpp"
#include "cli/commands.hpp"
#include "cli/configured.hpp"
#include "cli/durations.hpp"
#include "cli/print.hpp"
#include "contract/revocation.hpp"
#include "ops/admin/revoke_action.hpp"
#include "ops/broker/probe.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace foz::cli {
namespace {

struct revoke_options {
    contract::revocation what;
    std::string issued_before;  // "now", or so long ago
    std::optional<std::chrono::milliseconds> keep;
};

amqp::publication made_for(const amqp::url& where, const contract::revocation& what, const std::string& id) {
    return contract::make_publication(what, id, std::chrono::system_clock::now(), contract::revoking_user({where}));
}

boost::asio::awaitable<int> send(net::shard& home, const aggregator::settings& server,
                                 const contract::revocation& what) {
    std::string why;
    const std::string id = system_random().token();
    for (const amqp::url& where : server.publish_urls) {
        ops::probe broker(home, where, server.broker_tls);
        auto taken = amqp::result<bool>(false);
        if (auto opened = co_await broker.open(); opened) {
            taken = co_await broker.publish(made_for(where, what, id));
        } else {
            taken = std::unexpected(opened.error());
        }
        co_await broker.close();
        if (!taken) {
            why = where.redacted() + ": " + taken.error().text;
            continue;
        }
        if (!*taken)
            throw std::runtime_error(where.redacted() + ": there is no stream " +
                                     std::string(contract::revoked_stream) +
                                     ": no foz serve has been here that knows clients by name (foz topology apply "
                                     "declares it when the configuration has issuers or listen.client_header)");
        print("revoked: " + contract::to_json(what) + "\n");
        co_return 0;
    }
    throw std::runtime_error(why);
}

int revoke(const configured& from, const revoke_options& options) {
    contract::revocation what = options.what;
    const auto now = std::chrono::system_clock::now();
    if (!options.issued_before.empty())
        what.issued_before =
            options.issued_before == "now" ? now : now - parse_time("--issued-before", options.issued_before);
    if (what.client.empty() && what.token_id.empty() && what.session.empty() && !what.issued_before)
        throw wrong_usage("whom? --client, --token-id, --session or --issued-before is needed");
    if ((!what.session.empty() && (!what.client.empty() || !what.token_id.empty() || what.issued_before)) ||
        (!what.token_id.empty() && (!what.client.empty() || what.issued_before)))
        throw wrong_usage("--session and --token-id stand alone; --client goes with --issued-before");
    if (!what.issuer.empty() && what.token_id.empty()) throw wrong_usage("--issuer says whose --token-id it is");
    const ops::configuration all = from.read();
    require_tls(all.server);
    what.until = now + options.keep.value_or(ops::longest_token_life(all.issuers));
    return ops::run_alone([&](net::shard& home) { return send(home, all.server, what); });
}

}  // namespace

void add_token_revoke(CLI::App& token, run_command& chosen) {
    CLI::App* const command =
        token.add_subcommand("revoke", "Let a client, a token or a session in no more, and send it away where it is");
    const auto options = std::make_shared<revoke_options>();
    constexpr const char* group = "Whom";
    // A script's empty variable must not mean everybody.
    const auto not_empty = [](const std::string& text) { return std::string(text.empty() ? "must not be empty" : ""); };
    command->add_option("--client", options->what.client, "The client of this name")
        ->type_name("CLIENT")
        ->check(not_empty)
        ->group(group);
    command
        ->add_option("--issued-before", options->issued_before,
                     "Tokens issued before: now, or so long ago (10m); with --client that client's, else everybody's")
        ->type_name("TIME")
        ->group(group);
    command->add_option("--token-id", options->what.token_id, "The token with this jti")->type_name("ID")->group(group);
    command->add_option("--issuer", options->what.issuer, "Whose --token-id it is (default: anybody's)")
        ->type_name("ISSUER")
        ->group(group);
    command->add_option("--session", options->what.session, "This socket")->type_name("SESSION")->group(group);
    command
        ->add_option_function<std::string>(
            "--for", [options](const std::string& text) { options->keep = parse_time("--for", text); },
            "How long (default: as long as any token of the configured issuers may live)")
        ->type_name("TIME");
    const auto from = std::make_shared<configured>(*command, std::vector<std::string>{"broker"});
    command->footer(
        "It becomes an entry of the stream REVOKED, which every foz serve reads before it is ready. It counts when the "
        "URL's user is the one that foz serve logs in as, or one of broker.revokers. For example:\n"
        "  foz token revoke --config foz.toml --client alice --issued-before now   (she has to log in again)\n"
        "  foz token revoke --config foz.toml --client mallory --for 30d");
    command->callback([&chosen, options, from] { chosen = [options, from] { return revoke(*from, *options); }; });
}

}  // namespace foz::cli
