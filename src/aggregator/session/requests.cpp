#include "aggregator/session/requests.hpp"

#include "base/planted.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::size_t waiters_max = 8;  // resends of one id that wait at once

bool final(error_code code) {
    return !retryable(code);
}

client_error error_from(const entry_answer& answer) {
    const auto code = spec::parse_error_code(answer.code).value_or(error_code::dead_lettered);
    if (code == error_code::timeout) return {code, "no service took the request in time"};
    if (code == error_code::bad_answer) return {code, "the service's answer can't be passed on: " + answer.body};
    return {.code = code, .message = "the service could not handle the request", .dead_letter = answer.dead_letter};
}

}  // namespace

// A request that something comes back to, and its patience.
struct requests::open_request {
    open_request(requests& o, std::shared_ptr<request> r) : owner(o), what(std::move(r)) { owner.join_line(*this); }
    ~open_request() { owner.leave_line(*this); }
    requests& owner;
    const std::shared_ptr<request> what;
    std::uint64_t number = 0;  // in the order of their beginning
    open_request* before = nullptr;
    open_request* after = nullptr;
    net::wheel_timer timer{this, [](open_request& self) { self.owner.on_timeout(std::shared_ptr(self.what)); }};
};

requests::requests(request_listener& listener, const clock& time, net::timing_wheel& wheel,
                   const session_settings& config)
    : listener_(listener), time_(time), wheel_(wheel), config_(config) {}
requests::~requests() = default;

bool requests::resend(const std::string& id_key, const waiter& who) {
    if (const auto known = outcomes_.find(id_key); known != outcomes_.end()) {
        tell(who, known->second);
        return true;
    }
    const auto open = open_ids_.find(id_key);
    if (open == open_ids_.end()) return false;
    request& what = *open->second;
    auto& waiters = what.waiters;
    if (waiters.size() == waiters_max)
        std::erase_if(waiters, [&](const waiter& one) {
            const bool gone = !listener_.is_open(one.session);
            if (gone && what.owed) listener_.on_owed(one.session, false);
            return gone;
        });
    if (waiters.size() < waiters_max) {
        waiters.push_back(who);
        if (what.owed) listener_.on_owed(who.session, true);
    } else {
        listener_.on_refused(error_code::overloaded);
        tell(who, to_json({error_code::overloaded, "too many requests wait for the outcome of this id"}, who.context));
    }
    return true;
}

bool requests::cancel(const std::string& id_key, const std::string& key, const waiter& who) {
    if (const auto known = outcomes_.find(id_key); known != outcomes_.end()) {
        tell(who, known->second);
        return false;
    }
    const client_error error{error_code::cancelled, "the client has cancelled it"};
    const auto open = open_ids_.find(id_key);
    if (open == open_ids_.end()) {
        remember(id_key, to_json(error, {.id = who.context.id}));
        remember_ended(key);
        tell(who, to_json(error, who.context));
        return true;
    }
    const auto what = open->second;
    const bool told = std::ranges::any_of(what->waiters, [&](const waiter& one) {
        return one.session == who.session && one.context.request_id == who.context.request_id;
    });
    if (!told) tell(who, to_json(error, who.context));
    what->cancelled = true;
    fail(what, error);
    return true;
}

void requests::begin(const std::shared_ptr<request>& what, std::chrono::milliseconds patience) {
    if (!what->id_key.empty()) open_ids_[what->id_key] = what;
    if (planted(bug::receipt_before_confirm)) confirmed(what);
    if (what->key.empty()) return weigh(*what);
    // The same responder id again, without an id of its own: the one answer goes to who asked last.
    if (const auto before = open_.find(what->key); before != open_.end()) end(std::shared_ptr(before->second->what));
    const auto at = open_.emplace(what->key, std::make_unique<open_request>(*this, what)).first;
    what->patience = patience;
    if (!planted(bug::time_out_forgotten)) at->second->timer.start(wheel_, patience);
    if (!what->counted_for.empty()) ++waiting_[what->counted_for];
    // Progress alone is not waited for: it may never come.
    what->awaited = what->ack == envelope::ack_mode::answer || what->join.has_value();
    awaited_ += what->awaited;
    weigh(*what);
}

void requests::weigh(request& what) {
    const bool owed = what.awaited || what.unconfirmed > 0;
    if (std::exchange(what.owed, owed) == owed) return;
    for (const waiter& who : what.waiters) listener_.on_owed(who.session, owed);
    if (what.join) listener_.on_owed(what.join->session, owed);
}

publish_ticket requests::await_outcome(const std::shared_ptr<request>& what) {
    ++what->unconfirmed;
    unconfirmed_.emplace(++last_ticket_, what);
    return last_ticket_;
}

void requests::on_outcome(publish_ticket ticket, amqp::outcome result) {
    const auto at = unconfirmed_.find(ticket);
    assert(at != unconfirmed_.end() && "an outcome comes once");
    if (at == unconfirmed_.end()) return;
    const auto what = std::move(at->second);
    unconfirmed_.erase(at);
    if (auto error = error_of(result); error && !what->error) what->error = std::move(error);
    assert(what->unconfirmed > 0);
    if (--what->unconfirmed > 0) return;
    weigh(*what);
    if (what->cancelled) return;
    if (!what->error || (what->taken && what->ack == envelope::ack_mode::confirmed)) return confirmed(what);
    // An answer may have come all the same when the outcome is unknown: then nobody is waiting any more.
    const auto open = open_.find(what->key);
    if (!what->key.empty() && (open == open_.end() || open->second->what != what)) return;
    fail(what, *what->error);
}

void requests::confirmed(const std::shared_ptr<request>& what) {
    if (what->progress) tell_progress(*what, envelope::progress_state::confirmed, 0);
    if (what->ack == envelope::ack_mode::answer || what->join) return;
    const auto receipt = [](const reply_context& context) {
        const bool nameless = context.id.empty() && context.request_id.empty();
        std::string json;
        envelope::append(json, envelope::receipt_event{.id = context.id,
                                                       .frame = nameless ? std::optional(context.frame) : std::nullopt,
                                                       .warnings = context.warnings});
        return json;
    };
    for_each_listener(*what, [&](const waiter& who) {
        if (who.ack != envelope::ack_mode::none) tell(who, receipt(who.context));
    });
    if (what->id_key.empty()) return;
    remember(what->id_key, receipt({.id = what->waiters.front().context.id}));
    open_ids_.erase(what->id_key);  // what follows, if anything, is progress
}

std::string requests::key_of(std::size_t channel, const contract::correlation& to) {
    return std::to_string(channel) + '\n' + contract::to_string(to);
}

std::string requests::id_key_of(std::size_t channel, const client_id& client, std::string_view device,
                                std::string_view id) {
    return std::to_string(channel)
        .append("\n")
        .append(client.view())
        .append("\n")
        .append(device)
        .append("\n")
        .append(id);
}

bool requests::take(const entry& item) {
    const entry_answer& answer = *item.answer;
    const std::string key = key_of(item.channel, answer.to);
    const auto at = open_.find(key);
    if (at == open_.end()) return ended_.contains(key);
    const auto what = at->second->what;
    what->taken = true;
    using kind = entry_answer::kind;
    switch (answer.what) {
        case kind::taken:
            tell_progress(*what,
                          answer.attempt > 1 ? envelope::progress_state::retrying : envelope::progress_state::taken,
                          answer.attempt);
            return true;
        case kind::extend: {
            const auto left = answer.deadline - unix_ms(time_.wall_now());
            if (left.count() > 0) at->second->timer.start(wheel_, left);
            return true;
        }
        case kind::part:
            // A sign of life: the caller's patience begins anew.
            at->second->timer.start(wheel_, what->patience);
            if (!what->join)
                tell_event(*what,
                           render_part(config_.channels[item.channel].name, item, what->waiters.front().context.id));
            return true;
        case kind::done:
            tell_progress(*what, envelope::progress_state::done, 0);
            // A request still awaits its answer, which the service may owe it.
            if (what->ack != envelope::ack_mode::answer) end(what);
            return true;
        case kind::error: {
            using state = envelope::progress_state;
            const client_error error = error_from(answer);
            tell_progress(*what, error.code == error_code::bad_answer ? state::done : state::dead_lettered, 0);
            if (what->ack == envelope::ack_mode::answer || what->join) {
                fail(what, error);
            } else {
                end(what);
            }
            return true;
        }
        case kind::answer:
        case kind::service_error:
            break;
    }
    answered(what, answer);
    return true;
}

void requests::answered(const std::shared_ptr<request>& what, const entry_answer& answer) {
    end(what);
    if (what->join) return listener_.on_join(*what->join, &answer, nullptr);
    for_each_listener(*what, [&](const waiter& who) {
        if (who.ack == envelope::ack_mode::answer) tell(who, render(answer, who.context));
    });
    tell_progress(*what, envelope::progress_state::done, 0);
    if (!what->id_key.empty()) remember(what->id_key, render(answer, {.id = what->waiters.front().context.id}));
}

bool requests::waits_for(std::size_t channel, const entry_answer& answer) const {
    return open_.contains(key_of(channel, answer.to));
}

std::size_t requests::waiting(const client_id& client) const {
    const auto at = waiting_.find(client);
    return at == waiting_.end() ? 0 : at->second;
}

bool requests::interrupt(std::size_t channel) {
    if (channel >= lines_.size() || !lines_[channel].first) return false;
    lines_[channel].cut_to = begun_;
    return true;
}

bool requests::fail_interrupted(std::size_t budget) {
    for (line& of : lines_) {
        while (of.first && of.first->number <= of.cut_to) {
            if (budget-- == 0) return true;
            fail(std::shared_ptr(of.first->what),
                 {error_code::interrupted,
                  "the way back to the service was cut; it may or may not have handled the request"});
        }
    }
    return false;
}

void requests::join_line(open_request& one) {
    if (one.what->channel >= lines_.size()) lines_.resize(one.what->channel + 1);
    line& of = lines_[one.what->channel];
    one.number = ++begun_;
    one.before = of.last;
    (of.last ? of.last->after : of.first) = &one;
    of.last = &one;
}

void requests::leave_line(open_request& one) {
    line& of = lines_[one.what->channel];
    (one.before ? one.before->after : of.first) = one.after;
    (one.after ? one.after->before : of.last) = one.before;
}

void requests::on_timeout(const std::shared_ptr<request>& what) {
    if (what->ack != envelope::ack_mode::answer && !what->join) return end(what);  // progress that nobody makes
    fail(what, {error_code::timeout, "the service did not answer in time"});
}

void requests::end(const std::shared_ptr<request>& what) {
    if (!what->id_key.empty()) open_ids_.erase(what->id_key);
    awaited_ -= std::exchange(what->awaited, false);
    weigh(*what);
    if (what->key.empty() || open_.erase(what->key) == 0) return;
    if (!what->counted_for.empty()) {
        const auto count = waiting_.find(what->counted_for);
        assert(count != waiting_.end() && count->second > 0);
        if (--count->second == 0) waiting_.erase(count);
    }
    remember_ended(what->key);
}

void requests::remember_ended(const std::string& key) {
    if (!ended_.insert(key).second) return;
    ended_order_.push_back(key);
    if (ended_order_.size() <= config_.outcomes_max) return;
    ended_.erase(ended_order_.front());
    ended_order_.pop_front();
}

void requests::fail(const std::shared_ptr<request>& what, const client_error& error) {
    end(what);
    if (what->join) return listener_.on_join(*what->join, nullptr, &error);
    listener_.on_refused(error.code);
    for_each_listener(*what, [&](const waiter& who) { tell(who, to_json(error, who.context)); });
    if (what->id_key.empty() || !final(error.code)) return;
    remember(what->id_key, to_json(error, {.id = what->waiters.front().context.id}));
}

// A socket that has gone is left out when the same was asked on another one, too.
void requests::for_each_listener(const request& what, const std::function<void(const waiter&)>& work) const {
    for (const waiter& who : what.waiters) {
        const bool gone = !listener_.is_open(who.session);
        const auto stands_in = [&](const waiter& other) {
            return other.context.request_id == who.context.request_id &&
                   (listener_.is_open(other.session) || &other < &who);
        };
        if (!gone || std::ranges::none_of(what.waiters, stands_in)) work(who);
    }
}

// When the socket has gone, the client's others are told: Primus comes back by itself, primus-responder and whoever
// knows the message's id still wait, and whoever does not know them ignores it.
void requests::tell(const waiter& who, const std::string& json) {
    if (listener_.is_open(who.session) || planted(bug::answer_to_gone_socket))
        return listener_.respond(who.session, who.context, json);
    if (who.context.request_id.empty() && who.context.id.empty()) return;
    listener_.respond_to_all(who.client, who.context, json);
}

void requests::tell_progress(request& what, envelope::progress_state state, std::uint64_t attempt) {
    using enum envelope::progress_state;
    if (!what.progress) return;
    // A service may be faster than the broker's confirm: what it has begun with has been confirmed.
    const auto event = [&](envelope::progress_state which) {
        std::string json;
        envelope::append(
            json, envelope::progress_event{.id = what.waiters.front().context.id,
                                           .state = which,
                                           .attempt = which == retrying ? std::optional(attempt) : std::nullopt});
        return json;
    };
    if (!std::exchange(what.told_confirmed, true)) {
        if (state != confirmed) tell_event(what, event(confirmed));
    } else if (state == confirmed) {
        return;
    }
    tell_event(what, event(state));
}

void requests::tell_event(const request& what, const std::string& json) {
    if (json.empty()) return;
    // No answer: it comes as a plain event, once on each socket that waits; when all have gone, on the client's others.
    std::vector<member> told;
    for (const waiter& who : what.waiters) {
        if (!listener_.is_open(who.session) || std::ranges::find(told, who.session) != told.end()) continue;
        told.push_back(who.session);
        listener_.respond(who.session, {}, json);
    }
    const waiter& first = what.waiters.front();
    if (told.empty()) listener_.respond_to_all(first.client, {.device = first.context.device}, json);
}

void requests::remember(const std::string& id_key, std::string json) {
    const auto [at, fresh] = outcomes_.try_emplace(id_key, std::move(json));
    if (!fresh) return;
    outcome_bytes_ += at->second.size();
    outcome_order_.push_back(id_key);
    while (!outcome_order_.empty() &&
           (outcomes_.size() > (planted(bug::outcome_forgotten) ? 0 : config_.outcomes_max) ||
            outcome_bytes_ > config_.kept_answer_bytes_max / 4)) {
        const auto oldest = outcomes_.find(outcome_order_.front());
        outcome_bytes_ -= oldest->second.size();
        outcomes_.erase(oldest);
        outcome_order_.pop_front();
    }
}

std::string requests::render_part(std::string_view channel, const entry& item, std::string_view id) {
    std::string json;
    if (id.empty()) return json;
    envelope::append(json, envelope::part_event{.channel = channel,
                                                .id = id,
                                                .attempt = item.answer->attempt,
                                                .seq = item.answer->seq,
                                                .where = item.where,
                                                .message = item.answer->body});
    return json;
}

std::string requests::render(const entry_answer& answer, const reply_context& context) {
    std::string json;
    if (answer.what == entry_answer::kind::error) return to_json(error_from(answer), context);
    if (answer.what == entry_answer::kind::answer) {
        envelope::append(
            json, envelope::answer_event{.id = context.id, .message = answer.body, .warnings = context.warnings});
    } else {
        envelope::append(json, envelope::error_event{.code = to_string(error_code::service),
                                                     .message = "the service answered with an error",
                                                     .id = context.id,
                                                     .service_code = answer.code,
                                                     .service = answer.body});
    }
    return json;
}

}  // namespace foz::aggregator
