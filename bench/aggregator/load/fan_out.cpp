// One publisher, many who hear everything: deliveries a second. Each line from the driver is one measurement.
#include "circle.hpp"
#include "scenario.hpp"

namespace foz::load {
namespace {

// The bare loop is told what a frame is and how many go into a write.
void configure_bare(publisher& says, const arguments& told) {
    says.say("c" + told.text("frame_octets", "132") + " " + told.text("frames_per_write", "1"));
}

}  // namespace

void fan_out(const arguments& all) {
    const dialect words(kind_of(all.text("kind", "foz")), all.text("channel", "chat"));
    const std::size_t subscribers = all.count("subscribers", 1000);
    crowd clients(crowd_in(all));
    const circle_options how{.receivers = subscribers, .server = process_in(all)};
    const std::uint16_t amqp_port = amqp_port_in(all);
    all.all_used();

    const std::string hear = text_frame(words.hear_all());
    join_and_wait(clients, subscribers, [&](std::size_t) { return greeting{words.path(), hear}; }, 1);
    publisher says(clients, words, amqp_port);
    circle round(clients, words, says, how);
    clients.listen_to_driver();
    json_line().add("ready", subscribers).print();
    for (std::string line; next_command(clients, line);) {
        const arguments told(line);
        const std::string frame = says.encode({}, told.count("size", 128));
        if (words.kind() == server_kind::bare) configure_bare(says, told);
        const circle_window window(told);
        told.all_used();
        round.measure(window, [&frame](std::string& to) { to += frame; }).print();
    }
}

}  // namespace foz::load
