// Direct reply-to, RabbitMQ's extension: answers go to the channel that asked, without a queue, and are lost with it.
#include "amqp/codec/property_view.hpp"
#include "broker/front/channel.hpp"
#include "broker/front/connection.hpp"

#include <utility>

namespace foz::broker {
namespace {

using amqp::reply_code;

constexpr std::string_view pseudo_queue = "amq.rabbitmq.reply-to";
constexpr std::string_view address_prefix = "amq.rabbitmq.reply-to.";  // a token follows: what others publish to

}  // namespace

bool channel::is_reply_queue(std::string_view name) noexcept {
    return name == pseudo_queue || name.starts_with(address_prefix);
}

channel* channel::reply_consumer(std::string_view address) const {
    if (!address.starts_with(address_prefix)) return nullptr;
    const auto& all = home_.reply_consumers();
    const auto at = all.find(std::string(address.substr(address_prefix.size())));
    // Tokens are unguessable, and virtual hosts are apart all the same.
    const bool there = at != all.end() && &at->second->home_.home_vhost() == &home_.home_vhost();
    return there ? at->second : nullptr;
}

result<void> channel::consume_replies(const std::string& tag, bool no_ack, bool no_wait) {
    if (!no_ack) return refuse(reply_code::precondition_failed, "reply consumer cannot acknowledge");
    if (!reply_token_.empty()) return refuse(reply_code::precondition_failed, "reply consumer already set");
    reply_token_ = home_.home().random().token();
    reply_tag_ = tag;
    home_.reply_consumers().emplace(reply_token_, this);
    amqp::basic_consume_ok ok;
    ok.consumer_tag = tag;
    answer(no_wait, ok);
    return {};
}

void channel::end_replies() {
    if (reply_token_.empty()) return;
    home_.reply_consumers().erase(reply_token_);
    reply_token_.clear();
    reply_tag_.clear();
    replies_.clear();
    replies_bytes_ = 0;
}

result<std::string> channel::with_reply_address(std::string_view properties) const {
    if (reply_token_.empty()) return refuse(reply_code::precondition_failed, "fast reply consumer does not exist");
    amqp::basic_properties all = amqp::decode_properties(properties);
    all.reply_to = std::string(address_prefix) + reply_token_;
    auto encoded = amqp::encode_properties(all);
    if (!encoded) return refuse(reply_code::internal_error, std::string(amqp::to_string(encoded.error())));
    return std::move(*encoded);
}

bool channel::wants_reply_address(const amqp::message& content) noexcept {
    return content.scanned.reply_to == pseudo_queue;
}

result<void> channel::declare_reply_queue(const amqp::queue_declare& m) {
    if (m.queue != pseudo_queue && !reply_consumer(m.queue))
        return refuse(reply_code::not_found, "no queue '" + m.queue + "' in vhost '" + home_.home_vhost().name() + "'");
    amqp::queue_declare_ok done;
    done.queue = m.queue;
    done.consumer_count = 1;
    answer(m.no_wait, done);
    return {};
}

void channel::reply(const message_ref& what) {
    if (!what->exchange().empty()) return;
    if (channel* const to = reply_consumer(what->routing_key())) to->take_reply(what);
}

// A client may ask faster than it reads: what doesn't fit into its socket waits, in order. One that does not read at
// all loses what comes on top.
void channel::take_reply(const message_ref& what) {
    const std::size_t bytes = what->bytes();
    if (replies_bytes_ + bytes > home_.limits().replies_bytes_max) return;
    replies_bytes_ += bytes;
    replies_.push_back(what);
    deliver_replies();
}

void channel::deliver_replies() {
    while (!replies_.empty() && !home_.choked()) {
        const entry taken{.what = std::move(replies_.front())};
        replies_.pop_front();
        replies_bytes_ -= taken.what->bytes();
        deliver_reply(taken);
    }
}

}  // namespace foz::broker
