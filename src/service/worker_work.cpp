// The life of a request: taken, begun, handled, what it said confirmed, acknowledged.
#include "base/clock.hpp"
#include "base/utf8.hpp"
#include "contract/names.hpp"
#include "service/request_state.hpp"
#include "service/worker_core.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace foz::service {
namespace {

// How long a client's later messages wait for one that failed. It comes back at once, unless a policy makes it a dead
// letter earlier than the channel's settings say.
constexpr std::chrono::milliseconds awaited_at_most{3'000};

const amqp::field_value* header(const amqp::basic_properties& properties, std::string_view name) {
    return properties.headers ? properties.headers->find(name) : nullptr;
}

// Empty when it is missing or not well made: what a service says of it has to be JSON.
std::string text_header(const amqp::basic_properties& properties, std::string_view name) {
    const auto text = amqp::as_string(header(properties, name));
    return text && is_utf8(*text) ? std::string(*text) : std::string();
}

unsigned attempt_of(const amqp::delivery& d) {
    // Quorum queues count; others only tell that it was not the first time.
    const auto before = amqp::as_int64(header(d.properties, "x-delivery-count"));
    if (before && *before > 0) return static_cast<unsigned>(*before) + 1;
    return d.redelivered ? 2 : 1;
}

std::optional<wall_time> deadline_of(const amqp::basic_properties& properties) {
    const auto ms = amqp::as_int64(header(properties, contract::header_deadline));
    if (!ms || *ms < 0 || *ms > unix_ms(wall_time::max()).count()) return std::nullopt;
    return wall_time(std::chrono::milliseconds(*ms));
}

bool is_ours(std::string_view type) {
    return type.starts_with(contract::reserved_type_prefix);
}

}  // namespace

void worker_core::take(consumer& from, const amqp::delivery& d) {
    auto state = std::make_unique<request::state>();
    state->core = this;
    state->from = from.link;
    state->id = d.id;
    state->redelivered = d.redelivered;
    state->attempt = attempt_of(d);
    state->channel = from.channel.name;
    const std::string prefix = state->channel + ".";
    if (d.routing_key.starts_with(prefix)) state->topic = d.routing_key.substr(prefix.size());
    state->client = text_header(d.properties, contract::header_client);
    state->session = text_header(d.properties, contract::header_session);
    state->deadline = deadline_of(d.properties);
    state->progress = d.properties.reply_to.has_value() &&
                      amqp::as_bool(header(d.properties, contract::header_progress)).value_or(false);
    state->properties = d.properties;
    state->body = d.body;
    request_ptr r(new request(std::move(state)));
    if (was_cancelled(*r)) {
        pass_over(*r);
    } else {
        waiting_.push_back(std::move(r));
    }
    start_work();
}

void worker_core::start_work() {
    for (auto at = waiting_.begin(); at != waiting_.end() && !alone_ && working_ < options_.concurrency;) {
        if (!may_begin(**at)) {
            ++at;
            continue;
        }
        // A message that came back may be the one that killed its worker: nothing else is at stake while it runs.
        const bool must_be_alone = may_have_killed(**at);
        if (must_be_alone && working_ > 0) return;
        alone_ = must_be_alone;
        begin(std::move(*at));
        at = waiting_.erase(at);
    }
}

bool worker_core::may_begin(const request& r) const {
    const consumer& from = consumer_of(r);
    if (!from.ordered() || r.client().empty()) return true;
    const auto at = from.lanes.find(r.client());
    if (at == from.lanes.end()) return true;
    const lane& one = at->second;
    if (one.busy) return false;
    return !one.awaited || (r.redelivered() && r.message_id() == *one.awaited) ||
           home_.time().now() >= one.awaited_until;
}

void worker_core::begin(request_ptr r) {
    ++working_;
    consumer& from = consumer_of(*r);
    if (from.ordered() && !r->client().empty()) from.lanes[r->state_->client] = {.busy = true};
    if (!r->message_id().empty()) running_[std::string(r->message_id())] = r->state_->cancelled;
    handling_.hand_in([this, r = std::move(r)]() mutable {
        const bool failed = !handle(*r);
        home_.post([this, r = std::move(r), failed]() mutable { on_worked(std::move(r), failed); });
    });
}

worker_core::consumer& worker_core::consumer_of(const request& r) const {
    return **std::find_if(consumers_.begin(), consumers_.end(),
                          [&](const auto& c) { return c->channel.name == r.channel(); });
}

const handler* worker_core::handler_for(const request& r) const {
    const auto& handlers = consumer_of(r).handlers;
    auto work = handlers.find(r.type());
    // What the aggregator tells about clients is for those who know it: not for a handler of whatever clients send.
    if (work == handlers.end() && !is_ours(r.type())) work = handlers.find("");
    return work == handlers.end() ? nullptr : &work->second;
}

// True: done with, answered or refused.
bool worker_core::handle(request& r) {
    request::state& s = *r.state_;
    try {
        const handler* const work = handler_for(r);
        if (!work) {
            if (r.type() == contract::type_opened || r.type() == contract::type_closed) return true;
            throw error("unknown_type", "no handler takes this type of message");
        }
        if (r.message_id().empty()) {
            run_handler(r, *work);
            return true;
        }
        bool ran = false;
        const dedupe_store::memory memory = store_->once(s.key(), [&] {
            ran = true;
            run_handler(r, *work);
            return encode(s.out);
        });
        s.remembered = true;
        if (ran) return true;
        auto known = decode_outbox(memory.outbox);
        if (!known) throw std::runtime_error("what the store remembers of it can't be read");
        s.out = *std::move(known);
        // What the broker has is not said again: long after it, aggregators and clients would not know the repetition.
        if (memory.sent) s.out.keep_reply_alone();
        return true;
    } catch (const error& refusal) {
        r.reply_error(refusal.code(), refusal.what());
        return true;
    } catch (const std::exception& failure) {
        notice("handler of " + s.channel + " failed on " + std::string(r.message_id()) + ": " + failure.what());
        return false;
    } catch (...) {
        notice("handler of " + s.channel + " failed on " + std::string(r.message_id()));
        return false;
    }
}

void worker_core::run_handler(request& r, const handler& work) {
    const request::state& s = *r.state_;
    if (s.progress) {
        amqp::publication taken = s.lifecycle(s.fresh("null"), contract::type_taken);
        if (!taken.properties.headers) taken.properties.headers.emplace();
        taken.properties.headers->set(contract::header_attempt, s.attempt);
        publish_now(std::move(taken));
    }
    work(r);
}

// On a durable channel a stream takes it, or will in a moment: what no queue has taken is not said yet. On a volatile
// one nobody may be there to hear it.
void worker_core::publish(amqp::publication p, steady_time deadline, amqp::on_outcome done) {
    p.mandatory = contract::stream_of(options_.channels, p.exchange, p.routing_key) != nullptr;
    out_.publish(std::move(p), deadline, std::move(done));
}

void worker_core::publish(amqp::publication p, std::move_only_function<void(amqp::outcome, bool)> then) {
    publish(std::move(p), home_.time().now() + options_.confirm_timeout,
            [then = std::move(then)](amqp::outcome result) mutable {
                // What can't be encoded would fail in the same way the next time.
                then(result, result == amqp::outcome::confirmed || result == amqp::outcome::invalid);
            });
}

void worker_core::publish_now(amqp::publication p, std::shared_ptr<std::atomic<bool>> lost) {
    home_.post([this, p = std::move(p), lost = std::move(lost)]() mutable {
        publish(std::move(p), [lost = std::move(lost)](amqp::outcome, bool good) {
            if (lost && !good) *lost = true;
        });
    });
}

std::optional<std::string> worker_core::ask(amqp::publication question, std::chrono::milliseconds within) {
    return asker_.ask(std::move(question), within);
}

void worker_core::on_worked(request_ptr done, bool failed) {
    if (failed) return finish(std::move(done), false);
    auto said = done->state_->take_said();
    publish_all(std::move(said), [this, done = std::move(done)](bool good) mutable {
        // Parts were published before: their outcomes are known by now.
        good = good && !*done->state_->parts_lost;
        good ? tell_done(std::move(done)) : finish(std::move(done), false);
    });
}

// What a handler has said, on its way to the broker.
struct worker_core::saying {
    std::vector<amqp::publication> all;
    std::move_only_function<void(bool)> then;
    std::size_t next = 0;       // to be published
    std::size_t under_way = 0;  // not confirmed yet
    bool good = true;
};

void worker_core::publish_all(std::vector<amqp::publication> said, std::move_only_function<void(bool)> then) {
    go_on(std::make_shared<saying>(saying{.all = std::move(said), .then = std::move(then)}));
}

// In the order of speaking: what goes out on another AMQP channel waits until what was said before it is confirmed.
void worker_core::go_on(const std::shared_ptr<saying>& what) {
    if (what->next == what->all.size() || !what->good) return what->then(what->good);
    const std::size_t begin = what->next;
    const amqp::publisher* const to = &out_.of(what->all[begin]);
    while (what->next < what->all.size() && &out_.of(what->all[what->next]) == to) ++what->next;
    const std::size_t end = what->next;
    what->under_way = end - begin;
    for (std::size_t i = begin; i < end; ++i)
        publish(std::move(what->all[i]), [this, what](amqp::outcome result, bool good) {
            if (result == amqp::outcome::confirmed) ++counters_.published;
            if (result == amqp::outcome::invalid) notice("a message does not fit AMQP: a topic or type is too long");
            what->good = what->good && good;
            if (--what->under_way == 0) go_on(what);
        });
}

// A caller who hears of progress and gets no reply is told that it is over.
void worker_core::tell_done(request_ptr done) {
    const request::state& s = *done->state_;
    if (!s.progress || s.out.reply) return settle(std::move(done));
    std::vector<amqp::publication> end;
    end.push_back(s.lifecycle(s.derived("null", "done"), contract::type_done));
    publish_all(std::move(end), [this, done = std::move(done)](bool good) mutable {
        good ? settle(std::move(done)) : finish(std::move(done), false);
    });
}

void worker_core::settle(request_ptr done) {
    if (!done->state_->remembered) return finish(std::move(done), true);
    // On a handler's thread: the store may wait for a disk, or for a handler that holds it.
    handling_.hand_in([this, done = std::move(done)]() mutable {
        try {
            store_->sent(done->state_->key());
        } catch (const std::exception& failure) {
            notice(std::string("the dedupe store: ") + failure.what());  // it is published all the same
        }
        home_.post([this, done = std::move(done)]() mutable { finish(std::move(done), true); });
    });
}

void worker_core::finish(request_ptr done, bool confirmed) {
    const request::state& s = *done->state_;
    --working_;
    alone_ = false;
    if (const auto at = running_.find(done->message_id()); at != running_.end() && at->second == s.cancelled)
        running_.erase(at);
    if (confirmed) {
        s.from->ack(s.id);
        ++counters_.handled;
        if (s.refused) ++counters_.refused;
        leave_lane(*done, false);
    } else if (*s.cancelled && s.from->holds(s.id)) {
        pass_over(*done);
        leave_lane(*done, false);
    } else if (draining_ || !s.from->holds(s.id)) {
        return_to_queue(*done);
    } else {
        hold(std::move(done));  // the client's later messages on a channel whose order is by client wait, too
    }
    start_work();
}

void worker_core::return_to_queue(const request& r) {
    r.state_->from->nack(r.state_->id, true);
    ++counters_.requeued;
    leave_lane(r, true);
}

void worker_core::leave_lane(const request& r, bool failed) {
    consumer& from = consumer_of(r);
    if (!from.ordered() || r.client().empty()) return;
    const std::int32_t limit = from.channel.delivery_limit;
    const bool comes_back = failed && (limit < 0 || r.attempt() <= static_cast<unsigned>(limit));
    from.lanes.erase(r.state_->client);
    if (!comes_back) return;
    if (draining_) return return_waiting(from, r.client());
    from.lanes[r.state_->client] = {.awaited = std::string(r.message_id()),
                                    .awaited_until = home_.time().now() + awaited_at_most};
    awaited_timer_.start(home_.wheel(), awaited_at_most);
}

// They go back to the queue when the channel closes, behind what they wait for.
void worker_core::return_waiting(const consumer& of, std::string_view client) {
    std::erase_if(waiting_, [&](const request_ptr& r) { return &consumer_of(*r) == &of && r->client() == client; });
}

}  // namespace foz::service
