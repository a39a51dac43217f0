// What a shard's port answers: files, health, Primus' routes, and the upgrade of a client whose identity is known.
#pragma once

#include "aggregator/session/client_error.hpp"
#include "aggregator/shard/gateway.hpp"
#include "ws/conn/connection.hpp"

#include <atomic>
#include <cstdint>
#include <expected>
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
    std::atomic<bool> stopping = false;  // clients are still let in for a while
    std::atomic<bool> closed = false;    // they are not any more
    // Set before the shards run:
    unsigned shards = 1;
    std::string primus_js;
    std::string foz_js;
};

class front final : public ws::application {
public:
    // All outlive the front.
    front(gateway& home, const front_state& state) : gateway_(home), state_(state) {}

    ws::decision on_request(const ws::http_request& request, const net::tcp::endpoint& from, bool upgradable) override;

private:
    ws::decision library(const ws::http_request& request, const std::string& source) const;
    ws::decision on_socket(const ws::http_request& request, std::string_view channel, bool upgradable);
    std::expected<session_options, client_error> read_query(const ws::http_request& request,
                                                            std::string_view channel) const;
    ws::decision refuse_for_good(const client_error& why);
    ws::decision refuse_for_now(const ws::http_request& request);
    ws::http_response file(std::string_view path) const;
    ws::http_response health() const;

    gateway& gateway_;
    const front_state& state_;
};

}  // namespace foz::aggregator
