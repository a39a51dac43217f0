// The worker's machinery: one I/O thread with two connections, and handler threads.
#pragma once

#include "amqp/conn/channel.hpp"
#include "amqp/conn/client.hpp"
#include "amqp/conn/publisher.hpp"
#include "net/runtime.hpp"
#include "service/request.hpp"
#include "service/worker.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace foz::service {

// Threads: everything runs on the I/O thread (the runtime's only shard) but handlers, which get a request that belongs
// to nobody else and give it back through the shard's mailbox.
class worker_core final : private amqp::client_events {
public:
    explicit worker_core(worker_options options);
    ~worker_core();

    void on(const std::string& channel, const std::string& type, handler work);
    void run(bool signals);
    void stop();
    worker_counters counters() const;

    std::function<void()> tell_ready;
    std::function<void(const std::string&)> tell_notice;

private:
    // The consumer of one channel's work queue.
    struct consumer final : amqp::channel_handler {
        consumer(worker_core& o, std::size_t i) : owner(o), index(i) {}
        boost::asio::awaitable<amqp::result<void>> set_up(amqp::channel& self) override;
        void on_ready(amqp::channel& self) override;
        void on_lost(amqp::channel& self, const amqp::error& why) override;
        void on_delivery(amqp::channel& self, const amqp::delivery& d) override { owner.take(*this, self, d); }

        worker_core& owner;
        const std::size_t index;  // in the options' channels
        std::shared_ptr<amqp::channel> link;
        std::map<std::string, handler> handlers;  // by type; "": any other
        bool consuming = false;
    };

    using request_ptr = std::unique_ptr<request>;

    void on_connected(const std::string& where) override;
    void on_disconnected(const amqp::error& why, std::chrono::milliseconds retry_in) override;

    // On the I/O thread.
    void take(consumer& from, amqp::channel& channel, const amqp::delivery& d);
    void start_work();
    void on_worked(request_ptr done, bool failed);
    void publish_said(request_ptr done);
    void finish(request_ptr done, bool confirmed);
    boost::asio::awaitable<void> drain();
    void fail_start(const amqp::error& why);

    // On handler threads.
    void work_loop();
    bool handle(request& r);
    void notice(const std::string& text);

    const worker_options options_;
    net::runtime cores_{1};
    net::shard& home_ = cores_.at(0);
    amqp::client consume_;
    amqp::client publish_;
    std::unique_ptr<amqp::publisher> publisher_;
    std::vector<std::unique_ptr<consumer>> consumers_;

    std::deque<request_ptr> waiting_;  // delivered, not being worked on
    std::size_t working_ = 0;          // with handlers or being confirmed
    bool alone_ = false;               // a redelivered message is being worked on
    bool started_ = false;
    bool draining_ = false;
    std::string failure_;

    std::mutex work_mutex_;  // guards work_ and end_
    std::condition_variable work_there_;
    std::deque<request_ptr> work_;
    bool end_ = false;

    struct {
        std::atomic<std::uint64_t> handled = 0, refused = 0, requeued = 0, published = 0;
    } counters_;
};

}  // namespace foz::service
