#include "cli/drill/audit.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace foz::cli::drill {
namespace {

// Of each kind; the rest is counted.
constexpr std::size_t violations_told_max = 5;

std::uint64_t key_of(std::uint32_t sender, std::uint32_t number) {
    return (std::uint64_t{sender} << 32) | number;
}

class auditor {
public:
    auditor(const history& all, const audit_rules& rules) : all_(all), rules_(rules) {}

    findings take() {
        for (std::uint32_t sender = 0; sender < all_.lines.size(); ++sender) check_operations(sender);
        for (const line& listener : all_.lines) {
            check_deliveries(listener);
            check_gaps(listener);
        }
        for (std::uint32_t sender = 0; sender < all_.lines.size(); ++sender) check_lost(sender);
        check_common_order();
        count_runs();
        measure_silence();
        out_.faults = all_.faults.size();
        for (const auto& [kind, count] : told_)
            if (count > violations_told_max)
                out_.violations.push_back("… and " + std::to_string(count - violations_told_max) +
                                          " more such: " + kind);
        return std::move(out_);
    }

private:
    std::string name_of(std::uint32_t sender, std::uint32_t number) const {
        const line& from = all_.lines[sender];
        return "message " + std::to_string(number) + " of " + from.client + " on " + from.channel;
    }
    // `more` follows the kind in the sentence.
    void violation(const std::string& kind, const std::string& subject, const std::string& more = {}) {
        if (++told_[kind] <= violations_told_max) out_.violations.push_back(subject + " " + kind + more);
    }

    void check_operations(std::uint32_t sender) {
        const line& from = all_.lines[sender];
        for (std::uint32_t i = 0; i < from.operations.size(); ++i) {
            const operation& one = from.operations[i];
            ++out_.written;
            if (one.acknowledged()) {
                ++out_.acknowledged;
                if (!one.expected.empty()) violation("was acknowledged, not " + one.expected, name_of(sender, i + 1));
            } else if (one.how == outcome::refused) {
                check_refused(from, one, name_of(sender, i + 1));
            } else {
                ++out_.unknown;
                // The stock client does not send again what was in flight; the plugin does.
                if (one.cut && !from.resumes)
                    ++out_.explained;
                else if (from.durable || !rules_.volatile_loss)
                    violation("has no outcome", name_of(sender, i + 1));
            }
        }
    }

    void check_refused(const line& from, const operation& one, const std::string& name) {
        ++out_.refused;
        ++out_.refusals[one.code];
        if (one.code == one.expected) return;
        const bool allowed = from.durable ? rules_.refusals.contains(one.code) : rules_.volatile_loss;
        if (!one.expected.empty() || !allowed) violation("was refused: " + one.code, name);
    }

    // Repeats, what nobody has written, and the order of each sender's messages.
    void check_deliveries(const line& listener) {
        std::unordered_set<std::uint64_t> seen;
        struct latest {
            std::uint32_t number = 0;
            instant written{};
        };
        std::unordered_map<std::uint32_t, latest> of_sender;
        for (const delivery& one : listener.heard) {
            ++out_.delivered;
            if (one.sender >= all_.lines.size() || one.number == 0 ||
                one.number > all_.lines[one.sender].operations.size() ||
                all_.lines[one.sender].channel != listener.channel) {
                violation("heard what nobody has written", listener.client + " on " + listener.channel);
                continue;
            }
            if (!seen.insert(key_of(one.sender, one.number)).second) {
                ++out_.repeated;
                violation("came more than once to ", name_of(one.sender, one.number), listener.client);
                continue;
            }
            const line& from = all_.lines[one.sender];
            const operation& wrote = from.operations[one.number - 1];
            latest& before = of_sender[one.sender];
            // A later message that came first is out of order when the sender had waited for this one's answer, or when
            // the channel promises the order in which a client writes.
            const bool waited = wrote.how == outcome::answered && wrote.settled <= before.written;
            // A volatile channel whose state has died hears of a message when it is worked on again.
            const bool promised = listener.durable || !rules_.volatile_loss;
            if (promised && one.number < before.number && (waited || (from.ordered && wrote.acknowledged()))) {
                ++out_.disordered;
                violation("came behind a later one to ", name_of(one.sender, one.number), listener.client);
            }
            if (one.number > before.number) before = {one.number, wrote.written};
        }
        out_.again += listener.again;
    }

    void check_gaps(const line& listener) {
        out_.gaps += listener.gaps.size();
        if (!listener.durable || rules_.gaps) return;
        for (const told_gap& one : listener.gaps)
            violation("was told of a gap: " + one.cause, listener.client + " on " + listener.channel);
    }

    // Everybody who listened before a message was written is to hear it.
    void check_lost(std::uint32_t sender) {
        const line& from = all_.lines[sender];
        for (std::uint32_t listener = 0; listener < all_.lines.size(); ++listener) {
            const line& to = all_.lines[listener];
            if (to.channel != from.channel) continue;
            std::vector<bool> heard(from.operations.size() + 1);
            for (const delivery& one : to.heard)
                if (one.sender == sender && one.number < heard.size()) heard[one.number] = true;
            for (std::uint32_t i = 0; i < from.operations.size(); ++i) {
                const operation& one = from.operations[i];
                if (!one.acknowledged() || heard[i + 1] || to.listening > one.written) continue;
                if (may_miss(to, one))
                    ++out_.missed;
                else {
                    ++out_.lost;
                    violation("is lost: acknowledged, and never delivered to ", name_of(sender, i + 1), to.client);
                }
            }
        }
    }

    bool may_miss(const line& to, const operation& one) const {
        if (!to.durable && rules_.volatile_loss) return true;
        const auto later = [&](instant end) { return end >= one.written; };
        if (std::ranges::any_of(to.gaps, [&](const told_gap& gap) { return later(gap.at); }))
            return rules_.gaps || !to.durable;
        // Without a place to resume from, what came in the meantime is missed.
        if (to.resumes && to.durable) return false;
        return std::ranges::any_of(to.away, [&](const absence& span) { return later(span.until); });
    }

    // The order of a durable channel is the same for everybody.
    void check_common_order() {
        std::map<std::string, const line*> longest;
        for (const line& one : all_.lines)
            if (const line*& best = longest[one.channel]; !best || one.heard.size() > best->heard.size()) best = &one;
        std::unordered_map<std::uint64_t, std::size_t> rank;
        for (const auto& [channel, reference] : longest) {
            rank.clear();
            for (const delivery& one : reference->heard) rank.try_emplace(key_of(one.sender, one.number), rank.size());
            for (const line& listener : all_.lines) {
                if (listener.channel != channel || !listener.durable || &listener == reference) continue;
                std::size_t last = 0;
                std::unordered_set<std::uint64_t> seen;
                for (const delivery& one : listener.heard) {
                    const auto known = rank.find(key_of(one.sender, one.number));
                    if (known == rank.end() || !seen.insert(known->first).second) continue;
                    if (known->second < last) {
                        ++out_.disordered;
                        violation("came in another order to ", name_of(one.sender, one.number),
                                  listener.client + " than to " + reference->client);
                    }
                    last = std::max(last, known->second);
                }
            }
        }
    }

    void count_runs() {
        std::unordered_set<std::uint64_t> seen;
        for (const run& one : all_.runs) {
            ++out_.runs;
            if (!seen.insert(key_of(one.sender, one.number)).second) ++out_.reruns;
        }
    }

    // From one fault to the next. Without faults: over all.
    void measure_silence() {
        std::vector<fault> faults = all_.faults;
        if (faults.empty()) faults.push_back({all_.begun, {}});
        for (const line& listener : all_.lines) {
            if (listener.heard.empty()) continue;
            for (std::size_t i = 0; i < faults.size(); ++i) {
                const instant begin = faults[i].at;
                const instant end = i + 1 < faults.size() ? std::min(faults[i + 1].at, all_.ended) : all_.ended;
                if (end <= begin) continue;
                out_.silences.all.push_back(longest_silence(listener, begin, end, instant::min()));
                const instant over = faults[i].over.value_or(begin);
                if (over > begin && over < end)
                    out_.recoveries.all.push_back(longest_silence(listener, over, end, over));
            }
            if (!all_.faults.empty() && all_.begun < all_.faults[0].at)
                out_.undisturbed.all.push_back(longest_silence(listener, all_.begun, all_.faults[0].at, all_.begun));
        }
    }

    // That is under way at `begin` or begins later; what lies before `since` or behind `end` does not count.
    static milliseconds longest_silence(const line& listener, instant begin, instant end, instant since) {
        auto at = std::ranges::lower_bound(listener.heard, begin, {}, &delivery::at);
        instant last = at == listener.heard.begin() ? begin : std::max(std::prev(at)->at, since);
        auto longest = instant::duration::zero();
        for (; at != listener.heard.end() && at->at < end; ++at) {
            longest = std::max(longest, at->at - last);
            last = at->at;
        }
        if (last < end) longest = std::max(longest, end - last);
        return std::chrono::duration_cast<milliseconds>(longest);
    }

    const history& all_;
    const audit_rules& rules_;
    findings out_;
    std::map<std::string, std::size_t> told_;  // violations by kind
};

}  // namespace

milliseconds spans::median() const {
    if (all.empty()) return milliseconds(0);
    std::vector<milliseconds> sorted = all;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::ranges::nth_element(sorted, middle);
    return *middle;
}

milliseconds spans::max() const {
    return all.empty() ? milliseconds(0) : *std::ranges::max_element(all);
}

findings audit(const history& all, const audit_rules& rules) {
    return auditor(all, rules).take();
}

}  // namespace foz::cli::drill
