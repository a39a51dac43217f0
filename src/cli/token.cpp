// foz token check | make
#include "base/clock.hpp"
#include "base/random.hpp"
#include "cli/commands.hpp"
#include "cli/configured.hpp"
#include "cli/durations.hpp"
#include "cli/print.hpp"
#include "identity/make_token.hpp"
#include "identity/token_text.hpp"
#include "identity/verifier.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace foz::cli {
namespace {

using namespace std::chrono_literals;

// What foz expects to read at most, so that a wrong file is noticed.
constexpr std::size_t input_octets_max = 256 * 1024;

// Of a stream that has so much; without the line end behind it.
std::string read_all(std::istream& in) {
    std::string text(input_octets_max, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
    return text;
}

std::string read_named_file(const std::string& flag, const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string text = read_all(in);
    if (!in.is_open() || in.bad() || text.empty())
        throw std::runtime_error(flag + ": " + path + " can't be read, or is empty");
    return text;
}

std::string read_named_variable(const std::string& flag, const std::string& name) {
    const char* const text = std::getenv(name.c_str());
    if (!text || !*text) throw std::runtime_error(flag + ": the variable " + name + " is not set");
    return text;
}

// A token is a stranger's: what would move a terminal's cursor is shown as \u00xx. JSON has no other control
// characters.
std::string for_terminal(std::string_view json) {
    std::string out;
    for (std::size_t i = 0; i < json.size(); ++i) {
        const auto c = static_cast<unsigned char>(json[i]);
        const auto next = i + 1 < json.size() ? static_cast<unsigned char>(json[i + 1]) : 0u;
        if (c == 0x7f || c < 0x20) {
            out += fmt::format("\\u{:04x}", c);
        } else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
            out += fmt::format("\\u{:04x}", next);
            ++i;
        } else {
            out += json[i];
        }
    }
    return out;
}

std::string time_of(std::chrono::sys_seconds at) {
    const std::time_t seconds = at.time_since_epoch().count();
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

void print_row(std::string_view name, std::string_view text) {
    if (!text.empty()) print(fmt::format("{:<10}{}\n", name, for_terminal(text)));
}

std::string words_of(const identity::permission& one) {
    if (one.all) return "all";
    return one.patterns.empty() ? "none" : fmt::format("{}", fmt::join(one.patterns, ", "));
}

void print_accepted(const identity::verified_token& token) {
    print_row("client", token.client);
    print_row("expires", time_of(token.expires));
    if (!token.channels) print_row("channels", "as they are configured");
    if (token.channels && token.channels->empty()) print_row("channels", "none");
    for (const auto& one : token.channels.value_or(std::vector<identity::channel_grant>{}))
        print_row("channel", fmt::format("{}: consume {}; publish {}; request {}", one.channel, words_of(one.consume),
                                         words_of(one.publish), words_of(one.request)));
    if (token.groups)
        print_row("groups", token.groups->empty() ? "none" : fmt::format("{}", fmt::join(*token.groups, ", ")));
    for (const auto& one : token.limits) print_row("limit", fmt::format("{} {}", one.name, one.value));
    print_row("meta", token.meta);
    print("accepted\n");
}

// Foz itself doesn't wait for keys, a person does.
std::expected<identity::verified_token, identity::refusal> verify_patiently(const identity::verifier& by,
                                                                            const std::string& token,
                                                                            std::chrono::milliseconds patience) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (true) {
        const std::uint64_t seen = by.generation();
        auto became = by.verify(token);
        const bool keys_missing = !became && became.error() == identity::refusal::keys_unavailable;
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (!keys_missing || seen > 0 || left <= 0ms || !by.wait(seen, left)) return became;
    }
}

// Whether all sources have failed so far, told on stderr.
void tell_failures(const identity::verifier& by) {
    for (const identity::key_state& one : by.states())
        if (!one.last_failure.empty())
            std::fprintf(stderr, "foz: issuer %s: %s\n", one.issuer.c_str(), one.last_failure.c_str());
}

int check_token(const configured& from, std::string token) {
    const ops::configuration all = from.read();
    if (token.empty()) token = read_all(std::cin);
    if (token.empty()) throw wrong_usage("no token: it is expected as an argument or on standard input");
    if (const auto contents = identity::read_contents(token)) {
        print_row("header", contents->header);
        print_row("claims", contents->claims);
    }
    if (all.issuers.empty())
        std::fputs("foz: the configuration has no [issuers.NAME]: nobody's tokens are accepted (--config)\n", stderr);
    std::chrono::milliseconds patience = 1s;
    for (const auto& one : all.issuers) patience = std::max(patience, one.fetch_timeout + 1s);
    const identity::verifier by(all.issuers);
    const auto became = verify_patiently(by, token, patience);
    if (became) {
        print_accepted(*became);
        return 0;
    }
    tell_failures(by);
    print(fmt::format("refused   {}: {}\n", identity::code_of(became.error()), identity::sentence_of(became.error())));
    return 1;
}

struct make_options {
    identity::token_request token;
    std::string issuer_name;  // of the configuration
    std::string secret_file;
    std::string secret_variable;
    std::string key_file;
    std::string expires = "1h";
};

// What isn't said is the configured issuer's.
void take_issuer(make_options& options, const configured& from) {
    const ops::configuration all = from.read();
    const auto found = std::ranges::find(all.issuers, options.issuer_name, &identity::issuer_settings::name);
    if (found == all.issuers.end())
        throw std::runtime_error("--as: the configuration has no [issuers." + options.issuer_name + "]");
    if (options.token.issuer.empty()) options.token.issuer = found->issuer;
    if (options.token.audience.empty() && !found->audience.empty()) options.token.audience = {found->audience.front()};
    if (options.token.algorithm.empty() && found->algorithms.size() == 1)
        options.token.algorithm = found->algorithms.front();
    if (!options.secret_file.empty() || !options.secret_variable.empty() || !options.key_file.empty()) return;
    options.secret_file = found->secret_file;
    options.secret_variable = found->secret_variable;
    if (!found->has_secret())
        throw wrong_usage("--as: [issuers." + options.issuer_name + "] has no secret; a private key is needed (--key)");
}

int make(make_options options, const configured& from) {
    if (!options.issuer_name.empty()) take_issuer(options, from);
    const auto sources = !options.secret_file.empty() + !options.secret_variable.empty() + !options.key_file.empty();
    if (sources != 1) throw wrong_usage("with what? One of --secret-file, --secret-variable, --key and --as is needed");
    if (options.token.issuer.empty()) throw wrong_usage("--issuer is needed, or --as");
    if (!options.secret_file.empty()) options.token.secret = read_named_file("--secret-file", options.secret_file);
    if (!options.secret_variable.empty())
        options.token.secret = read_named_variable("--secret-variable", options.secret_variable);
    if (!options.key_file.empty()) options.token.key = read_named_file("--key", options.key_file);
    const auto life = std::chrono::duration_cast<std::chrono::seconds>(parse_time("--expires", options.expires));
    options.token.issued = std::chrono::floor<std::chrono::seconds>(foz::clock().wall_now());
    options.token.expires = options.token.issued + life;
    options.token.token_id = system_random().token();
    const auto made = identity::make_token(options.token);
    if (!made) throw std::runtime_error(made.error());
    print(*made + "\n");
    return 0;
}

void add_token_check(CLI::App& to, run_command& chosen) {
    CLI::App* const command = to.add_subcommand("check", "Print what a token says, and whether Foz accepts it");
    const auto token = std::make_shared<std::string>();
    command
        ->add_option("TOKEN", *token,
                     "The token; without one it is read from standard input, which no list of "
                     "processes shows")
        ->type_name("");
    const auto from = std::make_shared<configured>(*command, std::vector<std::string>{"issuers"});
    command->footer(
        "Ends with 0 when the token is accepted, 1 when it is refused. For example:\n"
        "  foz token check --config foz.toml < token.txt\n"
        "  foz token make --config foz.toml --as dev --sub alice | foz token check --config foz.toml");
    command->callback([&chosen, token, from] { chosen = [token, from] { return check_token(*from, *token); }; });
}

void add_token_make(CLI::App& to, run_command& chosen) {
    CLI::App* const command = to.add_subcommand("make", "Make a token, for development");
    const auto options = std::make_shared<make_options>();
    identity::token_request& token = options->token;
    command->add_option("--sub", token.subject, "Whose it is")->type_name("CLIENT")->required();
    command->add_option("--issuer", token.issuer, "Its issuer")->type_name("ISSUER");
    command->add_option("--audience", token.audience, "For whom it is (repeatable)")
        ->type_name("AUDIENCE")
        ->allow_extra_args(false);
    command->add_option("--expires", options->expires, "When it expires: 10m, 1h, 1d (default 1h)")->type_name("TIME");
    command->add_option("--claims", token.more, "Further claims, a JSON object")->type_name("JSON");
    constexpr const char* group = "With what it is signed";
    command
        ->add_option("--as", options->issuer_name,
                     "As [issuers.NAME] of the configuration: its secret, issuer and audience")
        ->type_name("NAME")
        ->group(group);
    command->add_option("--secret-file", options->secret_file, "A secret in a file")->type_name("FILE")->group(group);
    command->add_option("--secret-variable", options->secret_variable, "A secret in an environment variable")
        ->type_name("NAME")
        ->group(group);
    command->add_option("--key", options->key_file, "A private key, JWK or PEM")->type_name("FILE")->group(group);
    command->add_option("--algorithm", token.algorithm, "HS256, RS256, ES256 … (default: the first that fits the key)")
        ->type_name("ALGORITHM")
        ->group(group);
    command->add_option("--kid", token.key_id, "The key's id (default: the JWK's)")->type_name("ID")->group(group);
    const auto from = std::make_shared<configured>(*command, std::vector<std::string>{"issuers"});
    command->footer(
        "For example:\n"
        "  foz token make --config foz.toml --as dev --sub alice --expires 10m\n"
        "  foz token make --secret-file dev.secret --issuer dev --sub alice \\\n"
        "      --claims '{\"foz\":{\"groups\":[\"admins\"]}}'");
    command->callback([&chosen, options, from] { chosen = [options, from] { return make(*options, *from); }; });
}

}  // namespace

void add_token(CLI::App& app, run_command& chosen) {
    CLI::App* const command =
        app.add_subcommand("token", "Check and revoke clients' tokens, and make some for development");
    command->require_subcommand(1);
    command->footer("For example:\n  foz token check --config foz.toml < token.txt\n  foz token make --help");
    add_token_check(*command, chosen);
    add_token_make(*command, chosen);
    add_token_revoke(*command, chosen);
}

}  // namespace foz::cli
