#include "net/tls_watch.hpp"

#include "base/thread.hpp"

#include <utility>

namespace foz::net {

tls_watch::tls_watch(const clock& time, std::function<void(const tls_news&)> tell, options how)
    : time_(time),
      tell_(std::move(tell)),
      how_(std::move(how)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

void tls_watch::add(std::shared_ptr<tls_holder> holder) {
    if (!holder) return;
    const std::scoped_lock lock(mutex_);
    holders_.push_back(std::move(holder));
}

void tls_watch::look_now() {
    {
        const std::scoped_lock lock(mutex_);
        asked_ = true;
    }
    wake_.notify_one();
}

void tls_watch::run(const std::stop_token& stop) {
    introduce_thread("tls files");
    for (;;) {
        std::vector<std::shared_ptr<tls_holder>> all;
        bool asked = false;
        {
            std::unique_lock lock(mutex_);
            wake_.wait_for(lock, stop, how_.interval, [this] { return asked_; });
            if (stop.stop_requested()) return;
            asked = std::exchange(asked_, false);
            all = holders_;
        }
        if (how_.more)
            for (auto& one : how_.more()) all.push_back(std::move(one));
        for (const auto& one : all)
            if (const auto news = one->look(time_.now(), asked)) tell_(*news);
    }
}

}  // namespace foz::net
