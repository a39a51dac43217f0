// One client publishes as fast as its socket takes it, without wanting receipts; bystanders on the same channel, on
// another one, and one that needs no broker, note how long they wait. At the end: is in the queue what was sent?
#include "../../broker/load/client.hpp"
#include "bystander.hpp"
#include "dialect.hpp"
#include "scenario.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

namespace foz::load {
namespace {

enum place : std::size_t { flooder, same, other, near, places };
constexpr std::size_t chunk = 256;  // publishes to a write
constexpr std::string_view last_id = R"("id":"flood-end")";

class flooding {
public:
    flooding(const crowd_options& how, const std::string& channel, const std::string& other_channel, double patience)
        : clients_(how),
          channel_(channel),
          watchers_{{{clients_, same, channel}, {clients_, other, other_channel}, {clients_, near, ""}}},
          patience_(patience) {
        join_and_wait(clients_, places, [](std::size_t) { return greeting{"/primus/", ""}; }, 0);
    }

    void rest(double seconds) {
        begin();
        for (const double end = now_seconds() + seconds; now_seconds() < end;) turn();
        report("rest_");
    }

    void flood(std::size_t count) {
        begin();
        const std::string one = text_frame(publish(R"("ack":"none")"));
        std::string many;
        for (std::size_t sent = 0; !ended_ && now_seconds() - began_ < patience_;) {
            if (sent < count && clients_[flooder].unsent() == 0) {
                many.clear();
                for (std::size_t i = std::min(chunk, count - sent); i > 0; --i, ++sent) many += one;
                if (sent == count) many += text_frame(publish(R"("ack":"confirmed",)" + std::string(last_id)));
                clients_[flooder].send(many);
            }
            turn();
        }
        out_.add("seconds", now_seconds() - began_).add("ended", ended_ ? 1 : 0);
        report("");
    }

    // Until nobody waits any more, so that what is in the queue can be compared.
    void settle() {
        const double end = now_seconds() + patience_;
        const auto waits = [this] { return std::ranges::any_of(watchers_, &bystander::waits); };
        while (waits() && now_seconds() < end) hear(1);
    }

    std::uint64_t asked_same() const { return watchers_[0].asked(); }
    json_line& out() { return out_; }
    void end() { out_.add("errors", errors_).add("closed", clients_.gone()); }

private:
    std::string publish(const std::string& more) const {
        return R"({"packet_action":"publish","channel":")" + channel_ + R"(",)" + more + R"(,"message":0})";
    }

    void begin() {
        began_ = now_seconds();
        for (bystander& one : watchers_) one.begin(began_);
    }

    void report(const std::string& prefix) {
        const std::array<std::string, 3> names{"same", "other", "near"};
        for (std::size_t i = 0; i < names.size(); ++i) watchers_[i].add_to(out_, prefix + names[i], now_seconds());
    }

    void turn() {
        const double now = now_seconds();
        if (clients_.gone() == 0)
            for (bystander& one : watchers_) one.tick(now);
        hear(1);
    }

    void hear(int wait_ms) {
        clients_.poll(wait_ms, [this](std::size_t index, std::string_view payload) {
            if (index != flooder) return watchers_[index - same].heard(payload, now_seconds());
            const bool last = payload.find(last_id) != std::string_view::npos;
            ended_ |= last;
            if (payload.starts_with(R"({"event":"error")")) ++errors_;
        });
    }

    crowd clients_;
    std::string channel_;
    std::array<bystander, 3> watchers_;
    double patience_;
    double began_ = 0;
    std::uint64_t errors_ = 0;
    bool ended_ = false;
    json_line out_;
};

// Of the queue, when it has not changed for a second.
std::uint64_t messages_in(const std::string& queue, std::uint16_t port, std::uint64_t expected) {
    bench::client broker({.address = "127.0.0.1", .port = port});
    amqp::queue_declare look;
    look.queue = queue;
    look.passive = true;
    std::uint64_t seen = 0;
    for (int unchanged = 0; unchanged < 10;) {
        const std::uint64_t now = broker.call_for<amqp::queue_declare_ok>(look).message_count;
        unchanged = now == seen ? unchanged + 1 : 0;
        seen = now;
        if (seen == expected && unchanged > 2) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return seen;
}

}  // namespace

void flood(const arguments& all) {
    const std::string channel = all.text("channel", "chat");
    const std::size_t count = all.count("messages", 200'000);
    const std::uint16_t amqp_port = amqp_port_in(all);
    const double rest = all.number("rest", 1);
    flooding one(crowd_in(all), channel, all.text("other", "tickets"), all.number("patience", 120));
    const std::string queue = all.text("queue", "IN_CHAT");
    all.all_used();
    one.rest(rest);
    one.flood(count);
    one.settle();
    constexpr std::uint64_t end_mark = 1;
    const std::uint64_t expected = count + end_mark + one.asked_same();
    one.out().add("sent", expected).add("in_queue", messages_in(queue, amqp_port, expected));
    one.end();
    one.out().print();
}

}  // namespace foz::load
