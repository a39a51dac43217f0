#include "cli/drill/client.hpp"

#include "base/json.hpp"
#include "primus/packet.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foz::cli::drill {
namespace {

using std::chrono::steady_clock;

constexpr milliseconds backoff_min{200};
constexpr milliseconds backoff_max{3'000};
constexpr milliseconds connect_patience{3'000};
// Each fourth message is a plain write, the others are requests.
constexpr std::uint32_t plain_every = 4;
// As the plugin's own.
constexpr std::size_t seen_ids_max = 1'000;
constexpr milliseconds request_timeout{60'000};
// That the stock client waits for an answer which the next socket may bring.
constexpr milliseconds patience_after_cut{5'000};

}  // namespace

drill_client::drill_client(net::shard& home, client_setup setup, std::vector<std::uint32_t> numbers,
                           std::vector<line*> lines)
    : home_(home), setup_(std::move(setup)), wake_(home.context()) {
    for (std::size_t i = 0; i < lines.size(); ++i) {
        state one;
        one.number = numbers[i];
        one.all = lines[i];
        lines_.push_back(std::move(one));
    }
}

boost::asio::awaitable<void> drill_client::run() {
    while (!stopped_) {
        if (!socket_) {
            co_await connect();
            continue;
        }
        write_due();
        const client_event next = co_await socket_->next(next_wake());
        if (stopped_) break;
        if (next.what == client_event::kind::data) on_data(next);
        if (next.what == client_event::kind::ended) {
            socket_.reset();
            on_ended();
            continue;
        }
        if (asleep_ && steady_clock::now() >= asleep_until_) {
            asleep_ = false;
            socket_->resume_reading();
        }
        if (std::exchange(drop_, false)) socket_->abort();
        if (std::exchange(abandon_, false)) {
            socket_->pause_reading();
            abandoned_.push_back(std::move(socket_));
            on_ended();
        }
    }
    socket_.reset();
    abandoned_.clear();
}

boost::asio::awaitable<void> drill_client::connect() {
    drop_ = false;
    const auto now = steady_clock::now();
    const auto pause = std::max(backoff_, std::chrono::duration_cast<milliseconds>(away_until_ - now));
    if (away_until_ > now || backoff_ > milliseconds(0)) co_await rest(pause);
    if (stopped_) co_return;
    client_options how{.server = {.host = "127.0.0.1", .port = setup_.ports[port_]}};
    how.query = "resume=" + setup_.resume;
    if (setup_.plugin) how.query += "&hello=1";
    if (!setup_.bound_channel.empty()) how.query += "&channel=" + setup_.bound_channel;
    how.timeout = connect_patience;
    auto opened = co_await primus_client::open(home_, std::move(how));
    if (stopped_) co_return;
    if (!opened) {
        port_ = (port_ + 1) % setup_.ports.size();
        // All of them are tried at once before the pauses grow, with a little chance in it: nobody comes in step.
        const milliseconds jitter(static_cast<std::int64_t>(home_.random().below(100)));
        backoff_ = port_ == 0 ? std::min(std::max(backoff_ * 2, backoff_min), backoff_max) + jitter : milliseconds(1);
        co_return;
    }
    socket_ = std::move(*opened);
    backoff_ = milliseconds(0);
    on_open();
}

boost::asio::awaitable<void> drill_client::rest(milliseconds span) {
    wake_.expires_after(span);
    boost::system::error_code ignored;
    co_await wake_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
}

void drill_client::on_open() {
    frames_ = 0;
    if (setup_.plugin) return;  // it waits for the welcome
    for (state& one : lines_) consume(one);
}

void drill_client::consume(state& of) {
    std::string json = R"({"packet_action":"consume","channel":)" + json_string(of.all->channel) +
                       R"(,"id":"consume-)" + std::to_string(++consumes_) + "\"";
    if (setup_.plugin && !of.position.empty()) json += ",\"from\":" + json_string(of.position);
    send_frame(json + "}");
}

void drill_client::on_ended() {
    const auto now = steady_clock::now();
    for (state& one : lines_) {
        if (one.waiting) one.all->operations[*one.waiting - 1].cut = true;
        one.frame = 0;
        if (std::exchange(one.consuming, false)) one.all->away.push_back({.from = now});
        // The stock client does not send again what was in flight. An answer may still come, so it waits; a receipt
        // can't.
        if (!setup_.plugin && one.waiting) {
            const bool request = one.all->operations[*one.waiting - 1].request;
            one.give_up_at = request ? std::min(one.give_up_at, now + patience_after_cut) : now;
        }
    }
    asleep_ = false;
    backoff_ = backoff_min + milliseconds(static_cast<std::int64_t>(home_.random().below(100)));
    if (away_until_ > now) backoff_ = milliseconds(0);
}

steady_time drill_client::next_wake() const {
    auto out = asleep_ ? asleep_until_ : steady_clock::now() + setup_.patience;
    for (const state& one : lines_) {
        if (one.waiting) out = std::min(out, one.give_up_at);
        if (one.consuming && (one.waiting ? one.again : writing_)) out = std::min(out, one.next_at);
    }
    return out;
}

void drill_client::write_due() {
    const auto now = steady_clock::now();
    for (state& one : lines_) {
        if (one.waiting) {
            if (now >= one.give_up_at) {
                one.waiting.reset();
                one.again = false;
                one.next_at = now + setup_.pace;
            } else if (one.again && one.consuming && now >= one.next_at) {
                one.again = false;
                ++one.all->operations[*one.waiting - 1].sent;
                send_operation(one);
            }
        } else if (writing_ && one.consuming && now >= one.next_at) {
            write_new(one);
        }
    }
}

void drill_client::write_new(state& to) {
    operation made{.written = steady_clock::now(), .settled = {}};
    to.waiting = static_cast<std::uint32_t>(to.all->operations.size() + 1);
    made.expected = std::exchange(to.poison, {});
    made.request = !made.expected.empty() || *to.waiting % plain_every != 0;
    to.give_up_at = made.written + setup_.patience;
    to.all->operations.push_back(std::move(made));
    send_operation(to);
}

std::string drill_client::id_of(const state& of, std::uint32_t number) const {
    return std::to_string(of.number) + "-" + std::to_string(number);
}

void drill_client::send_operation(state& to) {
    const operation& one = to.all->operations[*to.waiting - 1];
    const std::string id = id_of(to, *to.waiting);
    std::string json = R"({"packet_action":"publish","channel":)" + json_string(to.all->channel) + R"(,"type":")" +
                       (one.expected.empty() ? "drill" : "poison") + "\"";
    if (setup_.plugin) json += ",\"id\":\"" + id + "\"";
    json += one.request ? R"(,"ack":"answer","timeout_ms":)" + std::to_string(request_timeout.count())
                        : std::string(R"(,"ack":"confirmed")");
    json += R"(,"message":{"s":)" + std::to_string(to.number) + ",\"n\":" + std::to_string(*to.waiting) + "}}";
    if (!setup_.plugin && one.request) {
        std::string framed;
        primus::append_request(framed, id, json);
        json = std::move(framed);
    }
    send_frame(json);
    to.frame = frames_;
}

void drill_client::send_frame(const std::string& json) {
    ++frames_;
    socket_->send(json);
}

void drill_client::on_data(const client_event& from) {
    const server_event event = events_.read(from.text);
    const std::string& id = from.response.empty() ? event.id : from.response;
    if (event.event == "welcome") {
        for (state& one : lines_) consume(one);
        for (state& one : lines_) {
            if (!one.waiting) continue;
            ++one.all->operations[*one.waiting - 1].sent;
            one.again = false;
            send_operation(one);
        }
    } else if (event.event == "message") {
        on_message(event);
    } else if (event.event == "consuming") {
        on_consuming(event);
    } else if (event.event == "answer" || event.event == "receipt") {
        state* const of = waiting_for(id, event.frame);
        if (of) settle(*of, event.event == "answer" ? outcome::answered : outcome::confirmed);
    } else if (event.event == "error") {
        on_error(event, id);
    } else if (event.event == "position") {
        if (state* const of = of_channel(event.channel)) of->position = event.position;
    } else if (event.event == "gap") {
        state* const of = of_channel(event.channel);
        if (!of) return;
        of->all->gaps.push_back({steady_clock::now(), event.cause});
        // After `retention` it goes on with the entry at this position, which is still to come.
        if (!event.position.empty() && event.cause != "retention") of->position = event.position;
    }
}

bool drill_client::is_repeat(state& of, const std::string& id) {
    if (!of.seen.insert(id).second) return true;
    of.seen_order.push_back(id);
    if (of.seen_order.size() > seen_ids_max) {
        of.seen.erase(of.seen_order.front());
        of.seen_order.pop_front();
    }
    return false;
}

void drill_client::on_message(const server_event& event) {
    state* const of = of_channel(event.channel);
    if (!of) return;
    if (!event.position.empty()) of->position = event.position;
    if (setup_.plugin && !event.id.empty() && is_repeat(*of, event.id)) {
        ++of->all->again;
        return;
    }
    delivery one{.sender = 0, .number = 0, .at = steady_clock::now()};
    if (std::sscanf(event.message.c_str(), R"({"s":%u,"n":%u})", &one.sender, &one.number) == 2)
        of->all->heard.push_back(one);
}

void drill_client::on_consuming(const server_event& event) {
    const auto now = steady_clock::now();
    for (const auto& [channel, position] : event.positions)
        if (state* const of = of_channel(channel); of && of->position.empty()) of->position = position;
    for (state& one : lines_) {
        if (one.consuming || std::ranges::find(event.channels, one.all->channel) == event.channels.end()) continue;
        one.consuming = true;
        one.all->listening = std::min(one.all->listening, now);
        if (!one.all->away.empty()) one.all->away.back().until = now;
        one.next_at = std::max(one.next_at, now);
    }
}

void drill_client::on_error(const server_event& event, const std::string& id) {
    if (id.starts_with("consume-")) {
        // It is asked for again on the next socket.
        socket_->abort();
        return;
    }
    state* const of = waiting_for(id, event.frame);
    if (!of) return;
    const bool passes = event.code == "unavailable" || event.code == "unknown" || event.code == "overloaded";
    if (!setup_.plugin || !passes) return settle(*of, outcome::refused, event.code);
    // As the plugin does: the same message once more, after a while.
    of->again = true;
    of->next_at = steady_clock::now() + milliseconds(500 + static_cast<std::int64_t>(home_.random().below(500)));
}

void drill_client::settle(state& of, outcome how, std::string code) {
    operation& one = of.all->operations[*of.waiting - 1];
    one.how = how;
    one.code = std::move(code);
    one.settled = steady_clock::now();
    of.waiting.reset();
    of.again = false;
    // Half of the pace to one and a half: nobody goes in step.
    const auto half = static_cast<std::uint64_t>(setup_.pace.count() / 2);
    of.next_at = one.settled + milliseconds(half + home_.random().below(2 * half + 1));
}

drill_client::state* drill_client::waiting_for(const std::string& id, std::uint64_t frame) {
    for (state& one : lines_) {
        if (!one.waiting) continue;
        if (id.empty() ? frame != 0 && frame == one.frame : id == id_of(one, *one.waiting)) return &one;
    }
    return nullptr;
}

drill_client::state* drill_client::of_channel(const std::string& channel) {
    for (state& one : lines_)
        if (one.all->channel == channel) return &one;
    return nullptr;
}

bool drill_client::listening() const {
    return std::ranges::all_of(lines_, &state::consuming);
}

bool drill_client::settled() const {
    return std::ranges::none_of(lines_, [](const state& one) { return one.waiting.has_value(); });
}

void drill_client::stop() {
    stopped_ = true;
    wake_.cancel();
    if (socket_) socket_->interrupt();
}

void drill_client::set_writing(bool on) {
    writing_ = on;
    if (socket_) socket_->interrupt();
}

void drill_client::write_poison(std::size_t which, const std::string& expected) {
    lines_[which].poison = expected;
}

void drill_client::drop(milliseconds away) {
    away_until_ = steady_clock::now() + away;
    drop_ = true;
    if (socket_) socket_->interrupt();
}

void drill_client::abandon() {
    abandon_ = true;
    if (socket_) socket_->interrupt();
}

void drill_client::sleep(milliseconds span) {
    if (!socket_) return;
    asleep_ = true;
    asleep_until_ = steady_clock::now() + span;
    socket_->pause_reading();
    socket_->interrupt();
}

}  // namespace foz::cli::drill
