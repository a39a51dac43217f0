// What a shard's port answers: files, health, Primus' routes, and the upgrade of a client whose identity is known.
#pragma once

#include "aggregator/session/client_error.hpp"
#include "aggregator/shard/connect_service.hpp"
#include "aggregator/shard/gateway.hpp"
#include "aggregator/shard/token_gate.hpp"
#include "net/address_table.hpp"
#include "net/network_list.hpp"
#include "ws/conn/connection.hpp"
#include "ws/conn/content.hpp"
#include "ws/conn/forwarded.hpp"
#include "ws/conn/origin.hpp"
#include "ws/conn/web_folder.hpp"

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

namespace foz::aggregator {

// Whether new clients are let in, and if not, why.
enum class readiness : std::uint8_t {
    starting,  // not every channel that the broker gives could be heard yet
    ready,
    cut_off,  // a connection to the broker is missing, for longer than settings::unready_after
    deaf,     // the broker refuses every channel
};

// Read on every shard.
struct front_state {
    std::atomic<readiness> now = readiness::starting;
    std::atomic<bool> stopping = false;         // clients are still let in for a while
    std::atomic<bool> closed = false;           // they are not any more
    std::atomic<bool> short_of_memory = false;  // nothing new is taken on
    // Set before the shards run:
    unsigned shards = 1;
    std::optional<ws::fixed_content> primus_js;  // nothing: it was not built
    std::optional<ws::fixed_content> foz_js;
    ws::host_list hosts;
    net::network_list proxies;
    const token_gate* tokens = nullptr;
    connect_service* door = nullptr;                // null: none is asked
    std::shared_ptr<net::address_table> addresses;  // of clients; null: they are not counted
    ws::web_folder* files = nullptr;                // null: none are served
};

class front final : public ws::application {
public:
    // All outlive the front.
    front(gateway& home, const front_state& state) : gateway_(home), state_(state) {}

    ws::decision on_request(const ws::http_request& request, const net::tcp::endpoint& from, bool upgradable) override;

private:
    struct identity;
    class connect_note;
    struct question {  // a request, and how its client made it
        const ws::http_request& request;
        const net::tcp::endpoint& from;
        ws::request_origin as;
        boost::asio::ip::address client;     // the farthest that is known
        bool behind_proxy = false;           // of those that are believed
        const connect_note* note = nullptr;  // when the connect service has been asked already
    };

    ws::verdict library(const question& asked, const std::optional<ws::fixed_content>& source) const;
    ws::decision on_socket(const question& asked, std::string_view channel, bool upgradable);
    ws::decision let_in(const question& asked, std::string_view channel);
    bool own_page(const question& asked) const;
    bool origin_allowed(const question& asked) const;
    bool origin_named(const question& asked) const;
    ws::http_response for_other_origins(const question& asked, ws::http_response response) const;
    ws::decision ask(const question& asked);
    void on_answer(const ws::answer_slot& to, std::shared_ptr<const ws::request_note> note,
                   const net::tcp::endpoint& from);
    std::expected<identity, client_error> identify(const question& asked, std::optional<known_client> named) const;
    std::expected<session_options, client_error> read_query(const ws::http_request& request,
                                                            std::string_view channel) const;
    std::expected<std::optional<known_client>, client_error> named_client(const question& asked) const;
    std::string remember(const question& asked, identity& to, std::string secret) const;
    std::optional<client_error> not_allowed(const session_options& options) const;
    ws::verdict refuse(const question& asked, const client_error& why);
    ws::verdict refuse_for_good(const client_error& why);
    ws::verdict refuse_for_now(const ws::http_request& request, client_error why);
    std::expected<std::shared_ptr<net::slot_pool>, ws::http_response> place_behind_proxy(const question& asked);
    bool comes_too_fast(const question& asked) const;
    ws::http_response refuse_address();
    ws::http_response health() const;

    gateway& gateway_;
    const front_state& state_;
};

}  // namespace foz::aggregator
