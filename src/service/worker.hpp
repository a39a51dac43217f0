// A service's process: takes work from the queues of channels and answers clients.
//
//     foz::service::worker worker({.broker_urls = {"amqp://127.0.0.1"}});
//     worker.on("chat", "say", [](foz::service::request& r) { r.broadcast(r.message()); });
//     worker.run();
#pragma once

#include "contract/channel_settings.hpp"
#include "service/connect.hpp"
#include "service/dedupe_store.hpp"
#include "service/request.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace foz::service {

class worker_core;

struct worker_options {
    std::vector<std::string> broker_urls;  // amqp:// or amqps://; the first that answers is used
    std::string broker_ca_file;            // PEM, for amqps://; empty: the system's certificates
    std::string name = "worker";           // for the broker's tools
    // Handlers that run at once, and messages that are taken at once: no message waits here that another worker could
    // work on, and a crash returns only what was being worked on.
    std::uint16_t concurrency = 1;
    // A message whose handler fails is held here for a while before it goes back to its queue, so that something that
    // is away for a minute makes no dead letters of what needs it: first for `retry_pause_min`, twice as long each
    // time, at most for `retry_pause_max`. The delivery limit of a channel's queue and these say how long it is tried
    // (with the defaults for more than a minute). Up to `held_max` held messages are in nobody's way: as many others
    // are taken in their stead, but on a channel with a single active consumer.
    std::chrono::milliseconds retry_pause_min{100};
    std::chrono::milliseconds retry_pause_max{5'000};
    std::size_t held_max = 32;
    // All channels of the system, not only those with handlers: they are declared at start.
    std::vector<contract::channel_settings> channels = contract::default_channels();
    // Declares exchanges and queues at start. Without it they have to be there (foz serve, foz topology apply).
    bool declare = true;
    // Null: a memory store.
    std::shared_ptr<dedupe_store> dedupe;
    std::chrono::milliseconds confirm_timeout = std::chrono::seconds(30);  // for what handlers say
    std::chrono::milliseconds drain_timeout = std::chrono::seconds(30);    // for handlers at stop()
};

struct worker_counters {
    std::uint64_t handled = 0;    // done with and acknowledged
    std::uint64_t refused = 0;    // of these, answered with an error
    std::uint64_t requeued = 0;   // handler failed, or what it said was not confirmed: the broker delivers it again
    std::uint64_t published = 0;  // messages that were confirmed
    std::uint64_t held = 0;       // now: before they go back
    std::uint64_t cancelled = 0;  // by their callers, or begun by nobody in time: acknowledged without an answer
};

// Returns: the message is done with. Throws service::error: the caller gets it, the message is done with. Throws
// anything else: the message goes back to the queue after a pause and is delivered again, up to the queue's delivery
// limit, then it is a dead letter and the caller is told.
using handler = std::function<void(request&)>;

// One message of a channel's stream. Views are valid during the call.
struct said {
    std::string_view topic;
    std::string_view type;
    std::string_view message_id;
    std::string_view message;  // JSON
};
using follower = std::function<void(const said&)>;

// Handlers run on the worker's own threads, up to `concurrency` at once; a message that is redelivered runs alone, so
// that one that kills its worker takes no other with it (the broker counts every return, whoever was at fault).
// At least once: a handler may see a message again after a crash or a lost connection, unless the dedupe store
// remembers it. On a channel whose order is by client, what one client sends is handled one after another.
class worker {
public:
    explicit worker(worker_options options);
    ~worker();
    worker(const worker&) = delete;
    worker& operator=(const worker&) = delete;

    // Before run(). An empty type takes every type of the channel that has no handler of its own, but none of the
    // aggregator's own types (foz.connect, foz.join, foz.opened, foz.closed). A message that nobody takes is answered
    // with the error "unknown_type"; foz.opened and foz.closed are passed over. std::invalid_argument for a channel
    // that there is not.
    void on(const std::string& channel, const std::string& type, handler work);
    // Before run(). Decides about clients that have shown no token, where the aggregators' connect_service.channel is
    // this one. An exception is told at once, as a notice too: the question is not asked again, its client is.
    // std::invalid_argument for a channel that there is not.
    void on_connect(const std::string& channel, connect_handler decide);
    // Before run(). Reads the stream of a durable channel: everything that services say there, from `since` on (and a
    // little before it: the broker finds the time to within a batch) and live, in order, also what other workers say;
    // what was published twice after a crash is heard once. Not answers, and nothing of a type foz.*. It takes nothing
    // from anyone. Called on one thread of its own; run() begins to take work when what was there at start has been
    // read. What `hear` throws becomes a notice. std::invalid_argument for a channel that has no stream.
    void follow(const std::string& channel, std::chrono::system_clock::time_point since, follower hear);
    // Called from the I/O thread when every channel with handlers is being consumed, each time.
    void on_ready(std::function<void()> tell);
    // One line for people: connections that go and come, failing handlers. Called from any of the worker's threads.
    void on_notice(std::function<void(const std::string&)> tell);

    // Until stop(), or SIGINT or SIGTERM when `signals`. Throws std::runtime_error with one line when it can't start: a
    // wrong URL, a refused password, a queue that exists with other arguments.
    void run(bool signals = true);
    // From any thread: takes no further work, lets handlers finish and what they said be confirmed, then ends run().
    void stop();

    worker_counters counters() const;

private:
    std::unique_ptr<worker_core> core_;
};

}  // namespace foz::service
