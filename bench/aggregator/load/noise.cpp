// What might hold a loop up, and a client on the same loop that asks for one small thing after the other meanwhile: one
// client that consumes its past again and again, one large message to many groups, a round of positions, and very many
// sockets that end at once.
#include "base/thread.hpp"
#include "bystander.hpp"
#include "dialect.hpp"
#include "publisher.hpp"
#include "scenario.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include <fmt/format.h>

namespace foz::load {
namespace {

// On a thread of its own, so that what the noise costs the load itself does not count.
class watcher {
public:
    explicit watcher(crowd_options how) : clients_(std::move(how)), near_(clients_, 0, "") {
        join_and_wait(clients_, 1, [](std::size_t) { return greeting{"/primus/", ""}; }, 0);
        thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    }

    // From here on what it waits for counts as `name`, a literal.
    void note_as(const char* name) { wanted_ = name; }
    json_line& end() {
        thread_ = {};
        note();
        return out_;
    }

private:
    void run(const std::stop_token& stop) {
        introduce_thread("watcher", true);  // the noise's thread may read for milliseconds on the same core
        while (!stop.stop_requested()) {
            if (name_ != wanted_.load()) note();
            near_.tick(now_seconds());
            clients_.poll(1, [this](std::size_t, std::string_view payload) { near_.heard(payload, now_seconds()); });
        }
    }
    void note() {
        if (name_) near_.add_to(out_, name_, now_seconds());
        name_ = wanted_;
        near_.begin(now_seconds());
    }

    crowd clients_;
    bystander near_;
    std::atomic<const char*> wanted_ = nullptr;
    const char* name_ = nullptr;
    json_line out_;
    std::jthread thread_;
};

class noise {
public:
    explicit noise(const arguments& all)
        : words_(server_kind::foz, all.text("channel", "chat")),
          count_(all.count("clients", 10'000)),
          size_(all.count("size", 100'000)),
          messages_(all.count("messages", 20)),
          rest_(all.number("rest", 1)),
          amqp_port_(amqp_port_in(all)),
          clients_(crowd_in(all)),
          watcher_(crowd_in(all)) {}

    // One client writes so many frames at once, each of which asks for everything again.
    void consumes() {
        come(1, [this](std::size_t) { return words_.hear_all(); });
        publisher says(clients_, words_, amqp_port_);
        std::string past;
        for (std::size_t i = 0; i < messages_; ++i) past += says.encode({}, size_);
        say_and_hear(says, past, messages_);
        begin();
        const std::string one =
            text_frame(fmt::format(R"({{"packet_action":"consume","channel":"{}","from":"first"}})", words_.channel()));
        std::string all;
        for (std::size_t i = 0; i < count_; ++i) all += one;
        clients_[0].send(all);
        std::size_t answered = 0;
        std::size_t heard = 0;
        const auto hear = [&](std::size_t, std::string_view payload) {
            answered += payload.starts_with(R"({"event":"consuming")");
            heard += words_.is_delivery(payload);
        };
        clients_.poll_until([&] { return answered == count_ && heard >= messages_; }, longest_silence, "its past",
                            hear);
    }

    // Each client is in a group of its own; each message is for all of them.
    void groups() {
        come(count_, [this](std::size_t index) { return words_.join_groups({group(index)}); });
        publisher says(clients_, words_, amqp_port_);
        audience everyone;
        for (std::size_t i = 0; i < count_; ++i) everyone.groups.push_back(group(i));
        begin();
        for (std::size_t i = 0; i < messages_; ++i) say_and_hear(says, says.encode(everyone, size_), count_);
    }

    // Everybody hears a group to which nobody says anything, and is told where the channel is.
    void positions() {
        come(count_, [this](std::size_t) { return words_.join_groups({"quiet"}); });
        publisher says(clients_, words_, amqp_port_);
        begin();
        std::string entries;
        for (std::size_t i = 0; i < messages_; ++i) entries += says.encode({.topic = "", .groups = {"nobody"}}, size_);
        says.send(entries);
        std::size_t told = 0;
        const auto hear = [&](std::size_t, std::string_view payload) {
            told += payload.starts_with(R"({"event":"position")");
        };
        const auto all_told = [&] {
            says.flush();
            return told >= count_;
        };
        clients_.poll_until(all_told, longest_silence, "a round of positions", hear);
    }

    // They are gone without a word, and the server is left to itself for a while.
    void ends() {
        come(count_, [this](std::size_t) { return words_.hear_all(); });
        begin();
        clients_.close_all();
        std::this_thread::sleep_for(std::chrono::duration<double>(5));
    }

    void print() { watcher_.end().print(); }

private:
    static std::string group(std::size_t index) { return fmt::format("group-{}", index); }

    void come(std::size_t count, const std::function<std::string(std::size_t)>& says_first) {
        join_and_wait(
            clients_, count, [&](std::size_t i) { return greeting{words_.path(), text_frame(says_first(i))}; }, 1);
        watcher_.note_as("rest");
        std::this_thread::sleep_for(std::chrono::duration<double>(rest_));
    }
    void begin() { watcher_.note_as("near"); }

    void say_and_hear(publisher& says, std::string_view octets, std::size_t deliveries) {
        says.send(octets);
        std::size_t heard = 0;
        const auto all_heard = [&] {
            says.flush();
            return heard >= deliveries;
        };
        clients_.poll_until(all_heard, longest_silence, "deliveries",
                            [&](std::size_t, std::string_view payload) { heard += words_.is_delivery(payload); });
    }

    const dialect words_;
    const std::size_t count_;
    const std::size_t size_;
    const std::size_t messages_;
    const double rest_;
    const std::uint16_t amqp_port_;
    crowd clients_;
    watcher watcher_;
};

}  // namespace

void noise_of(const arguments& all) {
    const std::string what = all.text("what", "");
    noise one(all);
    all.all_used();
    if (what == "consumes") {
        one.consumes();
    } else if (what == "groups") {
        one.groups();
    } else if (what == "positions") {
        one.positions();
    } else if (what == "ends") {
        one.ends();
    } else {
        throw wrong_usage("what=" + what + " is none of consumes, groups, positions, ends");
    }
    one.print();
}

}  // namespace foz::load
