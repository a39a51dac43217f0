#include "cli/talking.hpp"

#include "base/json.hpp"
#include "base/json_writer.hpp"
#include "cli/events.hpp"
#include "cli/line_source.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <deque>
#include <map>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foz::cli {
namespace {

using std::chrono::milliseconds;
using kind = client_event::kind;

constexpr milliseconds timeout_default = std::chrono::seconds(10);
// Messages of `foz pub` that wait for their receipt at the same time.
constexpr std::size_t outstanding_max = 256;
// Between a refusal that may pass and the next try, when the server names no time.
constexpr milliseconds retry_pause(300);

steady_time next_try(const server_event& error) {
    return std::chrono::steady_clock::now() + std::max(retry_pause, milliseconds(error.retry_after_ms));
}

void tell(const std::string& line) {
    std::fprintf(stderr, "foz: %s\n", line.c_str());
}

void print_line(const std::string& line) {
    std::fprintf(stdout, "%s\n", line.c_str());
    std::fflush(stdout);
}

void add_text(json_writer& to, std::string_view name, const std::string& text) {
    if (!text.empty()) to.member(name, text);
}

void add_texts(json_writer& to, std::string_view name, const std::vector<std::string>& texts) {
    to.key(name).open('[');
    for (const std::string& text : texts) to.value(text);
    to.close(']');
}

std::string publish_envelope(const talk_options& options, const std::string& id, std::string_view message,
                             std::string_view ack) {
    json_writer to;
    to.open('{').member("packet_action", "publish");
    add_text(to, "channel", options.channel);
    add_text(to, "id", id);
    add_text(to, "type", options.type);
    add_text(to, "topic", options.topic);
    to.member("ack", ack);
    if (options.expires) to.member("expires_ms", options.expires->count());
    if (options.broadcast || !options.multicast.empty() || !options.direct.empty()) {
        to.key("distribution").open('{').member("broadcast", options.broadcast);
        add_texts(to, "multicast", options.multicast);
        add_texts(to, "direct", options.direct);
        to.close('}');
    }
    if (ack == "answer") {
        to.member("timeout_ms", options.timeout.value_or(timeout_default).count());
        if (options.fail_fast) to.member("fail_fast", true);
        if (options.progress) to.member("progress", true);
    }
    if (options.text)
        to.member("message", message);
    else
        to.key("message").raw(message);
    to.close('}');
    return std::move(to).text();
}

boost::asio::awaitable<void> rest(net::shard& home, milliseconds time) {
    boost::asio::steady_timer timer(home.context(), time);
    boost::system::error_code ignored;
    co_await timer.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
}

// One client over any number of connections: the first one must succeed, later ones are tried again until a deadline.
class link {
public:
    link(net::shard& home, talk_options& options) : home_(home), options_(options) {
        if (options_.resume.empty()) options_.resume = home.random().token();
    }

    bool connected() const noexcept { return client_ != nullptr; }
    void drop() { client_.reset(); }
    primus_client& operator*() { return *client_; }
    primus_client* operator->() { return client_.get(); }

    // True when it is connected; else it was told why not.
    boost::asio::awaitable<bool> connect(steady_time until) {
        milliseconds pause(100);
        for (;;) {
            client_options how{.server = options_.server, .query = "resume=" + options_.resume};
            how.insecure = options_.insecure;
            auto opened = co_await primus_client::open(home_, std::move(how));
            if (opened) {
                client_ = std::move(*opened);
                if (was_lost_) tell("connected again");
                was_lost_ = false;
                co_return true;
            }
            // A refusal is an answer; a server that is not there, or not ready (5xx), may come.
            const std::string& why = opened.error();
            const bool refused = why.starts_with("the server") && why.find("HTTP/1.1 5") == std::string::npos;
            if (!had_one_ && !was_lost_) {
                tell(why);
                co_return false;
            }
            if (refused || std::chrono::steady_clock::now() + pause > until || stopped) {
                tell(why);
                co_return false;
            }
            co_await rest(home_, pause);
            pause = std::min(pause * 2, milliseconds(3'000));
        }
    }

    // After an event that says so. False when it must not be connected again.
    bool lost(const client_event& end) {
        had_one_ = was_lost_ = true;
        client_.reset();
        tell(end.text + (end.stay_away ? "; it does not want to be asked again" : ""));
        return !end.stay_away;
    }

    bool stopped = false;

private:
    net::shard& home_;
    talk_options& options_;
    std::unique_ptr<primus_client> client_;
    bool had_one_ = false;
    bool was_lost_ = false;
};

// The messages of `foz pub` that have no receipt yet.
class publishing {
public:
    struct message {
        std::string id;
        std::string envelope;
        steady_time until;
        std::uint64_t frame = 0;    // which one of the connection's it was
        steady_time again_at = {};  // it was refused for now: when to send it again
        std::string why;            // it was refused for now, in words
    };

    publishing(net::shard& home, const talk_options& options)
        : options_(options), prefix_(options.id.empty() ? home.random().token() + "-" : std::string()) {}

    void add(std::string_view text) {
        if (!options_.text && !is_json(text)) {
            tell("line " + std::to_string(++count_) + " is not valid JSON: " + std::string(text));
            ++failed_;
            return;
        }
        message made{.id = options_.id.empty() ? prefix_ + std::to_string(++count_) : options_.id, .envelope = {}};
        made.envelope = publish_envelope(options_, made.id, text, "confirmed");
        made.until = std::chrono::steady_clock::now() + options_.timeout.value_or(timeout_default);
        waiting_.push_back(std::move(made));
    }
    void send_new(primus_client& to) {
        const steady_time now = std::chrono::steady_clock::now();
        for (std::size_t at = 0; refused_ > 0 && at < sent_; ++at)
            if (waiting_[at].again_at != steady_time() && waiting_[at].again_at <= now) send(waiting_[at], to);
        for (; sent_ < waiting_.size(); ++sent_) send(waiting_[sent_], to);
    }
    // On a new connection.
    void send_again() {
        sent_ = 0;
        frames_ = 0;
        refused_ = 0;
        for (message& one : waiting_) {
            one.frame = 0;
            one.again_at = {};
        }
    }

    void settle(const server_event& event) {
        if (event.event != "receipt" && event.event != "error") return;
        // An error of an envelope whose id can't be read names the frame.
        const auto at = std::ranges::find_if(waiting_, [&](const message& one) {
            return event.id.empty() ? event.frame != 0 && one.frame == event.frame : one.id == event.id;
        });
        if (event.event == "error" && at != waiting_.end() && worth_another_try(event) && next_try(event) < at->until) {
            if (at->again_at == steady_time()) ++refused_;
            at->again_at = next_try(event);
            at->why = in_words(event);
            return;
        }
        if (event.event == "error") tell(in_words(event));
        if (at == waiting_.end()) return;
        if (event.event == "error") ++failed_;
        remove(at);
    }
    void expire() {
        while (!waiting_.empty() && waiting_.front().until <= std::chrono::steady_clock::now()) {
            if (!waiting_.front().why.empty()) tell(waiting_.front().why);
            tell("no receipt in time: its fate is unknown; the same --id sends it once at most");
            ++failed_;
            remove(waiting_.begin());
        }
    }

    bool full() const noexcept { return waiting_.size() >= outstanding_max; }
    bool done() const noexcept { return waiting_.empty(); }
    // When something has to be done though nothing arrives.
    steady_time until() const {
        steady_time first = waiting_.front().until;
        for (const message& one : waiting_)
            if (refused_ > 0 && one.again_at != steady_time()) first = std::min(first, one.again_at);
        return first;
    }
    std::size_t failed() const noexcept { return failed_; }

private:
    void send(message& one, primus_client& to) {
        one.frame = ++frames_;
        if (one.again_at != steady_time()) --refused_;
        one.again_at = {};
        to.send(one.envelope);
    }
    void remove(std::deque<message>::iterator at) {
        if (at->again_at != steady_time()) --refused_;
        if (static_cast<std::size_t>(at - waiting_.begin()) < sent_) --sent_;
        waiting_.erase(at);
    }

    const talk_options& options_;
    const std::string prefix_;
    std::deque<message> waiting_;
    std::size_t sent_ = 0;      // of waiting_, on this connection
    std::size_t refused_ = 0;   // of waiting_, have an `again_at`
    std::uint64_t frames_ = 0;  // sent on this connection
    std::size_t count_ = 0;
    std::size_t failed_ = 0;
};

}  // namespace

boost::asio::awaitable<int> publish_messages(net::shard& home, talk_options& options) {
    link server(home, options);
    bool up = co_await server.connect(std::chrono::steady_clock::now());
    if (!up) co_return 1;
    publishing all(home, options);
    const bool from_input = options.message.empty() && !options.text;
    if (!from_input) all.add(options.message);
    line_source input(home, STDIN_FILENO);
    if (from_input)
        input.start([&server] {
            if (server.connected()) server->interrupt();
        });
    event_reader events;
    for (;;) {
        while (!all.full()) {
            const auto line = input.take();
            if (!line) break;
            if (!line->empty()) all.add(*line);
        }
        if (all.done() && (!from_input || input.ended())) co_return all.failed() == 0 ? 0 : 1;
        if (!server.connected()) {
            up = co_await server.connect(all.done() ? steady_time::max() : all.until());
            if (!up) co_return 1;
            all.send_again();
        }
        all.send_new(*server);
        const client_event next = co_await server->next(all.done() ? steady_time::max() : all.until());
        if (next.what == kind::data) all.settle(events.read(next.text));
        if (next.what == kind::ended && !server.lost(next)) co_return 1;
        all.expire();
    }
}

namespace {

// The parts of one answer: each is printed once. Another run of the service begins anew.
class answer_parts {
public:
    void take(const server_event& part) {
        if (part.attempt < attempt_) return;  // an earlier run has not noticed
        if (part.attempt > attempt_ && part.seq == 0) {
            if (next_ > 0) tell("begun again: what was printed so far is void");
            next_ = 0;
        }
        attempt_ = part.attempt;
        if (part.seq < next_) return;
        next_ = part.seq + 1;
        print_line(part.message);
    }

private:
    std::uint64_t attempt_ = 1;
    std::uint64_t next_ = 0;
};

}  // namespace

boost::asio::awaitable<int> ask_service(net::shard& home, talk_options& options) {
    const milliseconds timeout = options.timeout.value_or(timeout_default);
    auto until = std::chrono::steady_clock::now() + timeout;
    answer_parts parts;
    link server(home, options);
    event_reader events;
    const std::string id = options.id.empty() ? home.random().token() : options.id;
    const std::string envelope = publish_envelope(options, id, options.message, "answer");
    for (;;) {
        if (!server.connected()) {
            const bool up = co_await server.connect(until);
            if (!up) co_return 1;
            server->send(envelope);
        }
        // The aggregator tells of a time-out itself; it gets a moment for it.
        const client_event next = co_await server->next(until + std::chrono::seconds(1));
        if (next.what == kind::ended && !server.lost(next)) co_return 1;
        if (next.what == kind::nothing) {
            tell("timeout: no answer in time");
            co_return 1;
        }
        if (next.what != kind::data) continue;
        const server_event event = events.read(next.text);
        if (event.event == "progress" && event.id == id) tell("progress: " + event.state);
        if (event.event == "part" && event.id == id) {
            parts.take(event);
            until = std::chrono::steady_clock::now() + timeout;
        }
        if (event.event == "error") {
            if (worth_another_try(event) && next_try(event) < until) {
                co_await rest(home,
                              std::chrono::ceil<milliseconds>(next_try(event) - std::chrono::steady_clock::now()));
                server->send(envelope);
                continue;
            }
            tell(in_words(event));
            co_return 1;
        }
        if (event.event == "answer" && event.id == id) {
            print_line(event.message);
            co_return 0;
        }
    }
}

namespace {

// What `foz sub` has heard so far.
class hearing {
public:
    explicit hearing(const talk_options& options) : options_(options) {}

    std::string consume() const {
        json_writer to;
        to.open('{').member("packet_action", "consume").key("channel").open('{');
        for (const std::string& name : options_.channels) to.member(name, true);
        to.close('}').member("id", "foz-sub");
        if (!options_.topics.empty()) add_texts(to, "consume_target", options_.topics);
        // A distribution names everything that is wanted.
        if (!options_.groups.empty()) {
            to.key("distribution").open('{').member("broadcast", true);
            add_texts(to, "multicast", options_.groups);
            to.close('}');
        }
        if (!positions_.empty()) {
            to.key("from").open('{');
            for (const auto& [name, where] : positions_) to.member(name, where);
            to.close('}');
        } else if (options_.since) {
            const auto then = std::chrono::system_clock::now() - *options_.since;
            to.key("from").open('{').member("since_ms", unix_ms(then).count()).close('}');
        } else if (options_.from != "\"now\"") {
            to.key("from").raw(options_.from);
        }
        to.close('}');
        return std::move(to).text();
    }

    // The exit code when this was the end.
    std::optional<int> take(const server_event& event) {
        if (!event.position.empty() && !event.channel.empty()) positions_[event.channel] = event.position;
        if (event.event == "consuming") {
            for (const auto& [name, where] : event.positions) positions_.try_emplace(name, where);
            return std::nullopt;
        }
        if (event.event == "error") {
            tell(in_words(event));
            return event.id == "foz-sub" ? std::optional(1) : std::nullopt;
        }
        if (event.event == "position" || event.event == "drain") return std::nullopt;
        if (event.event != "message") {
            tell(event.line);
            return std::nullopt;
        }
        print_line(options_.raw ? event.message : event.line);
        return ++messages_ == options_.count ? std::optional(0) : std::nullopt;
    }

private:
    const talk_options& options_;
    std::map<std::string, std::string> positions_;
    std::uint64_t messages_ = 0;
};

}  // namespace

boost::asio::awaitable<int> hear_channels(net::shard& home, talk_options& options) {
    const auto until = options.timeout ? std::chrono::steady_clock::now() + *options.timeout : steady_time::max();
    link server(home, options);
    boost::asio::signal_set signals(home.context(), SIGINT, SIGTERM);
    signals.async_wait([&server](boost::system::error_code failure, int) {
        if (failure) return;
        server.stopped = true;
        if (server.connected()) server->interrupt();
    });
    event_reader events;
    hearing heard(options);
    for (;;) {
        if (!server.connected()) {
            const bool up = co_await server.connect(until);
            if (!up) co_return server.stopped ? 0 : 1;
            server->send(heard.consume());
        }
        const client_event next = co_await server->next(until);
        if (server.stopped) co_return 0;
        if (next.what == kind::nothing) co_return 0;  // --for is over
        if (next.what == kind::ended) {
            if (!server.lost(next)) co_return 1;
            continue;
        }
        const auto code = heard.take(events.read(next.text));
        if (code) co_return *code;
    }
}

}  // namespace foz::cli
