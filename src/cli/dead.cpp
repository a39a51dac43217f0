// foz dead list | show | retry | drop
#include "base/encoding.hpp"
#include "base/json.hpp"
#include "base/utf8.hpp"
#include "cli/commands.hpp"
#include "cli/configured.hpp"
#include "cli/durations.hpp"
#include "cli/print.hpp"
#include "ops/broker/dead_letters.hpp"
#include "ops/broker/probe.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace foz::cli {
namespace {

struct dead_options {
    ops::dead_filter which;
    std::size_t limit = 1'000;
    bool json = false;
    bool all = false;
    bool edit = false;
    bool yes = false;
    std::string body;
};

using work_on_letters = boost::asio::awaitable<int> (*)(ops::dead_letters&, const dead_options&);

std::uint64_t now_s() {
    return static_cast<std::uint64_t>(std::time(nullptr));
}

std::string time_text(std::uint64_t seconds) {
    if (seconds == 0) return "-";
    const auto at = static_cast<std::time_t>(seconds);
    std::tm parts{};
    ::gmtime_r(&at, &parts);
    std::array<char, 32> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string json_of(const ops::dead_letter& one) {
    const std::string message = is_json(one.body) ? one.body : json_string(base64(one.body));
    return fmt::format(
        R"({{"id":{},"channel":{},"topic":{},"type":{},"client":{},"reason":{},"queue":{},"died_at":{},"deaths":{},"{}":{}}})",
        json_string(one.id()), json_string(one.channel()), json_string(one.topic()), json_string(one.type()),
        json_string(one.client()), json_string(one.reason), json_string(one.queue),
        json_string(time_text(one.died_at_s)), one.deaths, is_json(one.body) ? "message" : "message_base64", message);
}

// The beginning of a body in one line.
std::string excerpt(std::string_view body) {
    constexpr std::size_t octets_max = 60;
    if (!is_utf8(body)) return fmt::format("({} octets that are no text)", body.size());
    std::size_t end = std::min(body.size(), octets_max);
    while (end < body.size() && end > 0 && (static_cast<unsigned char>(body[end]) & 0xc0) == 0x80) --end;
    std::string out(body.substr(0, end));
    std::ranges::replace_if(out, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
    return end < body.size() ? out + "…" : out;
}

void print_line(const ops::dead_letter& one) {
    print(fmt::format("{}  {}  {}  {}  {}  {}\n", one.id().empty() ? "(no id)" : one.id(), one.routing_key,
                      one.type().empty() ? "-" : one.type(), one.reason.empty() ? "-" : one.reason,
                      time_text(one.died_at_s), excerpt(one.body)));
}

void print_whole(const ops::dead_letter& one) {
    const auto row = [](std::string_view name, std::string_view value) {
        if (!value.empty()) print(fmt::format("{:<11}{}\n", name, value));
    };
    row("id", one.id());
    row("channel", one.channel());
    row("topic", one.topic());
    row("type", one.type());
    row("client", one.client());
    row("died in", one.queue);
    row("reason", one.reason);
    row("at", time_text(one.died_at_s));
    row("deaths", std::to_string(one.deaths));
    row("came from", one.exchange + " " + one.routing_key);
    row("answer to", one.properties.reply_to.value_or(""));
    print(is_utf8(one.body) ? one.body + "\n" : "base64 " + base64(one.body) + "\n");
}

std::vector<const ops::dead_letter*> chosen_of(const ops::dead_letters& from, const dead_options& options) {
    std::vector<const ops::dead_letter*> out;
    for (const ops::dead_letter& one : from.all())
        if (options.which.takes(one, now_s())) out.push_back(&one);
    return out;
}

void warn_of_looks(const ops::dead_letters& from) {
    if (std::ranges::none_of(from.all(), &ops::dead_letter::seen_too_often)) return;
    std::fputs(
        "foz: some of these were looked at 15 times and more. RabbitMQ counts that, and from 4.0 on drops a message "
        "that was returned 20 times, unless a policy sets another delivery-limit for IN_DEAD\n",
        stderr);
}

// False, and a line for each, when some that were named are not there.
bool all_found(const std::vector<const ops::dead_letter*>& found, const dead_options& options) {
    bool all = true;
    for (const std::string& id : options.which.ids) {
        if (std::ranges::any_of(found, [&](const auto* one) { return one->id() == id; })) continue;
        std::fprintf(stderr, "foz: there is no dead letter %s\n", id.c_str());
        all = false;
    }
    return all;
}

boost::asio::awaitable<int> list(ops::dead_letters& from, const dead_options& options) {
    const auto found = chosen_of(from, options);
    for (const ops::dead_letter* const one : found) options.json ? print(json_of(*one) + "\n") : print_line(*one);
    warn_of_looks(from);
    if (from.in_queue() > from.all().size())
        std::fprintf(stderr, "foz: the first %zu of %zu were looked at (--limit)\n", from.all().size(),
                     from.in_queue());
    co_return 0;
}

boost::asio::awaitable<int> show(ops::dead_letters& from, const dead_options& options) {
    const auto found = chosen_of(from, options);
    for (const ops::dead_letter* const one : found) options.json ? print(json_of(*one) + "\n") : print_whole(*one);
    warn_of_looks(from);
    co_return all_found(found, options) ? 0 : 1;
}

// The body as an editor leaves it.
std::string edited(const ops::dead_letter& one) {
    const char* editor = std::getenv("VISUAL");
    if (!editor || !*editor) editor = std::getenv("EDITOR");
    if (!editor || !*editor) throw std::runtime_error("--edit: neither VISUAL nor EDITOR is set");
    std::string path = "/tmp/foz-dead-XXXXXX";
    const int file = ::mkstemp(path.data());
    if (file < 0) throw std::runtime_error("--edit: no temporary file can be made");
    ::close(file);
    struct removal {
        const std::string& path;
        ~removal() { ::unlink(path.c_str()); }
    } const remove{path};
    std::ofstream(path, std::ios::binary) << one.body;
    const int status = std::system((std::string(editor) + " " + path).c_str());
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw std::runtime_error("--edit: the editor has failed");
    std::ifstream in(path, std::ios::binary);
    std::string body{std::istreambuf_iterator<char>(in), {}};
    // What most editors add, and the message had not.
    if (!one.body.ends_with('\n') && body.ends_with('\n')) body.pop_back();
    if (is_json(one.body) && !is_json(body))
        throw std::runtime_error("--edit: the message is no longer valid JSON; nothing was changed");
    return body;
}

std::string_view word_for(amqp::outcome result) {
    switch (result) {
        case amqp::outcome::confirmed:
            return "given to its service again";
        case amqp::outcome::unroutable:
            return "no queue takes it";
        case amqp::outcome::rejected:
            return "the queue refuses it";
        case amqp::outcome::overloaded:
        case amqp::outcome::unavailable:
            return "the broker takes nothing now";
        case amqp::outcome::unknown:
            return "not confirmed: it may have been given to its service";
        case amqp::outcome::invalid:
            return "it can't be encoded";
    }
    return "";
}

boost::asio::awaitable<int> retry(ops::dead_letters& from, const dead_options& options) {
    const auto found = chosen_of(from, options);
    bool good = all_found(found, options);
    if (options.edit && found.size() > 1) throw std::runtime_error("--edit: one message at a time");
    for (const ops::dead_letter* const one : found) {
        std::string body = options.edit ? edited(*one) : options.body.empty() ? one->body : options.body;
        const amqp::outcome became = co_await from.retry(*one, std::move(body));
        good = good && became == amqp::outcome::confirmed;
        print(fmt::format("{}  {}\n", one->id().empty() ? "(no id)" : one->id(), word_for(became)));
    }
    co_return good ? 0 : 1;
}

boost::asio::awaitable<int> drop(ops::dead_letters& from, const dead_options& options) {
    const auto found = chosen_of(from, options);
    const bool good = all_found(found, options);
    for (const ops::dead_letter* const one : found) {
        from.drop(*one);
        print(fmt::format("{}  dropped\n", one->id().empty() ? "(no id)" : one->id()));
    }
    co_return good ? 0 : 1;
}

boost::asio::awaitable<int> on_broker(net::shard& home, const aggregator::settings& server, const dead_options& options,
                                      work_on_letters work) {
    std::string why;
    for (const amqp::url& where : server.publish_urls) {
        ops::dead_letters letters(home, where, server.broker_tls);
        auto opened = co_await letters.read(options.limit);
        if (!opened) {
            why = where.redacted() + ": " + opened.error().text;
            co_await letters.close();
            continue;
        }
        int code = 1;
        std::exception_ptr failure;
        try {
            code = co_await work(letters, options);
        } catch (const std::exception&) {
            failure = std::current_exception();
        }
        co_await letters.close();
        if (failure) std::rethrow_exception(failure);
        co_return code;
    }
    throw std::runtime_error(why);
}

void add_filter(CLI::App& command, dead_options& to) {
    constexpr const char* group = "Which";
    command.add_option("--channel", to.which.channel, "Of this channel")->type_name("CHANNEL")->group(group);
    command.add_option("--type", to.which.type, "Of this type")->type_name("TYPE")->group(group);
    command.add_option("--client", to.which.client, "From this client")->type_name("CLIENT")->group(group);
    command.add_option("--reason", to.which.reason, "rejected, delivery_limit, expired or maxlen")
        ->type_name("REASON")
        ->check(CLI::IsMember({"rejected", "delivery_limit", "expired", "maxlen"}))
        ->group(group);
    command
        .add_option_function<std::string>(
            "--older-than",
            [&to](const std::string& text) {
                to.which.older_than =
                    std::chrono::duration_cast<std::chrono::seconds>(parse_time("--older-than", text));
            },
            "That died so long ago, or earlier: 10m, 2h, 1d")
        ->type_name("TIME")
        ->group(group);
    command.add_option("--limit", to.limit, "How many to look at, oldest first (default 1000, at most 2000)")
        ->type_name("NUMBER")
        ->check(CLI::Range(1, 2'000))
        ->group(group);
}

// Naming nothing selects nothing; all of them need --all.
void check_choice(const dead_options& options, const std::string& command) {
    const auto& w = options.which;
    const bool filtered =
        !w.channel.empty() || !w.type.empty() || !w.client.empty() || !w.reason.empty() || w.older_than;
    if (w.ids.empty() && !filtered && !options.all)
        throw wrong_usage("which ones? Ids, a filter, or --all: foz dead " + command + " --help");
    if (!w.ids.empty() && options.all) throw wrong_usage("--all and ids exclude each other");
}

struct subcommand {
    CLI::App* command;
    std::shared_ptr<dead_options> options;
    std::shared_ptr<configured> from;
};

subcommand add_sub(CLI::App& to, const std::string& name, const std::string& help) {
    CLI::App* const command = to.add_subcommand(name, help);
    auto options = std::make_shared<dead_options>();
    add_filter(*command, *options);
    return {command, options, std::make_shared<configured>(*command, std::vector<std::string>{"broker"})};
}

void run_with(const subcommand& what, run_command& chosen, work_on_letters work) {
    chosen = [options = what.options, from = what.from, work] {
        const ops::configuration all = from->read();
        require_tls(all.server);
        return ops::run_alone([&](net::shard& home) { return on_broker(home, all.server, *options, work); });
    };
}

void add_list(CLI::App& to, run_command& chosen) {
    const subcommand made = add_sub(to, "list", "One line for each dead letter, the oldest first");
    made.command->add_flag("--json", made.options->json, "As JSON, with the whole message");
    made.command->footer("For example:\n  foz dead list --channel tickets\n  foz dead list --json | jq .message");
    made.command->callback([made, &chosen] { run_with(made, chosen, list); });
}

void add_show(CLI::App& to, run_command& chosen) {
    const subcommand made = add_sub(to, "show", "Everything about one");
    made.command->add_option("ID", made.options->which.ids, "Its message id, as list tells it")
        ->required()
        ->type_name("");
    made.command->add_flag("--json", made.options->json, "As JSON");
    made.command->footer("Ends with 1 when there is none. For example:\n  foz dead show anon-c3m1/m1");
    made.command->callback([made, &chosen] { run_with(made, chosen, show); });
}

void add_retry(CLI::App& to, run_command& chosen) {
    const subcommand made = add_sub(to, "retry", "Give them to their service again");
    dead_options& options = *made.options;
    made.command->add_option("ID", options.which.ids, "Message ids")->type_name("");
    made.command->add_flag("--all", options.all, "All that were looked at");
    made.command->add_flag("--edit", options.edit, "Change the message in $VISUAL or $EDITOR before");
    made.command->add_option("--body", options.body, "Another message in its place, JSON")->type_name("JSON");
    made.command->footer(
        "Each leaves IN_DEAD when the broker has confirmed that its queue has it. Ends with 1 when one could not be "
        "given\n"
        "back, or was not there. For example:\n"
        "  foz dead retry anon-c3m1/m1\n  foz dead retry --channel tickets --reason rejected\n"
        "  foz dead retry anon-c3m1/m1 --edit");
    made.command->callback([made, &chosen] {
        check_choice(*made.options, "retry");
        const std::string& body = made.options->body;
        if (!body.empty() && made.options->edit) throw wrong_usage("--body and --edit exclude each other");
        if (!body.empty() && made.options->which.ids.size() != 1) throw wrong_usage("--body: for one id");
        if (!body.empty() && !is_json(body)) throw wrong_usage("--body is not valid JSON: " + body);
        run_with(made, chosen, retry);
    });
}

void add_drop(CLI::App& to, run_command& chosen) {
    const subcommand made = add_sub(to, "drop", "Forget them; this can't be undone");
    dead_options& options = *made.options;
    made.command->add_option("ID", options.which.ids, "Message ids")->type_name("");
    made.command->add_flag("--all", options.all, "All that were looked at");
    made.command->add_flag("--yes", options.yes, "Needed for more than what ids name");
    made.command->footer(
        "Ends with 1 when one was not there. For example:\n  foz dead drop anon-c3m1/m1\n"
        "  foz dead drop --older-than 30d --yes");
    made.command->callback([made, &chosen] {
        check_choice(*made.options, "drop");
        if (made.options->which.ids.empty() && !made.options->yes)
            throw wrong_usage("drop can't be undone: look with foz dead list and the same filter, then say --yes");
        run_with(made, chosen, drop);
    });
}

}  // namespace

void add_dead(CLI::App& app, run_command& chosen) {
    CLI::App* const command = app.add_subcommand("dead", "Dead letters: what services could not or would not do");
    command->require_subcommand(1);
    command->footer("For example:\n  foz dead list\n  foz dead retry --channel chat --broker amqp://127.0.0.1");
    add_list(*command, chosen);
    add_show(*command, chosen);
    add_retry(*command, chosen);
    add_drop(*command, chosen);
}

}  // namespace foz::cli
