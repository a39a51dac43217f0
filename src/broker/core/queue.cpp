#include "broker/core/queue.hpp"

#include <algorithm>

namespace foz::broker {

queue::queue(queue_identity identity, surroundings& around, std::unique_ptr<queue_log> log)
    : identity_(std::move(identity)), around_(around), log_(std::move(log)), used_ms_(around.now_ms()) {}

std::string queue::described() const {
    return "queue '" + identity_.name + "' in vhost '" + identity_.vhost + "'";
}

result<void> queue::consume(consumer& who, const consume_options& options) {
    const bool taken = std::ranges::any_of(consumers_, [](const consumer* other) { return other->exclusive; });
    const bool shared = settings().kind == queue_kind::stream;  // whoever reads leaves everything to the others
    if (!shared && (taken || (who.exclusive && !consumers_.empty())))
        return refuse(amqp::reply_code::access_refused, described() + " in exclusive use");
    if (auto checked = check_consume(who, options); !checked) return checked;
    const auto place = std::ranges::upper_bound(consumers_, who.priority, std::greater<>(), &consumer::priority);
    consumers_.insert(place, &who);
    touch();
    on_consumer(who, options);
    return {};
}

void queue::cancel(consumer& who) {
    if (std::erase(consumers_, &who) == 0) return;
    touch();
    on_consumer_left(who);
    if (consumers_.empty() && identity_.flags.auto_delete) around_.remove_soon(*this);
}

void queue::touch() {
    if (!settings().expires) return;
    used_ms_ = around_.now_ms();
    on_alarm();
}

std::int64_t queue::expiry_ms() const noexcept {
    if (!settings().expires || !consumers_.empty()) return 0;
    return used_ms_ + settings().expires->count();
}

void queue::remove() {
    if (gone_) return;
    gone_ = true;
    around_.set_alarm(*this, 0);
    const std::vector<consumer*> told = std::move(consumers_);
    consumers_.clear();
    drop_all();
    if (log_) log_->erase();
    log_.reset();
    for (consumer* const who : told) who->on_queue_gone();
}

}  // namespace foz::broker
