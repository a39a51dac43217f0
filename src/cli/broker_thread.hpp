// The embedded broker on a thread of its own, beside an aggregator.
#pragma once

#include "broker/embedded.hpp"
#include "net/runtime.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace foz::cli {

class broker_thread {
public:
    // Recovers, listens and runs. Throws std::runtime_error with one line when it can't. `failed` is called on the
    // broker's thread when it has ended by an error.
    broker_thread(broker::embedded_options options, std::function<void(const std::string&)> failed);
    // Tells its clients, waits for them for a moment, and leaves a folder that is in good order.
    ~broker_thread();
    broker_thread(const broker_thread&) = delete;
    broker_thread& operator=(const broker_thread&) = delete;

    std::uint16_t port() const noexcept { return broker_.port(); }
    std::shared_ptr<net::tls_holder> tls() const noexcept { return broker_.tls(); }
    // From any thread: `done` is called on the shard `back`.
    void look(net::shard& back, std::function<void(broker::snapshot)> done);

private:
    void stop_when_empty();

    net::runtime core_{1};
    broker::embedded broker_;
    net::wheel_timer timer_{this, [](broker_thread& self) { self.stop_when_empty(); }};
    std::thread thread_;
};

}  // namespace foz::cli
