// Broadcasts to one of many distinct topics, patterns or groups, each heard by one client: broadcasts a second. Each
// line from the driver is one measurement.
#include "circle.hpp"
#include "scenario.hpp"

#include <algorithm>
#include <array>

namespace foz::load {
namespace {

constexpr std::size_t names_at_once = 50;  // in one consume
// From one publish to the next: prime, so that all names have their turn, and so that those that are on their way
// together belong to different clients. Else few names would mean few clients, and several frames to a write.
constexpr std::size_t stride = 7'919;

struct interest {
    std::string asked;  // what the client consumes
    audience to;        // what reaches it
};

// The four places and kinds of wildcard take turns.
interest pattern_of(std::size_t number) {
    const std::string word = std::to_string(number);
    const std::array<interest, 4> forms{{{"a" + word + ".*", {"a" + word + ".x", ""}},
                                         {"*.b" + word, {"x.b" + word, ""}},
                                         {"c" + word + ".#", {"c" + word + ".x.y", ""}},
                                         {"#.d" + word, {"x.y.d" + word, ""}}}};
    return forms[number % forms.size()];
}

interest interest_of(const std::string& kind, std::size_t number) {
    if (kind == "patterns") return pattern_of(number);
    const std::string name = (kind == "groups" ? "group-" : "topic.t") + std::to_string(number);
    if (kind == "groups") return {name, {"", name}};
    if (kind == "topics") return {name, {name, ""}};
    throw wrong_usage("of=" + kind + " is none of topics, patterns, groups");
}

// What client `index` of `clients` asks for: its share, in frames of a bounded size.
greeting greeting_of(const dialect& words, const std::string& kind, std::size_t index, std::size_t clients,
                     std::size_t count) {
    greeting out{words.path(), ""};
    std::vector<std::string> names;
    const auto ask = [&] {
        out.frames += text_frame(kind == "groups" ? words.join_groups(names) : words.hear_topics(names));
        names.clear();
    };
    for (std::size_t number = index; number < count; number += clients) {
        names.push_back(interest_of(kind, number).asked);
        if (names.size() == names_at_once) ask();
    }
    if (!names.empty()) ask();
    return out;
}

}  // namespace

void interests(const arguments& all) {
    const dialect words(kind_of(all.text("kind", "foz")), all.text("channel", "voice"));
    const std::string kind = all.text("of", "topics");
    const std::size_t count = all.count("count", 10);
    const std::size_t sockets = std::min(all.count("sockets", 200), count);
    const std::size_t size = all.count("size", 128);
    crowd clients(crowd_in(all));
    const circle_options how{.receivers = 1, .server = process_in(all), .patience = all.number("patience", 20)};
    const std::uint16_t amqp_port = amqp_port_in(all);
    all.all_used();

    // The first clients have one more when it does not come out even: their consumes, and so their answers, differ.
    std::size_t frames = 0;
    for (std::size_t i = 0; i < sockets; ++i) {
        const std::size_t share = (count - i + sockets - 1) / sockets;
        frames += (share + names_at_once - 1) / names_at_once;
    }
    std::size_t answered = 0;
    clients.join(sockets, [&](std::size_t i) { return greeting_of(words, kind, i, sockets, count); });
    clients.poll_until([&] { return answered == frames; }, 60, "consumes to be answered",
                       [&](std::size_t, std::string_view payload) {
                           if (payload.starts_with(R"({"event":"error")"))
                               throw std::runtime_error("refused: " + std::string(payload));
                           ++answered;
                       });
    publisher says(clients, words, amqp_port);
    circle round(clients, words, says, how);
    std::size_t turn = 0;
    clients.listen_to_driver();
    json_line().add("ready", count).print();
    for (std::string line; next_command(clients, line);) {
        const arguments told(line);
        const circle_window window(told);
        told.all_used();
        const auto next = [&](std::string& to) {
            to += says.encode(interest_of(kind, turn = (turn + stride) % count).to, size);
        };
        round.measure(window, next).print();
    }
}

}  // namespace foz::load
