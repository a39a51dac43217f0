#include "aggregator/shard/refused_socket.hpp"

#include "primus/packet.hpp"

#include <string>
#include <utility>

namespace foz::aggregator {
namespace {

class refused_socket final : public ws::socket_handler {
public:
    refused_socket(const client_error& why, ws::close_code code, come_back when)
        : error_(to_json(why, {})), reason_(to_string(why.code)), code_(code), when_(when) {}

private:
    void on_open(ws::connection& socket) override {
        socket.send_text(error_);
        if (when_ == come_back::never) {
            std::string stay_away;
            primus::append_server_close(stay_away);
            socket.send_text(stay_away);
        }
        socket.close(code_, reason_);
    }
    void on_text(std::string_view) override {}
    void on_binary(std::string_view) override {}
    void on_closed(ws::close_code, std::string_view, bool) override {}

    const std::string error_;
    const std::string reason_;
    const ws::close_code code_;
    const come_back when_;
};

}  // namespace

std::unique_ptr<ws::socket_handler> make_refused_socket(const client_error& why, ws::close_code code, come_back when) {
    return std::make_unique<refused_socket>(why, code, when);
}

}  // namespace foz::aggregator
