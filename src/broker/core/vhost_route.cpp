#include "broker/core/vhost.hpp"

#include <algorithm>
#include <utility>

namespace foz::broker {

void vhost::add_target(queue& to) {
    if (to.routed == routings_) return;
    to.routed = routings_;
    targets_.push_back(&to);
}

// What `from` gives the message to, appended to found_.
void vhost::find_next(exchange& from, routed_message& what) {
    const std::size_t before = found_.size();
    if (&from == default_exchange_) {
        if (queue* const named = look_up(what.routing_key)) found_.push_back({.to_queue = named});
    } else {
        from.route(what, found_);
    }
    if (found_.size() == before && !from.alternate().empty())
        if (exchange* const next = look_up_exchange(from.alternate())) found_.push_back({.to_exchange = next});
}

// From exchange to exchange, through each once: a list of what is still to be visited, since a chain of them may be as
// long as a client likes.
void vhost::route(exchange& from, std::string_view routing_key, routed_message& what) {
    ++passes_;
    found_.clear();
    what.routing_key = routing_key;
    found_.push_back({.to_exchange = &from});
    for (std::size_t i = 0; i < found_.size(); ++i) {
        const destination to = found_[i];
        if (to.to_queue)
            add_target(*to.to_queue);
        else if (std::exchange(to.to_exchange->routed, passes_) != passes_)
            find_next(*to.to_exchange, what);
    }
}

publish_outcome vhost::put(const message_ref& what) {
    publish_outcome out;
    // A queue that is told may change targets_: a dead letter is published while this one is.
    const std::vector<queue*> targets = std::move(targets_);
    targets_ = {};
    for (queue* const to : targets) {
        out.routed = true;
        if (to->publish(what) == accepted::no) out.rejected = true;
    }
    return out;
}

result<void> vhost::find_targets(exchange& from, const message& what, const carbon_copies& copies) {
    ++routings_;
    targets_.clear();
    if (!copies.valid) return refuse(amqp::reply_code::precondition_failed, "invalid CC or BCC header: it is no array");
    routed_message routing{.routing_key = {}, .properties = what.properties(), .decoded = {}};
    route(from, what.routing_key(), routing);
    for (const std::string& key : copies.keys) route(from, key, routing);
    return {};
}

bool vhost::keeps(exchange& from, const message& what) {
    return find_targets(from, what, find_carbon_copies(what)) &&
           std::ranges::any_of(targets_, [&](const queue* one) { return one->keeps(what); });
}

result<publish_outcome> vhost::publish(exchange& from, message_ref what) {
    const carbon_copies copies = what->headers().empty() ? carbon_copies() : find_carbon_copies(*what);
    if (const auto found = find_targets(from, *what, copies); !found) return std::unexpected(found.error());
    if (copies.bcc) what = without_bcc(*what);
    if (!what) return refuse(amqp::reply_code::internal_error, "the headers can't be encoded without BCC");
    if (targets_.size() == 1) {
        queue& only = *targets_.front();
        return publish_outcome{.routed = true, .rejected = only.publish(what) == accepted::no};
    }
    return put(what);
}

void vhost::dead_letter(queue& from, entry dead, death why) {
    if (!from.settings().dead_letter_exchange) return;
    dead_.push_back({from.shared_from_this(), std::move(dead), why});
    if (burying_) return;
    burying_ = true;
    while (!dead_.empty()) {
        const dead_one next = std::move(dead_.front());
        dead_.pop_front();
        bury(next);
    }
    burying_ = false;
}

void vhost::bury(const dead_one& dead) {
    exchange* const to = look_up_exchange(*dead.from->settings().dead_letter_exchange);
    if (!to) return;
    const auto letter = make_dead_letter(*dead.from, dead.what, dead.why, home_.around().now_ms());
    if (!letter) return;
    ++routings_;
    targets_.clear();
    routed_message routing{.routing_key = {}, .properties = letter->what->properties(), .decoded = {}};
    for (const std::string& key : letter->routing_keys) route(*to, key, routing);
    if (dead.why != death::rejected)
        std::erase_if(targets_, [&](const queue* one) { return is_cycle(*letter->what, one->name()); });
    put(letter->what);
}

}  // namespace foz::broker
