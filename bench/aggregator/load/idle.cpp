// Clients that are there and do nothing, until the driver says "end".
#include "dialect.hpp"
#include "scenario.hpp"

namespace foz::load {
namespace {

// `count` channels of a, b, c … at the handshake; docs/protocol.md.
std::string path_with(const dialect& words, const std::string& channels) {
    return channels.empty() ? words.path() : words.path() + "?consume=" + channels;
}

}  // namespace

void idle(const arguments& all) {
    const dialect words(kind_of(all.text("kind", "foz")), "chat");
    const std::size_t count = all.count("clients", 1000);
    const std::string channels = all.text("channels", "");
    crowd_options how = crowd_in(all);
    how.silent = all.count("silent", 0) != 0;
    how.tls = all.count("tls", 0) != 0;
    all.all_used();
    crowd clients(how);
    const bool asks = words.kind() != server_kind::foz && !channels.empty();
    const std::string frames = asks ? text_frame(words.hear_all()) : "";
    const std::string path = words.kind() == server_kind::foz ? path_with(words, channels) : words.path();
    join_and_wait(
        clients, count, [&](std::size_t) { return greeting{path, frames}; }, channels.empty() || how.silent ? 0 : 1);
    clients.listen_to_driver();
    json_line().add("ready", clients.upgraded()).print();
    std::string line;
    while (next_command(clients, line) && line != "end") {
    }
    const std::size_t gone = clients.gone();
    clients.close_all();
    json_line().add("gone_before", gone).print();
}

}  // namespace foz::load
