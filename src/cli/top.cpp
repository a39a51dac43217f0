// foz top
#include "cli/admin_options.hpp"
#include "cli/commands.hpp"
#include "cli/durations.hpp"
#include "cli/top/fetch.hpp"
#include "cli/top/picture.hpp"
#include "cli/top/terminal.hpp"
#include "cli/top/view.hpp"
#include "net/shard.hpp"
#include "ops/broker/probe.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <utility>

#include <CLI/CLI.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foz::cli {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using time_point = std::chrono::steady_clock::time_point;

constexpr auto as_values = asio::as_tuple(asio::use_awaitable);
constexpr milliseconds patience{5'000};
constexpr std::size_t snapshot_width = 1'000;  // where there is no terminal: names are whole

struct top_options {
    explicit top_options(CLI::App& command) : how(command) {}
    admin_options how;
    admin_access admin;
    milliseconds interval{1'000};
    top::choices chosen;
    bool once = false;
    bool json = false;
};

double seconds(std::chrono::steady_clock::duration span) {
    return std::chrono::duration<double>(span).count();
}

// Lives on one shard until run() ends; its coroutines share it.
class live_view : public std::enable_shared_from_this<live_view> {
public:
    live_view(net::shard& home, const top_options& options, top::picture first)
        : home_(home),
          options_(options),
          chosen_(options.chosen),
          now_(std::move(first)),
          keys_(home.context(), dup(screen_.descriptor())),
          signals_(home.context(), SIGINT, SIGTERM, SIGHUP),
          tick_(home.context()),
          ended_(home.context(), time_point::max()) {
        for (const int one : {SIGQUIT, SIGWINCH, SIGTSTP}) signals_.add(one);
    }

    asio::awaitable<void> run() {
        const auto self = shared_from_this();
        redraw();
        asio::co_spawn(home_.context(), read_keys(self), asio::detached);
        asio::co_spawn(home_.context(), take_signals(self), asio::detached);
        asio::co_spawn(home_.context(), refresh(self), asio::detached);
        co_await ended_.async_wait(as_values);
        screen_.leave();
    }

private:
    static asio::awaitable<void> refresh(std::shared_ptr<live_view> self) {
        while (!self->over_) {
            self->tick_.expires_after(self->options_.interval);
            const auto [cancelled] = co_await self->tick_.async_wait(as_values);
            if (cancelled || self->over_) co_return;
            const auto found = co_await top::fetch(self->home_, self->options_.admin, patience);
            if (self->over_) co_return;
            self->take(found);
            self->redraw();
        }
    }

    static asio::awaitable<void> read_keys(std::shared_ptr<live_view> self) {
        std::array<char, 256> room;
        std::string pending;
        while (!self->over_) {
            const auto [failed, count] = co_await self->keys_.async_read_some(asio::buffer(room), as_values);
            if (failed) co_return self->end();  // the terminal has gone
            for (const top::key one : top::read_keys({room.data(), count}, pending)) {
                if (one == top::key::quit) co_return self->end();
                top::apply(one, self->chosen_, self->rows_);
            }
            self->redraw();
        }
    }

    static asio::awaitable<void> take_signals(std::shared_ptr<live_view> self) {
        while (!self->over_) {
            const auto [failed, number] = co_await self->signals_.async_wait(as_values);
            if (failed) co_return;
            if (number == SIGTSTP) {
                self->screen_.leave();
                std::raise(SIGSTOP);  // goes on from here
                self->screen_.enter();
            } else if (number != SIGWINCH) {
                co_return self->end();
            }
            self->redraw();
        }
    }

    void end() {
        over_ = true;
        tick_.cancel();
        signals_.cancel();
        keys_.cancel();
        ended_.cancel();
    }

    void take(const std::expected<top::pages, std::string>& found) {
        std::expected<top::picture, std::string> read =
            found ? top::read_picture(found->overview, found->queues) : std::unexpected(found.error());
        if (!read) {
            around_.lost = options_.admin.where.text() + ": " + read.error();
            return;
        }
        around_.lost.clear();
        const time_point at = std::chrono::steady_clock::now();
        const double cpu = read->cpu_seconds - now_.cpu_seconds;
        around_.cpu_share.reset();
        if (cpu >= 0 && read->uptime_s >= now_.uptime_s) around_.cpu_share = cpu / seconds(at - at_);
        at_ = at;
        now_ = std::move(*read);
    }

    void redraw() {
        if (over_) return;
        around_.age_s = seconds(std::chrono::steady_clock::now() - at_);
        const auto [width, height] = screen_.size();
        top::drawn shown =
            top::draw(now_, around_, chosen_, {.width = width, .height = height, .colours = top::wants_colours()});
        rows_ = shown.rows;
        screen_.show(shown.lines);
    }

    net::shard& home_;
    const top_options& options_;
    top::choices chosen_;
    top::picture now_;
    time_point at_ = std::chrono::steady_clock::now();
    top::surroundings around_;
    std::size_t rows_ = 0;
    bool over_ = false;
    top::terminal screen_;
    asio::posix::stream_descriptor keys_;
    asio::signal_set signals_;
    asio::steady_timer tick_;
    asio::steady_timer ended_;
};

// The width of a snapshot: a terminal's, or one in which everything has room.
void print_snapshot(const top::picture& now, top::choices chosen) {
    const bool shown = top::terminal::there();
    const std::size_t width = shown ? top::terminal::width_of_output() : snapshot_width;
    const top::drawn out = top::draw(now, {}, chosen, {.width = width, .colours = shown && top::wants_colours()});
    for (const std::string& line : out.lines) std::printf("%s\n", line.c_str());
}

asio::awaitable<int> look(net::shard& home, const top_options& options) {
    const auto found = co_await top::fetch(home, options.admin, patience);
    const std::string where = options.admin.where.text();
    if (!found)
        throw std::runtime_error("no admin port at " + where + ": " + found.error() +
                                 "; start foz serve --admin-listen " + where + ", or name another one with --admin");
    auto now = top::read_picture(found->overview, found->queues);
    if (!now) throw std::runtime_error(where + ": " + now.error() + "; --admin names what --admin-listen says");
    if (options.json) {
        std::string all = "{\"overview\":" + found->overview + ",\"queues\":" + found->queues.value_or("null") + "}";
        std::erase(all, '\n');  // one of each page, behind its JSON: inside, a line's end is escaped
        std::printf("%s\n", all.c_str());
    } else if (options.once || !top::terminal::there()) {
        print_snapshot(*now, options.chosen);
    } else {
        const auto view = std::make_shared<live_view>(home, options, std::move(*now));
        co_await view->run();
    }
    co_return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace

void add_top(CLI::App& app, run_command& chosen) {
    CLI::App* const command = app.add_subcommand("top", "Watch connections, rates and queues of a running server");
    const auto options = std::make_shared<top_options>(*command);
    command
        ->add_option_function<std::string>(
            "--interval",
            [options](const std::string& text) {
                options->interval = parse_time("--interval", text);
                if (options->interval < milliseconds(100) || options->interval > std::chrono::hours(1))
                    throw wrong_usage("--interval: from 100ms to 1h, not " + text);
            },
            "How often to look (default 1s). The server counts once a second")
        ->type_name("TIME");
    command
        ->add_option_function<std::string>(
            "--sort",
            [options](const std::string& text) {
                const auto by = top::parse_sort_key(text);
                if (!by) throw wrong_usage("--sort: one of " + top::sort_keys() + " is expected, not " + text);
                options->chosen.sort = *by;
            },
            "Queues by " + top::sort_keys() + "; default: by ready")
        ->type_name("NAME");
    command->add_flag("--once", options->once, "One look as a table, as it is without a terminal too");
    command->add_flag("--json", options->json, "One look as JSON: {\"overview\":…,\"queues\":…}");
    command->footer(
        "q ends it; other keys are at the foot of the screen. NO_COLOR is respected. For example:\n"
        "  foz top --admin 127.0.0.1:9090 --sort publish\n"
        "  foz top --json | jq '.queues[] | select(.consumers == 0).name'");
    command->callback([&chosen, options] {
        chosen = [options] {
            options->admin = options->how.read();
            return ops::run_alone([&](net::shard& home) { return look(home, *options); });
        };
    });
}

}  // namespace foz::cli
