// Clients that come, consume, and go in good order, some at once: the server's processor time for one.
#include "dialect.hpp"
#include "scenario.hpp"
#include "usage.hpp"

namespace foz::load {

void arrival(const arguments& all) {
    const dialect words(kind_of(all.text("kind", "foz")), "chat");
    const std::size_t count = all.count("clients", 1000);
    const std::string channels = all.text("channels", "");
    crowd_options how = crowd_in(all);
    how.until_gone = true;
    const measured_process server = process_in(all);
    all.all_used();
    crowd clients(how);
    const bool foz = words.kind() == server_kind::foz;
    std::string goodbye;
    append_frame(goodbye, opcode::close, "\x03\xe8");  // 1000, RFC 6455 §7.4.1
    const greeting hello{
        .path = words.path() + (foz && !channels.empty() ? "?consume=" + channels : ""),
        .frames = channels.empty() ? goodbye
                  : foz            ? ""
                                   : text_frame(words.hear_all()),
    };
    std::size_t answered = 0;
    const usage used(server);
    clients.join(count, [&](std::size_t) { return hello; });
    clients.poll_until([&] { return clients.gone() == count; }, 10, "clients to be gone",
                       [&](std::size_t index, std::string_view) {
                           ++answered;
                           clients[index].send(goodbye);
                       });
    json_line out;
    used.add_to(out);
    if (!channels.empty() && answered != count) throw std::runtime_error("not every client was answered");
    out.add("clients", count).print();
}

}  // namespace foz::load
