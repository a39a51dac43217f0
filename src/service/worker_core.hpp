// The worker's machinery: one I/O thread with its connections, and handler threads.
#pragma once

#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "contract/stream_publishers.hpp"
#include "contract/topology_keeper.hpp"
#include "net/runtime.hpp"
#include "service/asker.hpp"
#include "service/cancel_watch.hpp"
#include "service/request.hpp"
#include "service/stream_follower.hpp"
#include "service/thread_pool.hpp"
#include "service/worker.hpp"

#include <atomic>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace foz::service {

// Threads: everything runs on the I/O thread (the runtime's only shard) but handlers and the dedupe store, which get a
// request that belongs to nobody else and give it back through the shard's mailbox, and followers.
//
// worker_core.cpp: start, connections, stop. worker_consumers.cpp: how much is taken at once, and what is held.
// worker_work.cpp: the life of a request. worker_cancel.cpp: what its caller has cancelled.
class worker_core final : private amqp::client_events, private follower_owner {
public:
    explicit worker_core(worker_options options);
    ~worker_core();

    void on(const std::string& channel, const std::string& type, handler work);
    void follow(const std::string& channel, std::chrono::system_clock::time_point since, follower hear);
    void run(bool signals);
    void stop();
    worker_counters counters() const;

    std::function<void()> tell_ready;
    std::function<void(const std::string&)> tell_notice;

    // For requests, on handler threads.
    // `lost` becomes true when it is not confirmed.
    void publish_now(amqp::publication p, std::shared_ptr<std::atomic<bool>> lost = nullptr);
    std::optional<std::string> ask(amqp::publication question, std::chrono::milliseconds within);

private:
    using request_ptr = std::unique_ptr<request>;

    // What one client sends on a channel whose order is by client: one message at a time is worked on.
    struct lane {
        bool busy = false;
        // A message that failed comes back before the client's later ones, which were delivered already, are begun.
        std::optional<std::string> awaited;  // its message id
        steady_time awaited_until{};         // it may have become a dead letter after all
    };

    // The consumer of one channel's work queue.
    struct consumer final : amqp::channel_handler {
        consumer(worker_core& o, const contract::channel_settings& c) : owner(o), channel(c) {}
        boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
        void on_ready(amqp::channel& self) override;
        void on_lost(amqp::channel& self, const amqp::error& why) override;
        void on_delivery(amqp::channel&, const amqp::delivery& d) override;
        void on_too_large(amqp::channel& self, const amqp::delivery& d, const amqp::skipped_body& body) override;
        // worker_consumers.cpp: as many deliveries at once as are wanted now.
        void adjust();
        boost::asio::awaitable<void> adjust_on(std::shared_ptr<amqp::channel> on);
        boost::asio::awaitable<bool> one_step(amqp::channel& on);
        boost::asio::awaitable<bool> begin_consumer(amqp::channel& on, std::uint16_t at_once, std::string_view tag);
        boost::asio::awaitable<void> cancel_all();

        bool ordered() const noexcept { return channel.order == contract::order_kind::client; }

        worker_core& owner;
        const contract::channel_settings& channel;
        std::shared_ptr<amqp::channel> link;
        std::map<std::string, handler, std::less<>> handlers;  // by type; "": any other; not changed while they run
        std::map<std::string, lane, std::less<>> lanes;        // by client
        bool consuming = false;
        // What was delivered before may be what killed its worker. Until something else comes, one message is taken at
        // a time: the broker counts a return for all that a dying worker had taken. Not with a single active consumer:
        // its place would go to another worker while it has messages in hand.
        bool careful = false;
        bool careful_ended = false;  // something else has come, and the broker has not been told yet
        // A message that failed is held for a while; meanwhile its place is taken by a consumer of its own, with a
        // prefetch of one.
        std::size_t held = 0;
        std::vector<std::string> spares;     // the tags of such consumers
        std::uint64_t spares_begun = 0;      // on this AMQP channel
        std::vector<request_ptr> returning;  // the pause is over
        bool adjusting = false;
    };

    // A message whose handler failed, until it goes back to its queue.
    struct held_message {
        held_message(worker_core& o, request_ptr w) : owner(o), what(std::move(w)) {}
        worker_core& owner;
        request_ptr what;
        std::list<held_message>::iterator place;
        net::wheel_timer until{this, [](held_message& self) { self.owner.give_back(self.place); }};
    };

    // worker_core.cpp
    const contract::channel_settings& channel_of(const std::string& name) const;
    void begin_work();
    void become_ready();
    void fail_start(const amqp::error& why);
    boost::asio::awaitable<void> drain();
    void on_connected(const std::string& where) override;
    void on_disconnected(const amqp::error& why, std::chrono::milliseconds retry_in) override;
    void on_channel_sick(const std::string& queue, const amqp::error& why, std::chrono::milliseconds retry_in) override;
    boost::asio::awaitable<amqp::result<void>> prepare(amqp::channel& on) override;
    void on_caught_up() override;
    void on_stream_lost(const amqp::error& why) override;
    void notice(const std::string& text) override;  // from any thread

    // worker_work.cpp, on the I/O thread, in the order of a request's life.
    void take(consumer& from, const amqp::delivery& d);
    void start_work();
    bool may_begin(const request& r) const;
    void begin(request_ptr r);
    void on_worked(request_ptr done, bool failed);
    void publish(amqp::publication p, steady_time deadline, amqp::on_outcome done);
    void publish(amqp::publication p, std::move_only_function<void(amqp::outcome, bool)> then);
    struct saying;
    void publish_all(std::vector<amqp::publication> said, std::move_only_function<void(bool)> then);
    void go_on(const std::shared_ptr<saying>& what);
    void tell_done(request_ptr done);
    void settle(request_ptr done);
    void finish(request_ptr done, bool confirmed);
    void hold(request_ptr failed);
    void give_back(std::list<held_message>::iterator which);
    void give_back_all();
    void on_cancelled(std::string_view message_id);
    bool was_cancelled(const request& r) const;
    void pass_over(const request& r);
    void return_to_queue(const request& r);
    void return_to_queue(std::vector<request_ptr> all);
    std::chrono::milliseconds pause_after(unsigned attempt) const;
    bool may_have_killed(const request& r) const;
    void leave_lane(const request& r, bool failed);
    void return_waiting(const consumer& of, std::string_view client);
    consumer& consumer_of(const request& r) const;

    // worker_work.cpp, on handler threads.
    bool handle(request& r);
    void run_handler(request& r, const handler& work);
    const handler* handler_for(const request& r) const;

    const worker_options options_;
    contract::topology_keeper topology_;
    const std::shared_ptr<dedupe_store> store_;
    net::runtime cores_{1};
    net::shard& home_ = cores_.at(0);
    amqp::client consume_;
    amqp::client publish_;
    contract::stream_publishers out_;
    std::unique_ptr<amqp::client> streams_;  // null without followers
    asker asker_;
    cancel_watch cancels_;
    thread_pool handling_;
    thread_pool hearing_;
    std::vector<std::unique_ptr<stream_follower>> followers_;
    std::size_t caught_up_ = 0;
    std::vector<std::unique_ptr<consumer>> consumers_;

    std::deque<request_ptr> waiting_;                                                 // delivered, not being worked on
    std::list<held_message> held_;                                                    // these count for their consumers
    std::map<std::string, std::shared_ptr<std::atomic<bool>>, std::less<>> running_;  // by message id: is cancelled
    std::deque<std::string> cancelled_;  // message ids, lately, of what has not come here or had ended
    std::deque<std::string> failed_;     // message ids that were given back lately, without any harm to the worker
    std::size_t working_ = 0;            // with handlers or being confirmed
    bool alone_ = false;                 // a redelivered message is being worked on
    bool started_ = false;
    bool draining_ = false;
    std::string failure_;
    std::set<std::string> problems_;  // of the connections, that have been told since the last one was open
    net::wheel_timer awaited_timer_{this, [](worker_core& self) { self.start_work(); }};

    struct {
        std::atomic<std::uint64_t> handled = 0, refused = 0, requeued = 0, published = 0, held = 0, cancelled = 0;
    } counters_;
};

}  // namespace foz::service
