#include "cli/broker_thread.hpp"

#include "base/thread.hpp"

#include <chrono>
#include <exception>
#include <utility>

namespace foz::cli {
namespace {

constexpr std::chrono::milliseconds empty_look_interval{20};

}  // namespace

broker_thread::broker_thread(broker::embedded_options options, std::function<void(const std::string&)> failed)
    : broker_(core_.at(0), std::move(options)), thread_([this, failed = std::move(failed)] {
          introduce_thread("broker", true);
          try {
              core_.run();
          } catch (const std::exception& error) {
              failed(error.what());
          }
      }) {}

broker_thread::~broker_thread() {
    core_.at(0).post([this] {
        broker_.shut_down();
        stop_when_empty();
    });
    thread_.join();
}

void broker_thread::look(net::shard& back, std::function<void(broker::snapshot)> done) {
    core_.at(0).post([this, &back, done = std::move(done)]() mutable {
        back.post([done = std::move(done), now = broker_.look()]() mutable { done(std::move(now)); });
    });
}

void broker_thread::stop_when_empty() {
    if (broker_.connections() == 0) return core_.stop();
    timer_.start(core_.at(0).wheel(), empty_look_interval);
}

}  // namespace foz::cli
