#include "aggregator/session/hub.hpp"

#include "aggregator/session/event_frame.hpp"
#include "base/planted.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace foz::aggregator {
namespace {

// How often those are looked for that are to be told their position.
constexpr std::chrono::milliseconds position_look{1000};
// When a client has come again, its other sockets have so long to give a sign of life. They are asked a little later,
// once for all its sockets that come meanwhile.
constexpr std::chrono::milliseconds sign_of_life_within{1000};
constexpr std::chrono::milliseconds ask_after{200};
// What is joined for the sockets at most; a small part of what may wait for one of them.
constexpr std::size_t run_octets_max = 64 * 1024;
// What one portion of work over many sessions may do, so that nobody waits long for it.
constexpr std::size_t sessions_per_portion = 256;
constexpr std::size_t entries_per_portion = 1'024;
constexpr std::size_t requests_per_portion = 256;
constexpr std::size_t blocks_per_portion = 2;
constexpr std::size_t answers_per_portion = 512;
// Of rates, each time that positions are looked at.
constexpr std::size_t accounts_per_look = 4'096;

// A session is told its position before it is a fifth of what a resume may read behind.
std::uint64_t position_entries(const session_settings& config) {
    return std::clamp<std::uint64_t>(config.resume_entries_max / 10, 1, config.position_entries);
}

}  // namespace

std::optional<std::size_t> session_context::channel_index(std::string_view name) const {
    const auto at = std::ranges::find(config.channels, name, &contract::channel_settings::name);
    if (at == config.channels.end()) return std::nullopt;
    return static_cast<std::size_t>(at - config.channels.begin());
}

bool session_context::no_service(std::size_t index, bool fail_fast) const {
    const auto& since = channels[index].no_service_since;
    if (!since) return false;
    return fail_fast || time.now() - *since >= config.channels[index].no_service_after;
}

void session_context::publish(std::size_t index, const client_id& client, amqp::publication message,
                              publish_ticket ticket) {
    ++counters.published;
    out.publish(index, client, std::move(message), ticket, time.now() + config.publish_timeout);
}

hub::hub(const session_settings& config, surroundings around)
    : shared_{.config = config,
              .time = around.time,
              .wheel = around.wheel,
              .random = around.random,
              .shard = around.shard,
              .out = around.out,
              .unnamed = client_rights{.channels = default_rights(config.channels)},
              .revoked = {},
              .names = directory(around.hash_seed),
              .channels = {},
              .asked = {*this, around.time, around.wheel, config},
              .asked_of_clients = questions(),
              .rates = {config, around.hash_seed},
              .slowed = {around.wheel, around.time, [this](member who) { on_rate_room(who); }},
              .packets = {},
              .envelopes = {},
              .counters = {},
              .resuming = {}},
      run_(std::min(run_octets_max, config.queue_bytes_max / 8)),
      unheard_(config.kept_answer_bytes_max / 4) {
    position_stride_ = std::max<std::uint64_t>(1, position_entries(config) / 64);
    for (std::size_t i = 0; i < config.channels.size(); ++i)
        shared_.channels.emplace_back(shared_.names, config.recent_bytes_max, position_entries(config),
                                      config.position_interval);
}

hub::~hub() = default;

void hub::start() {
    position_timer_.start(shared_.wheel, position_look);
}

void hub::stop() {
    hand_out();
    life_timer_.cancel();
    position_timer_.cancel();
    departure_timer_.cancel();
    shared_.slowed.stop();
}

session* hub::find(member who) const {
    session* const one = slots_[who.slot].get();
    return one && one->self() == who ? one : nullptr;
}

member hub::opened(session_options options) {
    const member self{.slot = slots_.next(), .generation = ++generations_};
    shared_.names.add(self, options.client, options.id);
    slots_.put(std::make_unique<session>(shared_, self, std::move(options)));
    return self;
}

bool hub::has_enough_sockets(const client_id& client, const client_limits* own) const {
    const std::size_t limit = (own ? *own : shared_.config.client).connections;
    return limit > 0 && shared_.names.members_of(client.view()) >= limit;
}

void hub::begin(member who) {
    hand_out();
    if (session* const one = find(who)) {
        const client_id client(std::string(one->client()));
        if (shared_.names.members_of(client.view()) > 1 && has_come_again_.insert(client).second)
            expect_life(to_ask_, client, ask_after);
        one->on_open();
        tell_again(*one, unheard_.find(client));
        if (drains_) send_away(*one, {});
    }
    settle_joins();
}

void hub::tell_again(session& to, const unheard_answers* unheard) {
    if (!unheard) return;
    for (const told_answer& one : unheard->all()) {
        ++shared_.counters.answers_again;
        to.tell_again(one);
    }
}

std::size_t hub::pass_unheard(session& from) {
    if (!from.unheard() || planted(bug::answer_to_gone_socket)) return 0;
    const unheard_answers unheard = from.take_unheard();
    session* const newest = newest_beside(from);
    if (newest && newest != &from) tell_again(*newest, &unheard);
    const client_id client(std::string(from.client()));
    for (const told_answer& one : unheard.all()) keep_for(client, one);
    return unheard.all().size();
}

// For the sockets with which the client comes: here, or, when nobody is to come here any more, elsewhere.
void hub::keep_for(const client_id& client, const told_answer& what) {
    unheard_.add(client, what, shared_.time.now());
    if (drains_) shared_.out.tell_elsewhere(client, what);
}

// Its other sockets may come yet.
void hub::told_elsewhere(const client_id& client, const told_answer& what) {
    shared_.names.each_of(client.view(), [&](member who) {
        session* const one = find(who);
        if (!one || one->closing()) return;
        ++shared_.counters.answers_again;
        one->tell_again(what);
    });
    if (!drains_) unheard_.add(client, what, shared_.time.now());
}

void hub::tell_presence_again() {
    presence_round_ = 0;
    shared_.out.want_work();
}

bool hub::say_presence(std::size_t budget) {
    if (!presence_round_) return false;
    for (; *presence_round_ < slots_.extent(); ++*presence_round_) {
        if (budget-- == 0) return true;
        if (session* const one = slots_[*presence_round_].get()) one->tell_presence_again();
    }
    presence_round_.reset();
    return false;
}

void hub::on_text(member who, std::string_view text) {
    hand_out();
    if (session* const one = find(who)) {
        one->on_text(text);
        if (one->may_leave()) settled_.push_back(who);  // it may have answered what it was asked
    }
    if (!settled_.empty()) shared_.out.want_work();
    settle_joins();
}

void hub::on_violation(member who) {
    hand_out();
    if (session* const one = find(who)) one->on_violation();
}

void hub::on_drained(member who) {
    hand_out();
    if (session* const one = find(who)) one->on_drained();
}

void hub::on_still_blocked(member who) {
    hand_out();
    if (session* const one = find(who)) one->on_still_blocked();
}

void hub::closed(member who, bool clean) {
    session* const one = find(who);
    if (!one) return;
    hand_out();
    // Who was sent away and has said so has heard everything.
    if (clean && one->closing()) one->take_unheard();
    one->on_closed();
    pass_unheard(*one);
    shared_.names.remove(who);
    slots_.take(who.slot);
}

void hub::on_outcome(publish_ticket ticket, amqp::outcome result) {
    shared_.asked.on_outcome(ticket, result);
    settle_joins();
}

void hub::on_room(const client_id& client) {
    shared_.names.each_of(client.view(), [&](member who) {
        if (session* const one = find(who)) one->on_room();
    });
}

void hub::on_rate_room(member who) {
    if (session* const one = find(who)) one->on_rate_room();
}

void hub::on_page(const reading_id& which, page next_page) {
    hand_out();
    const member who{.slot = static_cast<std::uint32_t>(which.session),
                     .generation = static_cast<std::uint32_t>(which.session >> 32)};
    session* const one = find(who);
    if (!one) return shared_.out.page_taken(which, false);
    one->on_page(which, std::move(next_page));
}

void hub::set_reply_queue(std::size_t channel, const std::string& queue) {
    shared_.channels[channel].reply_queue = queue;
}

void hub::set_service(std::size_t channel, bool there) {
    auto& since = shared_.channels[channel].no_service_since;
    if (there) {
        since.reset();
    } else if (!since) {
        since = shared_.time.now();
    }
}

void hub::interrupt(std::size_t channel) {
    hand_out();
    shared_.channels[channel].reply_queue.clear();
    if (shared_.asked.interrupt(channel)) shared_.out.want_work();
}

bool hub::work() {
    hand_out();
    bool more = shared_.asked.fail_interrupted(requests_per_portion);
    // Who is closed because the drain is over has been told before what fails with it.
    if (!more || !drain_over_) more |= go_round(sessions_per_portion);
    more |= let_go(sessions_per_portion);
    more |= go_on_resuming(entries_per_portion);
    more |= tell_positions(sessions_per_portion);
    more |= ask_for_life(sessions_per_portion);
    more |= pass_on(answers_per_portion);
    more |= discard(blocks_per_portion);
    more |= say_presence(sessions_per_portion);
    more |= go_on_revoking(sessions_per_portion);
    settle_joins();
    return more || !shared_.resuming.empty();
}

// Once for each client, however many sockets it opens meanwhile.
void hub::expect_life(std::deque<life_round>& rounds, const client_id& client, std::chrono::milliseconds within) {
    const steady_time due = shared_.time.now() + within;
    rounds.push_back({client, due});
    if (!life_timer_.active() || due < life_due_) start_life_timer(due);
}

void hub::start_life_timer(steady_time due) {
    life_due_ = due;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - shared_.time.now());
    life_timer_.start(shared_.wheel, std::max(left, std::chrono::milliseconds(1)));
}

void hub::on_life_timer() {
    const steady_time now = shared_.time.now();
    while (!to_ask_.empty() && to_ask_.front().due <= now) {
        const client_id client = std::move(to_ask_.front().client);
        to_ask_.pop_front();
        has_come_again_.erase(client);
        const auto newest = shared_.names.newest_of(client.view());
        shared_.names.each_of(client.view(), [&](member who) {
            if (who != newest) to_be_asked_.push_back(who);
        });
        expect_life(to_check_, client, sign_of_life_within);
    }
    while (!to_check_.empty() && to_check_.front().due <= now) {
        check_life(to_check_.front().client);
        to_check_.pop_front();
    }
    if (!to_be_asked_.empty() || !to_pass_.empty()) shared_.out.want_work();
    if (to_ask_.empty() && to_check_.empty()) return;
    const steady_time next = to_ask_.empty()     ? to_check_.front().due
                             : to_check_.empty() ? to_ask_.front().due
                                                 : std::min(to_ask_.front().due, to_check_.front().due);
    start_life_timer(next);
}

// What older sockets were told that have shown no life may have gone into nothing, as with a phone that has changed
// networks.
void hub::check_life(const client_id& client) {
    session* const newest = newest_of(client.view());
    if (!newest) return;
    shared_.names.each_of(client.view(), [&](member who) {
        session* const older = find(who);
        if (older && older != newest && older->unheard() && shared_.out.silent(who, sign_of_life_within))
            to_pass_.push_back(who);
    });
}

bool hub::pass_on(std::size_t budget) {
    while (!to_pass_.empty() && budget > 0) {
        session* const one = find(to_pass_.front());
        to_pass_.pop_front();
        if (one) budget -= std::min(budget, 1 + pass_unheard(*one));
    }
    return !to_pass_.empty();
}

bool hub::ask_for_life(std::size_t budget) {
    for (; !to_be_asked_.empty() && budget > 0; --budget) {
        if (session* const one = find(to_be_asked_.front())) one->ping();
        to_be_asked_.pop_front();
    }
    return !to_be_asked_.empty();
}

// Freeing what a large ring held takes its time.
bool hub::discard(std::size_t budget) {
    for (; !discarded_.empty() && budget > 0; --budget) discarded_.pop_front();
    return !discarded_.empty();
}

// One session after the other, each for a part of the budget: nobody's past keeps anybody else waiting.
bool hub::go_on_resuming(std::size_t budget) {
    constexpr std::size_t entries_per_session = 128;
    for (std::size_t turns = shared_.resuming.size(); turns > 0 && budget > 0; --turns) {
        const auto [who, channel] = shared_.resuming.front();
        shared_.resuming.pop_front();
        session* const one = find(who);
        if (!one) continue;
        std::size_t part = std::min(budget, entries_per_session);
        budget -= part;
        one->go_on(channel, part);
        budget += part;  // what it did not need
    }
    return !shared_.resuming.empty();
}

bool hub::tell_positions(std::size_t budget) {
    hand_out();
    bool more = false;
    const steady_time now = shared_.time.now();
    for (std::size_t i = 0; i < shared_.channels.size(); ++i) {
        channel& on = shared_.channels[i];
        if (!on.where) continue;
        frame_ref frame;  // the same for all
        more |= on.positions.tell_due(on.entries, now, budget, [&](member who) {
            session* const one = find(who);
            if (!one) return;
            if (!frame)
                frame = event_frame(
                    envelope::position_event{.channel = shared_.config.channels[i].name, .where = *on.where});
            one->tell_position(i, frame);
        });
    }
    return more;
}

void hub::on_position_interval() {
    unheard_.expire(shared_.time.now());
    shared_.rates.sweep(shared_.time.now(), accounts_per_look);
    if (tell_positions(sessions_per_portion)) shared_.out.want_work();
    position_timer_.start(shared_.wheel, position_look);
}

bool hub::is_open(member who) const {
    const session* const one = find(who);
    return one && !one->closing();
}

void hub::respond(member who, const reply_context& context, std::string_view json) {
    session* const one = find(who);
    if (!one) return;
    if (one->closing()) {
        if (names_its_request(context)) keep_for(client_id(one->client()), told_answer::of(context, json));
        return;
    }
    one->respond(context, json);
    if (!names_its_request(context)) return;
    // A socket that has shown no life since its client's newest one came may be half open, as a phone leaves it that
    // has changed networks: the newest one is told, too, and ignores what it does not know.
    session* const newest = newest_beside(*one);
    if (!newest || newest == one || newest->opened_at() < one->opened_at() || planted(bug::answer_to_gone_socket))
        return;
    const auto since = std::chrono::ceil<std::chrono::milliseconds>(shared_.time.now() - newest->opened_at());
    if (since >= sign_of_life_within && shared_.out.silent(who, since)) newest->respond(context, json);
}

void hub::respond_to_all(const client_id& client, const reply_context& context, std::string_view json) {
    bool any = false;
    shared_.names.each_of(client.view(), [&](member who) {
        if (!is_open(who) || find(who)->device() != context.device) return;
        respond(who, context, json);
        any = true;
    });
    if (!any && names_its_request(context) && !planted(bug::answer_to_gone_socket))
        keep_for(client, told_answer::of(context, json));
}

session* hub::newest_beside(const session& one) const {
    if (one.device().empty()) return newest_of(one.client());
    session* newest = nullptr;
    shared_.names.each_of(one.client(), [&](member who) {
        if (session* const other = find(who); other && other->device() == one.device()) newest = other;
    });
    return newest;
}

bool hub::revoke(const revocation& what) {
    if (!shared_.revoked.add(what, shared_.time.wall_now())) return false;
    to_revoke_.push_back(what);
    shared_.out.want_work();
    return true;
}

bool hub::go_on_revoking(std::size_t budget) {
    while (!to_revoke_.empty()) {
        for (; revoke_round_ < slots_.extent(); ++revoke_round_) {
            if (budget-- == 0) return true;
            session* const one = slots_[revoke_round_].get();
            if (one && revocations::meets(to_revoke_.front(), one->client(), one->id(), one->rights())) one->revoke();
        }
        revoke_round_ = 0;
        to_revoke_.pop_front();
    }
    return false;
}

session* hub::newest_of(std::string_view client) const {
    const auto newest = shared_.names.newest_of(client);
    return newest ? find(*newest) : nullptr;
}

// What follows may begin a resume, or make a channel be heard: not while an entry is being dispatched or replayed.
void hub::on_join(const join_question& join, const entry_answer* answer, const client_error* error) {
    joins_.push_back(
        {join, answer ? std::optional(*answer) : std::nullopt, error ? std::optional(*error) : std::nullopt});
    if (!settling_) shared_.out.want_work();  // unless an event's end comes first
}

void hub::settle_joins() {
    if (std::exchange(settling_, true)) return;
    if (!joins_.empty()) hand_out();
    while (!joins_.empty()) {
        const settled_join join = std::move(joins_.front());
        joins_.pop_front();
        if (session* const one = find(join.what.session))
            one->on_join(join.what, join.answer ? &*join.answer : nullptr, join.error ? &*join.error : nullptr);
    }
    settling_ = false;
}

}  // namespace foz::aggregator
