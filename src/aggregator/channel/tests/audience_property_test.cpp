// Three answers to "who hears it?" are one: the index, the definition, and a model that is too simple to be wrong.
#include "aggregator/channel/audience.hpp"
#include "envelope/topic.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

using envelope::via;

struct person {
    member self;
    std::string client;
    std::string session;
    std::optional<interest> has;
    bool paused = false;
};

// Everything is drawn from small alphabets, so that most things meet: groups are called as clients are, topics as
// patterns and the other way round.
class scene {
public:
    explicit scene(std::uint64_t seed) : random_(seed), names_(seed), all_(names_) {}

    void step() {
        const auto dice = below(20);
        if (dice < 4 && people_.size() < 12) return come();
        if (people_.empty()) return;
        person& who = people_[below(people_.size())];
        if (dice < 10) {
            const interest wanted = draw_interest();
            all_.add(who.self, wanted);
            join(who, wanted);
        } else if (dice < 11) {
            const interest wanted = draw_interest();
            all_.set(who.self, wanted);
            who.has.reset();
            join(who, wanted);
        } else if (dice < 15) {
            const interest left = below(6) == 0 ? interest{} : draw_leave();
            const bool stays = who.has && who.has->take_away(left);
            if (!stays) leave(who);
            ASSERT_EQ(all_.remove(who.self, left), stays);
        } else if (dice < 16) {
            all_.drop(who.self);
            leave(who);
        } else if (dice < 18) {
            if (!who.has) return;
            who.paused = !who.paused;
            all_.pause(who.self, who.paused);
        } else if (dice < 19) {
            go(who);
        }
    }

    void compare() {
        const entry what = draw_entry();
        std::map<std::uint32_t, const entry_route*> reached;
        all_.each(what, [&](member who, const entry_route& route) {
            ASSERT_TRUE(reached.emplace(who.slot, &route).second) << "twice";
        });
        std::size_t members = 0, live = 0;
        for (const person& who : people_) {
            const entry_route* const wanted = model_route(who, what);
            ASSERT_EQ(all_.route_for(who.self, what), wanted);
            const auto at = reached.find(who.self.slot);
            ASSERT_EQ(at == reached.end() ? nullptr : at->second, who.paused ? nullptr : wanted);
            ASSERT_EQ(all_.find(who.self), who.has);
            ASSERT_EQ(all_.paused(who.self), who.paused);
            ASSERT_EQ(all_.names_of(who.self), who.has ? who.has->size() : 0u);
            members += who.has.has_value();
            live += at != reached.end();
        }
        ASSERT_EQ(all_.size(), members);
        ASSERT_EQ(reached.size(), live) << "somebody who has gone";
        compared_ += people_.size();
        hits_ += reached.size();
    }

    std::size_t compared() const noexcept { return compared_; }
    std::size_t hits() const noexcept { return hits_; }

private:
    std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
    bool chance(std::size_t one_in) { return below(one_in) == 0; }
    std::string draw_name() { return std::string(1, static_cast<char>('a' + below(5))); }
    std::string draw_topic(bool pattern) {
        static constexpr const char* words[] = {"a", "b", "c", "*", "#"};
        std::string text;
        for (std::size_t left = 1 + below(3); left > 0; --left) {
            text += words[below(pattern ? std::size(words) : 3)];
            if (left > 1) text += '.';
        }
        return text;
    }

    interest draw_interest() {
        interest made{.broadcast = chance(2), .direct = chance(3), .own_name = chance(3), .all_topics = chance(2)};
        for (std::size_t left = below(3); left > 0; --left) made.groups.insert(draw_name());
        if (!made.broadcast && !made.direct && !made.own_name && made.groups.empty()) made.broadcast = true;
        for (std::size_t left = made.all_topics ? 0 : 1 + below(4); left > 0; --left)
            made.topics.insert(draw_topic(chance(2)));
        return made;
    }
    interest draw_leave() {
        interest made{.broadcast = chance(4), .direct = chance(4), .own_name = chance(4)};
        for (std::size_t left = below(3); left > 0; --left) made.groups.insert(draw_name());
        for (std::size_t left = below(4); left > 0; --left) made.topics.insert(draw_topic(chance(2)));
        return made;
    }
    entry draw_entry() {
        entry made{.topic = chance(6) ? "" : draw_topic(false)};
        if (chance(3)) {
            std::vector<std::string> receivers;
            for (std::size_t left = 1 + below(3); left > 0; --left)
                receivers.push_back(chance(2) ? draw_name() : "session:s" + std::to_string(below(next_session_ + 1)));
            made.routes.push_back({via::direct, std::move(receivers), nullptr});
        }
        if (chance(2))
            for (std::size_t left = 1 + below(3); left > 0; --left)
                made.routes.push_back({via::multicast, {draw_name()}, nullptr});
        if (chance(2)) made.routes.push_back({via::broadcast, {}, nullptr});
        return made;
    }

    void come() {
        std::uint32_t slot = 0;
        const auto taken = [&](const person& who) { return who.self.slot == slot; };
        while (std::ranges::any_of(people_, taken)) ++slot;
        person who{.self = {slot, ++generation_}, .client = draw_name()};
        who.session = "s" + std::to_string(next_session_++);
        names_.add(who.self, client_id(who.client), session_id(who.session));
        people_.push_back(std::move(who));
    }
    void go(person& who) {
        all_.drop(who.self);
        names_.remove(who.self);
        who = std::move(people_.back());
        people_.pop_back();
    }
    static void join(person& who, const interest& what) {
        if (!who.has) who.has.emplace();
        who.has->broadcast |= what.broadcast;
        who.has->direct |= what.direct;
        who.has->own_name |= what.own_name;
        who.has->all_topics |= what.all_topics;
        who.has->groups.insert(what.groups.begin(), what.groups.end());
        who.has->topics.insert(what.topics.begin(), what.topics.end());
        if (who.has->all_topics) who.has->topics.clear();
    }
    static void leave(person& who) {
        who.has.reset();
        who.paused = false;
    }

    static const entry_route* model_route(const person& who, const entry& what) {
        if (!who.has) return nullptr;
        bool on_topic = who.has->all_topics;
        for (const auto& pattern : who.has->topics) on_topic |= envelope::matches(pattern, what.topic);
        for (const auto& route : what.routes) {
            bool reached = route.how == via::broadcast && who.has->broadcast && on_topic;
            for (const auto& name : route.receivers) {
                if (route.how == via::direct)
                    reached |= who.has->direct && (name == who.client || name == "session:" + who.session);
                if (route.how == via::multicast)
                    reached |=
                        on_topic && (who.has->groups.contains(name) || (who.has->own_name && name == who.client));
            }
            if (reached) return &route;
        }
        return nullptr;
    }

    std::mt19937_64 random_;
    directory names_;
    audience all_;
    std::vector<person> people_;
    std::uint32_t generation_ = 0;
    std::size_t next_session_ = 0;
    std::size_t compared_ = 0;
    std::size_t hits_ = 0;
};

}  // namespace

TEST(audience, the_index_the_definition_and_a_model_agree) {
    std::size_t compared = 0, hits = 0;
    for (std::uint64_t seed = 1; seed <= 3'000; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        scene run(seed);
        for (int i = 0; i < 100; ++i) {
            run.step();
            run.compare();
            if (testing::Test::HasFatalFailure()) return;
        }
        compared += run.compared();
        hits += run.hits();
    }
    // A run that compares nothing passes, too.
    EXPECT_GT(compared, 1'000'000u);
    EXPECT_GT(hits, 100'000u);
}

}  // namespace foz::aggregator
