// Clients that read, and one that publishes without waiting: who is closed, what is delivered, and is it in order?
#include "dialect.hpp"
#include "publisher.hpp"
#include "scenario.hpp"

namespace foz::load {
namespace {

constexpr double silence = 5;  // seconds, after which nothing more will come

struct audit {
    std::vector<std::int64_t> last;  // mark that each client has heard
    std::uint64_t delivered = 0;
    std::uint64_t out_of_order = 0;  // not the one after the last: left out, repeated or overtaken
    std::uint64_t gaps = 0;

    void hear(std::size_t index, std::string_view payload) {
        if (payload.starts_with(R"({"event":"gap")")) ++gaps;
        if (!payload.starts_with(R"({"event":"message")")) return;
        const std::int64_t mark = mark_of(payload);
        if (mark != last[index] + 1) ++out_of_order;
        last[index] = mark;
        ++delivered;
    }
};

}  // namespace

void burst(const arguments& all) {
    const dialect words(server_kind::foz, all.text("channel", "chat"));
    const std::size_t readers = all.count("clients", 300);
    const std::size_t messages = all.count("messages", 100);
    const std::size_t size = all.count("size", 50'000);
    crowd clients(crowd_in(all));
    const std::uint16_t amqp_port = amqp_port_in(all);
    all.all_used();
    const std::string hear = text_frame(words.hear_all());
    join_and_wait(clients, readers, [&](std::size_t) { return greeting{words.path(), hear}; }, 1);
    publisher says(clients, words, amqp_port);

    audit heard{.last = std::vector<std::int64_t>(readers, -1)};
    const double begin = now_seconds();
    std::string frames;
    for (std::size_t i = 0; i < messages; ++i) frames += says.encode({}, size, std::to_string(i) + " ");
    says.send(frames);
    double moved_at = now_seconds();
    const std::uint64_t expected = readers * messages;
    while (heard.delivered < expected && now_seconds() - moved_at < silence) {
        const std::uint64_t before = heard.delivered;
        says.flush();
        clients.poll(1, [&](std::size_t index, std::string_view payload) { heard.hear(index, payload); });
        if (heard.delivered != before) moved_at = now_seconds();
    }
    json_line out;
    out.add("clients", readers).add("messages", messages).add("size", size).add("seconds", moved_at - begin);
    out.add("expected", expected).add("delivered", heard.delivered).add("out_of_order", heard.out_of_order);
    out.add("gaps", heard.gaps).add("closed", clients.gone());
    for (const auto& [code, count] : clients.closed_with()) out.add("closed_" + std::to_string(code), count);
    out.print();
}

}  // namespace foz::load
