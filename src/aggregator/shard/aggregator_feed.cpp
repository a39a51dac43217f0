// The broker's side: the part of an aggregator that its readers tell.
#include "aggregator/shard/aggregator.hpp"

#include <algorithm>
#include <utility>

namespace foz::aggregator {

void aggregator::on_entry(std::size_t, const entry_ref& what, bool history, delivery_ticket ticket) {
    if (!history) ++counters_.outbound;
    dispatcher_->dispatch(what, history, ticket);
}

void aggregator::on_attached(std::size_t channel, const std::string& reply_queue) {
    dispatcher_->tell([channel, reply_queue](hub& home) { home.set_reply_queue(channel, reply_queue); });
    const auto& config = settings_.channels[channel];
    // What services have said meanwhile went nowhere. Who hears the channel by now is told before what comes next.
    if (attached_[channel] && config.delivery == contract::delivery_kind::volatile_) {
        ++counters_.queues_lost;
        on_gap(channel, envelope::gap_cause::lost, std::nullopt);
    }
    attached_[channel] = heard_[channel] = true;
    judge_readiness();
}

void aggregator::on_detached(std::size_t channel, const amqp::error& why) {
    const auto& config = settings_.channels[channel];
    if (config.delivery == contract::delivery_kind::volatile_)
        dispatcher_->tell([channel](hub& home) { home.interrupt(channel); });
    if (!started_ && why.permanent()) return events_.on_start_failed(why.text);
    // What happens again and again is told by note_sick().
    if (why.code == amqp::errc::channel_closed && heard_[channel])
        events_.on_notice("channel " + config.name + ": " + why.text + "; trying again");
    heard_[channel] = false;
}

void aggregator::on_gap(std::size_t channel, envelope::gap_cause cause,
                        const std::optional<envelope::position>& where) {
    const std::string& name = settings_.channels[channel].name;
    ++counters_.gaps;
    switch (cause) {
        case envelope::gap_cause::recreated:
            events_.on_notice("gap: the stream of channel " + name + " was made anew");
            break;
        case envelope::gap_cause::too_large:
            break;  // on_dropped() tells of it
        case envelope::gap_cause::lost:
            events_.on_notice("gap: messages of channel " + name + " were lost, which is volatile");
            break;
        default:
            events_.on_notice("gap: the stream of channel " + name + " has lost entries");
    }
    // The entry itself tells the sessions, in its place.
    if (cause == envelope::gap_cause::too_large) return;
    dispatcher_->tell([channel, cause, where](hub& home) { home.gap(channel, cause, where); });
}

void aggregator::on_history_void(std::size_t channel) {
    ++counters_.histories_void;
    dispatcher_->tell([channel](hub& home) { home.forget_history(channel); });
}

void aggregator::on_dropped(std::size_t channel, drop_reason why, std::string_view message_id) {
    ++counters_.dropped[static_cast<std::size_t>(why)];
    const auto text = to_text(why);
    if (text.empty()) return;
    events_.on_notice("dropped: " + std::string(text) + ", on channel " + settings_.channels[channel].name +
                      ", message id " + std::string(message_id.empty() ? "-" : message_id));
}

void aggregator::on_page(const reading_id& to, page what) {
    dispatcher_->give_page(to, std::move(what));
}

void aggregator::read_older(const page_request& what) {
    cores_.at(0).post([this, what] { older_[what.who.channel]->add(what); });
}

void aggregator::page_taken(const reading_id& which, bool more) {
    cores_.at(0).post([this, which, more] { older_[which.channel]->taken(which, more); });
}

void aggregator::note_presence(std::size_t channel, std::string client, std::string session, bool here) {
    cores_.at(0).post([this, channel, client = std::move(client), session = std::move(session), here]() mutable {
        peers_->note(channel, std::move(client), std::move(session), here);
    });
}

void aggregator::tell_elsewhere(const client_id& client, const told_answer& what) {
    cores_.at(0).post([this, told = told_message{client, what.request_id, what.json, what.device}]() mutable {
        peers_->tell(std::move(told));
    });
}

void aggregator::tell_cancelled(std::size_t channel, std::string client, std::string message_id) {
    cores_.at(0).post([this, channel, client = std::move(client), message_id = std::move(message_id)]() mutable {
        control_->tell_cancelled(channel, client, std::move(message_id));
    });
}

void aggregator::revoke(const contract::revocation& what, amqp::on_outcome done) {
    if (!revoked_) return done(amqp::outcome::invalid);
    revoked_->publish(what, std::move(done));
}

void aggregator::on_revocations_lost(const amqp::error& why) {
    if (!revocations_known_) events_.on_notice("who was revoked is not known yet: " + why.text);
}

void aggregator::on_given_up() {
    events_.on_notice(
        "this aggregator was silent for too long: services were told that its sessions are closed, and are "
        "told now that they are open");
    dispatcher_->tell_now([](hub& home) { home.tell_presence_again(); });
}

void aggregator::on_connected(const std::string& where) {
    last_problem_.clear();
    events_.on_notice("connected to " + where);
    note_link("consume", std::nullopt);
}

void aggregator::on_disconnected(const amqp::error& why, std::chrono::milliseconds) {
    if (!started_ && why.permanent()) return events_.on_start_failed(why.text);
    if (std::exchange(last_problem_, why.text) == why.text) return;
    events_.on_notice("broker: " + why.text + "; trying again");
    note_link("consume", why.text);
}

void aggregator::on_channel_sick(const std::string& queue, const amqp::error& why, std::chrono::milliseconds) {
    note_sick("consume", queue, why.text);
}

void aggregator::on_channel_recovered(const std::string& queue) {
    note_recovered("consume", queue);
}

void aggregator::note_sick(const std::string& link, const std::string& queue, const std::string& reason) {
    sick_part one{.link = link, .queue = queue, .reason = reason, .since = cores_.at(0).time().now()};
    const std::string title = title_of(one);
    if (sick_.add(std::move(one)))
        events_.on_notice("sick: " + title + ", " + reason + "; it is tried again and again, the others go on");
    judge_readiness();
}

void aggregator::note_recovered(const std::string& link, const std::string& queue) {
    const auto since = sick_.remove(link, queue);
    if (!since) return;
    judge_readiness();
    const auto took = std::chrono::duration_cast<std::chrono::seconds>(cores_.at(0).time().now() - *since);
    events_.on_notice("recovered: " + title_of({.link = link, .queue = queue, .reason = {}}) + ", after " +
                      std::to_string(took.count()) + " s");
}

std::optional<std::size_t> aggregator::channel_heard_from(std::string_view queue) const {
    for (std::size_t i = 0; i < settings_.channels.size(); ++i) {
        // A volatile channel's queue has a name of its own at each opening.
        const std::string mine = settings_.channels[i].out_queue();
        if (queue == mine || (queue.starts_with(mine) && queue.substr(mine.size()).starts_with('.'))) return i;
    }
    return std::nullopt;
}

std::string aggregator::title_of(const sick_part& one) const {
    if (one.queue.empty()) return "publishing (" + one.link + ")";
    if (const auto channel = channel_heard_from(one.queue))
        return "channel " + settings_.channels[*channel].name + " (" + settings_.channels[*channel].out_queue() + ")";
    return "queue " + one.queue + " (" + one.link + ")";
}

std::vector<bool> aggregator::sick_channels() const {
    std::vector<bool> sick(settings_.channels.size(), false);
    for (const sick_part& one : sick_.all())
        if (const auto channel = channel_heard_from(one.queue)) sick[*channel] = true;
    return sick;
}

bool aggregator::hears_nothing() const {
    const auto sick = sick_channels();
    return !sick_.all().empty() && std::ranges::find(sick, false) == sick.end();
}

void aggregator::note_link(const std::string& link, const std::optional<std::string>& lost) {
    if (lost)
        lost_links_.lost(link, *lost, cores_.at(0).time().now());
    else
        lost_links_.connected(link);
    judge_readiness();
}

readiness aggregator::judge() const {
    if (!started_) {
        if (revoked_ && !revocations_known_) return readiness::starting;
        if (door_ && !door_->ready()) return readiness::starting;
        // One channel that the broker refuses again and again keeps nobody out.
        const auto sick = sick_channels();
        bool heard = false;
        for (std::size_t i = 0; i < attached_.size(); ++i) {
            if (!attached_[i] && !sick[i]) return readiness::starting;
            heard = heard || attached_[i];
        }
        return heard ? readiness::ready : readiness::starting;
    }
    if (lost_links_.away_for(settings_.unready_after, cores_.at(0).time().now())) return readiness::cut_off;
    return hears_nothing() ? readiness::deaf : readiness::ready;
}

void aggregator::judge_readiness() {
    const readiness now = judge();
    const readiness before = front_state_.now.exchange(now);
    // Asked again when the grace may be over.
    if (lost_links_.empty())
        readiness_timer_.cancel();
    else if (!readiness_timer_.active() && now == readiness::ready)
        readiness_timer_.start(cores_.at(0).wheel(), settings_.unready_after);
    if (now == before) return;
    if (now != readiness::ready)
        return events_.on_notice("not ready: " + why_not_ready() + "; new clients are turned away");
    last_problem_.clear();
    if (std::exchange(started_, true)) return events_.on_notice("ready again");
    events_.on_ready();
}

void aggregator::on_blocked(bool blocked, const std::string& reason) {
    events_.on_notice(blocked ? "the broker takes no messages: " + reason : "the broker takes messages again");
}

}  // namespace foz::aggregator
