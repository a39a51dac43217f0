// A resume storm, in two steps with a restart of the server between them. First entries are published to a durable
// channel, a few of them for everybody. Then many clients come back to the place before them, all at once.
#include "bystander.hpp"
#include "dialect.hpp"
#include "publisher.hpp"
#include "scenario.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace foz::load {
namespace {

constexpr std::size_t body = 128;
constexpr std::size_t others = 100;  // groups that nobody is in

// What the clients that come back have heard.
struct resume_audit {
    resume_audit(std::size_t clients, std::int64_t shared_entries) : last(clients, -1), shared(shared_entries) {}

    void hear(std::size_t index, std::string_view payload) {
        if (payload.starts_with(R"({"event":"gap")")) ++gaps;
        if (!payload.starts_with(R"({"event":"message")")) return;
        const std::int64_t mark = mark_of(payload);
        if (mark != last[index] + 1) ++out_of_order;
        last[index] = mark;
        if (mark == shared - 1) ++live;
        if (mark == shared) ++told_live;
    }

    std::vector<std::int64_t> last;  // mark that each of them has heard
    std::int64_t shared;             // entries for everybody, marked 0 …; the next one is published when all are live
    std::size_t live = 0;
    std::size_t told_live = 0;
    std::uint64_t out_of_order = 0;  // not the one after the last: left out, repeated or overtaken
    std::uint64_t gaps = 0;
};

// Two clients that watch how long others wait, and those that come back.
class storm {
public:
    storm(const crowd_options& how, const std::string& other_channel, std::size_t clients, std::int64_t shared)
        : clients_(how), asks_(clients_, 0, other_channel), near_(clients_, 1, ""), heard_(clients, shared) {
        join_and_wait(clients_, watchers, [](std::size_t) { return greeting{"/primus/", ""}; }, 0);
    }

    void come_back(const std::string& channel, const std::string& position, double longest) {
        const std::string consume =
            fmt::format(R"({{"packet_action":"consume","channel":"{}","from":"{}"}})", channel, position);
        const greeting hello{"/primus/", text_frame(consume)};
        const double begin = now_seconds();
        clients_.join(heard_.last.size(), [&](std::size_t) { return hello; });
        while (heard_.live + clients_.gone() < heard_.last.size() && now_seconds() - begin < longest) turn();
        const double end = now_seconds();
        out_.add("clients", heard_.last.size()).add("live", heard_.live).add("seconds", end - begin);
        asks_.add_to(out_, "receipt", end);
        near_.add_to(out_, "near", end);
    }

    // One more entry for everybody reaches all of them.
    void tell_live(publisher& says) {
        says.send(says.encode({}, body, std::to_string(heard_.shared) + " "));
        const double end = now_seconds() + longest_silence;
        while (heard_.told_live < heard_.last.size() && now_seconds() < end) turn();
        out_.add("told_live", heard_.told_live).add("out_of_order", heard_.out_of_order).add("gaps", heard_.gaps);
        out_.add("closed", clients_.gone());
    }

    crowd& clients() { return clients_; }
    void print() const { out_.print(); }

private:
    void turn() {
        const double now = now_seconds();
        asks_.tick(now);
        near_.tick(now);
        clients_.poll(1, [this](std::size_t index, std::string_view payload) {
            if (index >= watchers) return heard_.hear(index - watchers, payload);
            (index == 0 ? asks_ : near_).heard(payload, now_seconds());
        });
    }

    static constexpr std::size_t watchers = 2;
    crowd clients_;
    bystander asks_;
    bystander near_;
    resume_audit heard_;
    json_line out_;
};

}  // namespace

void resume_prepare(const arguments& all) {
    const dialect words(server_kind::foz, all.text("channel", "chat"));
    const std::size_t entries = all.count("entries", 10'000);
    const std::size_t shared = all.count("shared", 20);
    const std::uint16_t amqp_port = amqp_port_in(all);
    crowd clients(crowd_in(all));
    all.all_used();
    join_and_wait(clients, 1, [&](std::size_t) { return greeting{words.path(), text_frame(words.hear_all())}; }, 1);
    publisher says(clients, words, amqp_port);

    // Where the channel is now: what is published next comes with its position.
    std::string position;
    std::size_t heard = 0;
    const auto hear = [&](std::size_t, std::string_view payload) {
        if (!words.is_delivery(payload)) return;
        if (heard++ == 0) position = quoted_after(payload, R"("position":)");
    };
    says.send(says.encode({}, body, "begin "));
    clients.poll_until([&] { return heard == 1; }, longest_silence, "a first message", hear);

    std::string frames;
    for (std::size_t i = 0; i < entries; ++i) {
        // The last entry is for everybody: who has it has gone through all.
        const bool for_all = (i + 1) * shared / entries > i * shared / entries;
        const audience to{"", for_all ? "" : "nobody-" + std::to_string(i % others)};
        frames += says.encode(to, body, std::to_string(i * shared / entries) + " ");
    }
    says.send(frames);
    const auto all_heard = [&] {
        says.flush();
        return heard == 1 + shared;
    };
    clients.poll_until(all_heard, longest_silence, "the last entry", hear);
    json_line().add("position", std::string_view(position)).print();
}

void resume_storm(const arguments& all) {
    const dialect words(server_kind::foz, all.text("channel", "chat"));
    storm one(crowd_in(all), all.text("other", "tickets"), all.count("clients", 5000),
              static_cast<std::int64_t>(all.count("shared", 20)));
    const std::string position = all.text("position", "");
    const double longest = all.number("patience", 120);
    const std::uint16_t amqp_port = amqp_port_in(all);
    all.all_used();
    one.come_back(words.channel(), position, longest);
    publisher says(one.clients(), words, amqp_port);
    one.tell_live(says);
    one.print();
}

}  // namespace foz::load
