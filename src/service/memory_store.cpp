#include "service/dedupe_store.hpp"

#include <condition_variable>
#include <list>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace foz::service {
namespace {

class memory_store final : public dedupe_store {
public:
    explicit memory_store(std::size_t capacity) : capacity_(capacity) {}

    memory once(const std::string& key, const std::function<std::string()>& work) override {
        std::unique_lock lock(mutex_);
        // Whoever else has this key at work decides: when it succeeds, that is the outcome; else it is our turn.
        finished_.wait(lock, [&] { return !running_.contains(key); });
        if (const auto known = known_.find(key); known != known_.end()) {
            order_.splice(order_.end(), order_, known->second);
            return {known->second->outbox, known->second->sent};
        }
        running_.insert(key);
        lock.unlock();
        const finish_guard guard{*this, key};
        std::string outbox = work();
        lock.lock();
        remember(key, outbox);
        lock.unlock();
        return {std::move(outbox)};
    }

    void sent(const std::string& key) override {
        const std::lock_guard lock(mutex_);
        if (const auto known = known_.find(key); known != known_.end()) known->second->sent = true;
    }

private:
    struct entry {
        std::string key;
        std::string outbox;
        bool sent = false;
    };
    struct finish_guard {  // also when the work throws
        memory_store& self;
        const std::string& key;
        ~finish_guard() {
            {
                const std::lock_guard lock(self.mutex_);
                self.running_.erase(key);
            }
            self.finished_.notify_all();
        }
    };

    void remember(const std::string& key, const std::string& outbox) {
        if (capacity_ == 0) return;
        if (order_.size() == capacity_) {
            known_.erase(order_.front().key);
            order_.pop_front();
        }
        order_.push_back({.key = key, .outbox = outbox});
        known_.emplace(order_.back().key, std::prev(order_.end()));
    }

    const std::size_t capacity_;
    std::mutex mutex_;  // guards all below; not held while the work runs
    std::condition_variable finished_;
    std::unordered_set<std::string> running_;
    std::list<entry> order_;  // the one that was used last is at the end
    std::unordered_map<std::string_view, std::list<entry>::iterator> known_;
};

}  // namespace

std::unique_ptr<dedupe_store> make_memory_store(std::size_t capacity) {
    return std::make_unique<memory_store>(capacity);
}

}  // namespace foz::service
