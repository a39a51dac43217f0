#include "amqp/codec/encode.hpp"
#include "amqp/codec/property_view.hpp"
#include "amqp/codec/wire.hpp"
#include "broker/front/channel.hpp"
#include "broker/front/connection.hpp"

#include <algorithm>
#include <utility>

namespace foz::broker {
namespace {

using amqp::reply_code;

constexpr std::string_view tag_prefix = "amq.ctag-";

// basic.deliver without its five strings being made first.
void write_deliver(std::string& out, std::uint16_t number, std::string_view consumer_tag, std::uint64_t delivery_tag,
                   const entry& what) {
    amqp::writer frame(out);
    frame.begin_frame(amqp::frame_type::method, number);
    frame.u16(amqp::basic_deliver::class_id);
    frame.u16(amqp::basic_deliver::method_id);
    frame.short_string(consumer_tag);
    frame.u64(delivery_tag);
    frame.u8(what.redelivered ? 1 : 0);
    frame.short_string(what.what->exchange());
    frame.short_string(what.what->routing_key());
    frame.end_frame(0);
}

// In RabbitMQ's words.
std::string why_no_expiration(std::string_view text) {
    const std::size_t sign = text.starts_with('-') ? 1 : 0;
    const std::size_t end = std::min(text.find_first_not_of("0123456789", sign), text.size());
    if (end == sign) return "no_integer";
    if (end < text.size()) return "{leftover_string,\"" + std::string(text.substr(end)) + "\"}";
    return "{value_negative," + std::string(text) + "}";
}

}  // namespace

bool subscription::can_take() const noexcept {
    return !on_.released_ && !on_.home_.choked() && (prefetch == 0 || unacked < prefetch) &&
           (no_ack || on_.below_channel_prefetch());
}

void subscription::take(const std::shared_ptr<queue>& queue_of, entry taken) {
    on_.deliver(*this, queue_of, std::move(taken));
}

void subscription::on_queue_gone() {
    on_.cancelled(*this);
}

void channel::cancelled(subscription& gone) {
    if (home_.cancels_consumers()) {
        amqp::basic_cancel told;
        told.consumer_tag = gone.tag;
        told.no_wait = true;
        home_.send(number_, told);
    }
    by_number_.erase(gone.number);
    subscriptions_.erase(subscriptions_.find(gone.tag));
}

subscription* channel::find(std::uint64_t number) {
    const auto at = by_number_.find(number);
    return at == by_number_.end() ? nullptr : at->second;
}

std::uint64_t channel::keep(const std::shared_ptr<queue>& from, const subscription* who, entry taken) {
    unacked_.push_back(
        {.tag = last_tag_, .from = from, .subscription = who ? who->number : 0, .what = std::move(taken)});
    ++unacked_count_;
    if (prefetch_ != 0 && unacked_count_ >= prefetch_) full_ = true;
    return last_tag_;
}

void channel::write_content(std::string_view properties, const entry& what) {
    const std::string_view body = what.what->body();
    std::string& out = home_.out();
    const amqp::content_options options{.channel = number_, .frame_max = home_.frame_max()};
    if (!amqp::encode_content_header(out, options, body.size(), properties)) {
        // Larger than this client's frames: it gets the message without its properties rather than none at all.
        (void)amqp::encode_content_header(out, options, body.size(), std::string_view("\0\0", 2));
    }
    home_.write_body(number_, what.what);
}

void channel::deliver_reply(const entry& taken) {
    write_deliver(home_.out(), number_, reply_tag_, ++last_tag_, taken);
    write_content(taken.what->properties(), taken);
}

void channel::deliver(subscription& to, const std::shared_ptr<queue>& from, entry taken) {
    ++last_tag_;
    write_deliver(home_.out(), number_, to.tag, last_tag_, taken);
    const queue_kind kind = from->settings().kind;
    if (kind == queue_kind::stream) {
        write_content(
            amqp::with_header(taken.what->properties(), "x-stream-offset", static_cast<std::int64_t>(taken.at)), taken);
    } else if (kind == queue_kind::quorum && taken.returns > 0) {
        write_content(amqp::with_header(taken.what->properties(), "x-delivery-count", taken.returns), taken);
    } else {
        write_content(taken.what->properties(), taken);
    }
    if (to.no_ack) return;
    ++to.unacked;
    keep(from, &to, std::move(taken));
}

void channel::wake_all() {
    deliver_replies();
    std::vector<std::string> tags;
    for (const auto& [tag, one] : subscriptions_) tags.push_back(tag);
    for (const std::string& tag : tags)
        if (const auto at = subscriptions_.find(tag); at != subscriptions_.end()) at->second->from->wake(*at->second);
}

result<void> channel::check_publish(const exchange& to, const amqp::message& content) {
    if (to.identity().internal)
        return refuse(reply_code::access_refused, "cannot publish to internal exchange '" + to.name() + "' in vhost '" +
                                                      home_.home_vhost().name() + "'");
    const auto& user_id = content.scanned.user_id;
    if (user_id && *user_id != home_.user())
        return refuse(reply_code::precondition_failed, "user_id property set to '" + std::string(*user_id) +
                                                           "' but authenticated user was '" + home_.user() + "'");
    const auto& expiration = content.scanned.expiration;
    if (expiration && !parse_expiration(*expiration))
        return refuse(reply_code::precondition_failed,
                      "invalid expiration '" + std::string(*expiration) + "': " + why_no_expiration(*expiration));
    return {};
}

result<void> channel::publish(const amqp::basic_publish& m, amqp::message& content) {
    home_.published();
    if (m.immediate) return refuse(reply_code::not_implemented, "immediate=true");
    const auto to = home_.home_vhost().find_exchange(m.exchange);
    if (!to) return std::unexpected(to.error());
    if (auto allowed = require(permission::write, "exchange", m.exchange); !allowed) return allowed;
    if (auto checked = check_publish(**to, content); !checked) return checked;
    if (wants_reply_address(content)) {
        auto with_address = with_reply_address(content.encoded_properties);
        if (!with_address) return std::unexpected(with_address.error());
        content.encoded_properties = std::move(*with_address);
        content.scanned = amqp::scan_properties(content.encoded_properties).value_or(amqp::property_view());
    }
    auto made = message::make({.exchange = m.exchange,
                               .routing_key = m.routing_key,
                               .properties = content.encoded_properties,
                               .body = content.body,
                               .scanned = &content.scanned});
    if (!made) return refuse(reply_code::internal_error, std::string(amqp::to_string(made.error())));
    if (transaction_) {
        transaction_->work.push_back({.what = std::move(*made), .mandatory = m.mandatory});
        return {};
    }
    if (home_.model().disk().stages(content.body.size()) && home_.home_vhost().keeps(**to, **made)) {
        home_.stage(number_, *made, m.mandatory);
        return {};
    }
    return publish(*made, **to, m.mandatory);
}

result<void> channel::publish(const message_ref& what, exchange& to, bool mandatory) {
    const auto put = route(to, what, mandatory);
    if (!put) return std::unexpected(put.error());
    if (confirms_) confirm(home_.model().disk().pending_commit(), put->rejected);
    return {};
}

void channel::publish_staged(const message_ref& what, bool mandatory) {
    const auto to = home_.home_vhost().find_exchange(what->exchange());
    const auto done = to ? publish(what, **to, mandatory) : std::unexpected(to.error());
    if (!done) fail(done.error(), amqp::basic_publish::class_id, amqp::basic_publish::method_id);
}

result<publish_outcome> channel::route(exchange& to, const message_ref& what, bool mandatory) {
    reply(what);  // it is in no queue: to RabbitMQ, and so to mandatory, it is unroutable
    const auto put = home_.home_vhost().publish(to, what);
    if (!put || put->routed || !mandatory) return put;
    amqp::basic_return back;
    back.reply_code = static_cast<std::uint16_t>(reply_code::no_route);
    back.reply_text = to_string(reply_code::no_route);
    back.exchange = what->exchange();
    back.routing_key = what->routing_key();
    home_.send(number_, back);
    write_content(what->properties(), {.what = what});
    return put;
}

result<void> channel::perform(const postponed& one) {
    if (!one.what) {
        const std::size_t at = end_postponement(one.tag);
        settle_now({at, at + 1}, one.how);
        return {};
    }
    const auto to = home_.home_vhost().find_exchange(one.what->exchange());
    if (!to) return std::unexpected(to.error());
    const auto put = route(**to, one.what, one.mandatory);
    if (!put) return std::unexpected(put.error());
    return {};
}

result<void> channel::on(const amqp::tx_select&) {
    if (confirms_) return refuse(reply_code::precondition_failed, "cannot switch from confirm to tx mode");
    if (!transaction_) transaction_ = transaction{};
    answer(false, amqp::tx_select_ok{});
    return {};
}

result<void> channel::on(const amqp::tx_commit&) {
    if (!transaction_) return refuse(reply_code::precondition_failed, "channel is not transactional");
    const std::vector<postponed> work = std::exchange(transaction_->work, {});
    for (const postponed& one : work)
        if (const auto done = perform(one); !done) return done;
    transaction_->committing = true;
    transaction_->commit = home_.model().disk().pending_commit();
    home_.published();
    home_.at_turn_end();
    return {};
}

result<void> channel::on(const amqp::tx_rollback&) {
    if (!transaction_) return refuse(reply_code::precondition_failed, "channel is not transactional");
    for (const postponed& one : std::exchange(transaction_->work, {}))
        if (!one.what) end_postponement(one.tag);
    answer(false, amqp::tx_rollback_ok{});
    return {};
}

void channel::confirm(commit_number commit, bool rejected) {
    unconfirmed_.push_back({++last_publish_, commit, rejected});
    home_.at_turn_end();
}

void channel::flush_confirms() {
    if (transaction_ && transaction_->committing && transaction_->commit <= home_.model().disk().committed()) {
        transaction_->committing = false;
        answer(false, amqp::tx_commit_ok{});
    }
    if (unconfirmed_.empty()) return;
    const commit_number committed = home_.model().disk().committed();
    amqp::basic_ack acks;
    const auto flush = [&] {
        if (acks.delivery_tag != 0) home_.send(number_, acks);
        acks = {};
    };
    while (!unconfirmed_.empty() && unconfirmed_.front().commit <= committed) {
        const unconfirmed done = unconfirmed_.front();
        unconfirmed_.pop_front();
        if (done.rejected) {
            flush();
            amqp::basic_nack nack;
            nack.delivery_tag = done.tag;
            home_.send(number_, nack);
        } else {
            acks.multiple = acks.delivery_tag != 0;
            acks.delivery_tag = done.tag;
        }
    }
    flush();
}

result<void> channel::on(const amqp::confirm_select& m) {
    if (transaction_) return refuse(reply_code::precondition_failed, "cannot switch from tx to confirm mode");
    confirms_ = true;
    answer(m.no_wait, amqp::confirm_select_ok{});
    return {};
}

result<void> channel::on(const amqp::basic_qos& m) {
    if (m.prefetch_size != 0)
        return refuse(reply_code::not_implemented, "prefetch_size!=0 (" + std::to_string(m.prefetch_size) + ")");
    if (!m.global) next_prefetch_ = m.prefetch_count;
    // RabbitMQ takes a limit for consumers as the end of the channel's own.
    prefetch_ = m.global ? m.prefetch_count : std::uint16_t{0};
    answer(false, amqp::basic_qos_ok{});
    wake_all();
    return {};
}

result<void> channel::check_prefetch(const queue& from, bool no_ack) const {
    const queue_kind kind = from.settings().kind;
    if (kind == queue_kind::stream && next_prefetch_ == 0 && !no_ack)
        return refuse(reply_code::precondition_failed,
                      "consumer prefetch count is not set for '" + from.described() + "'");
    if (kind != queue_kind::classic && prefetch_ != 0)
        return refuse(reply_code::not_implemented, from.described() + " does not support global qos");
    return {};
}

result<void> channel::on(const amqp::basic_consume& m) {
    const auto name = named(m.queue);
    if (!name) return std::unexpected(name.error());
    const std::string tag =
        m.consumer_tag.empty() ? std::string(tag_prefix) + home_.home().random().token() : m.consumer_tag;
    const bool used = subscriptions_.contains(tag) || tag == reply_tag_;
    const auto reused = [&] { return refuse(reply_code::not_allowed, "attempt to reuse consumer tag '" + tag + "'"); };
    if (is_reply_queue(*name)) return used ? reused() : consume_replies(tag, m.no_ack, m.no_wait);
    if (auto allowed = require(permission::read, "queue", *name); !allowed) return allowed;
    const auto found = home_.home_vhost().find_queue(*name, home_.owner());
    if (!found) return std::unexpected(found.error());
    if (used) return reused();
    queue& from = **found;
    if (auto possible = check_prefetch(from, m.no_ack); !possible) return possible;
    auto made = std::make_unique<subscription>(*this, tag, from.shared_from_this(),
                                               m.no_ack ? std::uint16_t{0} : next_prefetch_);
    made->no_ack = m.no_ack;
    made->exclusive = m.exclusive;
    made->owner = home_.owner();
    made->number = ++last_subscription_;
    if (const amqp::field_value* const priority = m.arguments.find("x-priority")) {
        const auto value = amqp::as_int64(priority);
        if (!value) return refuse(reply_code::precondition_failed, "invalid arg 'x-priority' for " + from.described());
        made->priority = static_cast<int>(*value);
    }
    const auto done = from.consume(*made, {.stream_offset = m.arguments.find("x-stream-offset")});
    if (!done) return done;
    subscription& who = *subscriptions_.emplace(tag, std::move(made)).first->second;
    by_number_.emplace(who.number, &who);
    amqp::basic_consume_ok ok;
    ok.consumer_tag = tag;
    answer(m.no_wait, ok);
    from.wake(who);
    return {};
}

result<void> channel::on(const amqp::basic_cancel& m) {
    if (const auto at = subscriptions_.find(m.consumer_tag); at != subscriptions_.end()) {
        const std::unique_ptr<subscription> gone = std::move(at->second);
        subscriptions_.erase(at);
        by_number_.erase(gone->number);
        gone->from->cancel(*gone);
    } else if (!reply_tag_.empty() && m.consumer_tag == reply_tag_) {
        end_replies();
    }
    amqp::basic_cancel_ok ok;
    ok.consumer_tag = m.consumer_tag;
    answer(m.no_wait, ok);
    return {};
}

result<void> channel::on(const amqp::basic_get& m) {
    const auto name = named(m.queue);
    if (!name) return std::unexpected(name.error());
    if (auto allowed = require(permission::read, "queue", *name); !allowed) return allowed;
    const auto found = home_.home_vhost().find_queue(*name, home_.owner());
    if (!found) return std::unexpected(found.error());
    auto taken = (*found)->get(m.no_ack);
    if (!taken) return std::unexpected(taken.error());
    if (!*taken) {
        home_.send(number_, amqp::basic_get_empty{});
        return {};
    }
    entry what = std::move(**taken);
    amqp::basic_get_ok ok;
    ok.delivery_tag = ++last_tag_;
    ok.redelivered = what.redelivered;
    ok.exchange = what.what->exchange();
    ok.routing_key = what.what->routing_key();
    ok.message_count = static_cast<std::uint32_t>((*found)->ready_count());
    home_.send(number_, ok);
    // With basic.get RabbitMQ counts from 0, with basic.deliver from 1.
    const bool counted = (*found)->settings().kind == queue_kind::quorum;
    write_content(counted ? amqp::with_header(what.what->properties(), "x-delivery-count", what.returns)
                          : std::string(what.what->properties()),
                  what);
    if (!m.no_ack) keep((*found)->shared_from_this(), nullptr, std::move(what));
    return {};
}

result<void> channel::on(const amqp::basic_ack& m) {
    return settle(m.delivery_tag, m.multiple, outcome::ack);
}

result<void> channel::on(const amqp::basic_nack& m) {
    return settle(m.delivery_tag, m.multiple, m.requeue ? outcome::requeue : outcome::reject);
}

result<void> channel::on(const amqp::basic_reject& m) {
    return settle(m.delivery_tag, false, m.requeue ? outcome::requeue : outcome::reject);
}

void channel::settle(unacked_entry& one, outcome how, touched_queues& touched) {
    if (std::exchange(one.settled, true)) return;
    --unacked_count_;
    if (subscription* const who = find(one.subscription)) --who->unacked;
    switch (how) {
        case outcome::ack:
            one.from->ack(one.what);
            break;
        case outcome::requeue:
            one.from->requeue(std::move(one.what));
            break;
        case outcome::give_back:
            one.from->give_back(std::move(one.what));
            break;
        case outcome::reject:
            one.from->reject(std::move(one.what));
            break;
    }
    if (std::ranges::find(touched, one.from) == touched.end()) touched.push_back(one.from);
}

result<channel::range> channel::find_unacked(std::uint64_t tag, bool multiple) const {
    range found{0, unacked_.size()};
    if (multiple && tag == 0) return found;
    const auto at = std::ranges::lower_bound(unacked_, tag, {}, &unacked_entry::tag);
    if (at == unacked_.end() || at->tag != tag || at->settled || at->in_transaction)
        return refuse(reply_code::precondition_failed, "unknown delivery tag " + std::to_string(tag));
    found.end = static_cast<std::size_t>(at - unacked_.begin()) + 1;
    if (!multiple) found.begin = found.end - 1;
    return found;
}

result<void> channel::settle(std::uint64_t tag, bool multiple, outcome how) {
    const auto which = find_unacked(tag, multiple);
    if (!which) return std::unexpected(which.error());
    if (how != outcome::ack)
        for (std::size_t i = which->begin; i < which->end; ++i)
            if (unacked_[i].from->settings().kind == queue_kind::stream && !unacked_[i].settled)
                return refuse(
                    reply_code::not_implemented,
                    "basic.nack and basic.reject not supported by stream queues " + unacked_[i].from->described());
    if (!transaction_) {
        settle_now(*which, how);
        return {};
    }
    // The client has had its say; the commit carries it out, a rollback takes it back.
    for (std::size_t i = which->begin; i < which->end; ++i) {
        unacked_entry& one = unacked_[i];
        if (one.settled || std::exchange(one.in_transaction, true)) continue;
        transaction_->work.push_back({.what = {}, .tag = one.tag, .how = how});
    }
    return {};
}

std::size_t channel::end_postponement(std::uint64_t tag) {
    const auto at = std::ranges::lower_bound(unacked_, tag, {}, &unacked_entry::tag);
    at->in_transaction = false;
    return static_cast<std::size_t>(at - unacked_.begin());
}

void channel::settle_now(range which, outcome how) {
    touched_queues touched;
    std::vector<std::uint64_t> freed;
    // By number: a dead letter may be delivered on this very channel, which makes the list longer.
    for (std::size_t i = which.begin; i < which.end; ++i) {
        if (unacked_[i].settled || unacked_[i].in_transaction) continue;
        const std::uint64_t whose = unacked_[i].subscription;
        if (whose != 0 && (freed.empty() || freed.back() != whose)) freed.push_back(whose);
        settle(unacked_[i], how, touched);
    }
    while (!unacked_.empty() && unacked_.front().settled) unacked_.pop_front();
    if (how == outcome::requeue) deliver_again(touched);
    if (std::exchange(full_, prefetch_ != 0 && unacked_count_ >= prefetch_)) return wake_all();
    for (const std::uint64_t number : freed)
        if (subscription* const who = find(number); who && who->prefetch != 0) who->from->wake(*who);
}

void channel::deliver_again(const touched_queues& touched) {
    for (const auto& one : touched) one->deliver();
}

result<void> channel::recover(bool requeue) {
    if (!requeue) return refuse(reply_code::not_implemented, "requeue=false");
    settle_now({0, unacked_.size()}, outcome::requeue);
    return {};
}

result<void> channel::on(const amqp::basic_recover& m) {
    const auto done = recover(m.requeue);
    if (done) home_.send(number_, amqp::basic_recover_ok{});
    return done;
}

result<void> channel::on(const amqp::basic_recover_async& m) {
    return recover(m.requeue);
}

}  // namespace foz::broker
