// foz pub | sub | request
#include "base/json.hpp"
#include "cli/commands.hpp"
#include "cli/durations.hpp"
#include "cli/talking.hpp"
#include "ops/broker/probe.hpp"

#include <charconv>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

namespace foz::cli {
namespace {

constexpr const char* server_group = "Server";

CLI::Option* add_time(CLI::App& command, const std::string& flag, std::optional<std::chrono::milliseconds>& to,
                      const std::string& help) {
    return command
        .add_option_function<std::string>(
            flag, [&to, flag](const std::string& text) { to = parse_time(flag, text); }, help)
        ->type_name("TIME");
}

void add_server(CLI::App& command, talk_options& to) {
    command
        .add_option_function<std::string>(
            "--url",
            [&to](const std::string& text) {
                auto parsed = parse_server_address(text);
                if (!parsed) throw wrong_usage("--url: " + parsed.error());
                to.server = std::move(*parsed);
            },
            "The aggregator; default ws://127.0.0.1:8080")
        ->type_name("URL")
        ->envname("FOZ_URL")
        ->group(server_group);
    command.add_option("--resume", to.resume, "The secret that says who this client is; default: a new client")
        ->type_name("SECRET")
        ->group(server_group);
    command.add_flag("--insecure", to.insecure, "Believe any TLS certificate")->group(server_group);
}

// JSON, or with --text anything.
void check_message(const std::string& message, const std::string& example) {
    if (is_json(message)) return;
    throw wrong_usage("MESSAGE is not valid JSON: " + message + "\n  quote it for the shell: " + example +
                      "\n  or send it as a text: --text");
}

void add_message(CLI::App& command, talk_options& to) {
    command.add_option("CHANNEL", to.channel, "")->required()->type_name("");
    command.add_flag("--text", to.text, "MESSAGE is plain text, not JSON");
    command.add_option("--type", to.type, "What the service is asked to do")->type_name("TYPE");
    command.add_option("--topic", to.topic, "What the message is about")->type_name("TOPIC");
    command.add_option("--id", to.id, "The message's id: the same once more is no second message")->type_name("ID");
    add_time(command, "--expires", to.expires, "The message's life");
    command.add_flag("--broadcast", to.broadcast, "A wish to the service: for everyone");
    command.add_option("--multicast", to.multicast, "For this group; may be repeated")
        ->type_name("GROUP")
        ->allow_extra_args(false);
    command.add_option("--direct", to.direct, "For this client; may be repeated")
        ->type_name("CLIENT")
        ->allow_extra_args(false);
}

int finish(const std::shared_ptr<talk_options>& options,
           boost::asio::awaitable<int> (*work)(net::shard&, talk_options&)) {
    return ops::run_alone([options, work](net::shard& home) { return work(home, *options); });
}

void add_pub(CLI::App& app, run_command& chosen) {
    CLI::App* const command = app.add_subcommand("pub", "Send messages as a client, until each is safe");
    const auto options = std::make_shared<talk_options>();
    add_message(*command, *options);
    command->add_option("MESSAGE", options->message, "JSON; without it, or with -, each line of the input is one")
        ->type_name("");
    add_time(*command, "--timeout", options->timeout, "How long to wait for each receipt (default 10s)");
    add_server(*command, *options);
    command->footer(
        "Ends with 0 when the broker has all of them. For example:\n"
        "  foz pub chat --type say '{\"room\":\"lobby\",\"text\":\"hi\"}'\n"
        "  jq -c '.[]' all.json | foz pub tickets --type open");
    command->callback([&chosen, options] {
        const bool given = !options->message.empty() && options->message != "-";
        if (given && !options->text) check_message(options->message, "foz pub chat '{\"text\":\"hi\"}'");
        if (!given) options->message.clear();
        if (!given && !options->id.empty()) throw wrong_usage("--id: one message has it, not a whole input");
        chosen = [options] { return finish(options, publish_messages); };
    });
}

void add_request(CLI::App& app, run_command& chosen) {
    CLI::App* const command = app.add_subcommand("request", "Ask a service as a client and print its answer");
    const auto options = std::make_shared<talk_options>();
    add_message(*command, *options);
    command->add_option("MESSAGE", options->message, "JSON (default null)")->type_name("");
    add_time(*command, "--timeout", options->timeout,
             "How long to wait for the answer, or for its next part (default 10s)");
    command->add_flag("--fail-fast", options->fail_fast, "Fail at once when no service runs now");
    command->add_flag("--progress", options->progress, "Tell what becomes of it, on stderr");
    add_server(*command, *options);
    command->footer(
        "Ends with 0 and the answer on stdout, with 1 on an error. An answer in parts has a line for each before it. "
        "For "
        "example:\n"
        "  foz request chat --type echo '{\"text\":\"hi\"}'\n"
        "  foz request tickets --type list --timeout 2s");
    command->callback([&chosen, options] {
        if (options->message.empty() && !options->text) options->message = "null";
        if (!options->text) check_message(options->message, "foz request chat '{\"text\":\"hi\"}'");
        chosen = [options] { return finish(options, ask_service); };
    });
}

void set_count(talk_options& to, const std::string& text) {
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, to.count);
    if (parsed.ec != std::errc() || parsed.ptr != end || to.count == 0)
        throw wrong_usage("--count: a number from 1 on is expected, not " + text);
}

void set_from(talk_options& to, const std::string& text) {
    if (text == "first" || text == "now") {
        to.from = json_string(text);
    } else if (text.find('.') != std::string::npos) {
        to.from = json_string(text);  // a position
        if (to.channels.size() > 1) throw wrong_usage("--from: a position is of one channel");
    } else {
        to.since = parse_time("--from", text);
    }
}

void add_sub(CLI::App& app, run_command& chosen) {
    CLI::App* const command = app.add_subcommand("sub", "Hear channels as a client, one line of JSON for each event");
    const auto options = std::make_shared<talk_options>();
    const auto from = std::make_shared<std::string>("now");
    command->add_option("CHANNEL", options->channels, "Channels, with commas")
        ->required()
        ->delimiter(',')
        ->type_name("");
    command->add_option("--topic", options->topics, "Only what matches this pattern; may be repeated")
        ->type_name("PATTERN")
        ->allow_extra_args(false);
    command->add_option("--group", options->groups, "This group's messages too; may be repeated")
        ->type_name("GROUP")
        ->allow_extra_args(false);
    command->add_option("--from", *from, "Begin at: first, now, a position, or so long ago")->type_name("WHERE");
    command
        ->add_option_function<std::string>(
            "--count", [options](const std::string& text) { set_count(*options, text); }, "End after so many messages")
        ->type_name("N");
    add_time(*command, "--for", options->timeout, "End after this time");
    command->add_flag("--raw", options->raw, "Print messages alone, as the service sent them");
    add_server(*command, *options);
    command->footer(
        "Comes back by itself when the connection is lost, and goes on where it was. For example:\n"
        "  foz sub chat,tickets\n"
        "  foz sub chat --topic 'room.*' --from 10m --count 1 --raw");
    command->callback([&chosen, options, from] {
        set_from(*options, *from);
        chosen = [options] { return finish(options, hear_channels); };
    });
}

}  // namespace

void add_talk(CLI::App& app, run_command& chosen) {
    add_pub(app, chosen);
    add_sub(app, chosen);
    add_request(app, chosen);
}

}  // namespace foz::cli
