// What a client's rights let it do, their end, and revocations.
#include "aggregator/session/client_rights.hpp"
#include "aggregator/session/revocations.hpp"
#include "aggregator/session/tests/hub_fixture.hpp"

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

using namespace std::chrono_literals;
using test::hub_fixture;

channel_rights everything() {
    return {.consume = topic_rights::everything(),
            .publish = topic_rights::everything(),
            .request = topic_rights::everything(),
            .types = {}};
}

// On channel 0; everything on 1.
known_client holder(std::string name, channel_rights on_chat, std::optional<wall_time> ends = std::nullopt) {
    auto made = std::make_shared<client_rights>();
    made->channels = {std::move(on_chat), everything()};
    made->issuer = "i";
    made->token_id = name + "-1";
    made->ends = ends;
    return {client_id(std::move(name)), std::move(made)};
}

known_client with_groups(known_client who, std::vector<std::string> groups) {
    auto made = std::make_shared<client_rights>(*who.rights);
    made->groups = std::move(groups);
    return {who.client, std::move(made)};
}

constexpr std::string_view consume_chat = R"({"packet_action":"consume","channel":"chat"})";

TEST(client_rights, topics_and_types_are_allowed_by_pattern) {
    const topic_rights some({"room.*", "hall.#"});
    EXPECT_TRUE(some.allow("room.1") && some.allow("hall") && some.allow("hall.a.b"));
    EXPECT_FALSE(some.allow("room") || some.allow("room.1.2") || some.allow(""));
    EXPECT_TRUE(some.cover("room.*") && some.cover("room.7") && some.cover("hall.*") && some.cover("hall.#"));
    EXPECT_FALSE(some.cover("room.#") || some.cover("#") || some.cover("*.1"));
    EXPECT_TRUE(topic_rights::everything().cover("#"));
    EXPECT_TRUE(topic_rights().none());
    const channel_rights by_type{.consume = {}, .publish = {}, .request = {}, .types = {"say", "vote.*", ""}};
    EXPECT_TRUE(by_type.allow_type("say") && by_type.allow_type("vote.up") && by_type.allow_type(""));
    EXPECT_FALSE(by_type.allow_type("sayx") || by_type.allow_type("vote"));
}

TEST(auth, what_is_not_granted_is_forbidden) {
    hub_fixture f;
    const member who =
        f.come(holder("a", {.consume = {}, .publish = topic_rights({"room.*"}), .request = {}, .types = {"say"}}));
    f.all.on_text(who, consume_chat);
    f.all.on_text(who, R"({"packet_action":"publish","channel":"chat","topic":"room.1","type":"say","id":"1"})");
    f.all.on_text(who, R"({"packet_action":"publish","channel":"chat","topic":"hall.1","type":"say","id":"2"})");
    f.all.on_text(who, R"({"packet_action":"publish","channel":"chat","topic":"room.1","type":"kick","id":"3"})");
    f.all.on_text(
        who, R"({"packet_action":"publish","channel":"chat","topic":"room.1","type":"say","id":"4","ack":"answer"})");
    EXPECT_EQ(f.count(who, R"("code":"forbidden")"), 4u);
    ASSERT_EQ(f.out.publishes.size(), 1u);
    EXPECT_EQ(f.out.publishes[0].message.properties.message_id, "a//1");
}

TEST(auth, a_service_never_mistakes_one_clients_message_for_anothers) {
    hub_fixture f;
    const auto say = R"({"packet_action":"publish","channel":"voice","id":"1"})";
    f.all.on_text(f.come(holder("a/b", everything()), "dev1"), say);
    f.all.on_text(f.come(holder("a", everything()), "b"), say);
    f.all.on_text(f.come(holder("a%2Fb", everything()), "dev1"), say);
    f.all.on_text(f.come("a"), say);
    std::vector<std::string> ids;
    for (const auto& one : f.out.publishes) ids.push_back(one.message.properties.message_id.value());
    EXPECT_EQ(ids, (std::vector<std::string>{"a%2Fb/dev1/1", "a/b/1", "a%252Fb/dev1/1", "a/1"}));
}

TEST(auth, groups_are_those_of_the_token) {
    session_settings config = test::two_channels();
    config.named_clients = true;
    config.channels[1].open_groups = {"open.*"};
    hub_fixture f(config);
    const auto join = [&](member who, const char* channel, const char* group) {
        f.take(who);
        f.all.on_text(who, std::string(R"({"packet_action":"consume","distribution":{"multicast":[")") + group +
                               R"("]},"channel":")" + channel + "\"}");
        return f.count(who, R"("event":"consuming")") == 1;
    };
    const member plain = f.come(holder("a", everything()));
    EXPECT_FALSE(join(plain, "chat", "red")) << "no group is open where clients have names";
    EXPECT_TRUE(join(plain, "voice", "open.1"));
    EXPECT_FALSE(join(plain, "voice", "b"));
    EXPECT_TRUE(join(plain, "voice", "a")) << "its own name is no group";
    const member staff = f.come(with_groups(holder("b", everything()), {"red"}));
    EXPECT_TRUE(join(staff, "chat", "red"));
    EXPECT_FALSE(join(staff, "voice", "open.1")) << "it names what it may";
}

TEST(auth, a_token_that_ends_is_told_and_then_the_socket_closes) {
    hub_fixture f;
    const member who = f.come(holder("a", everything(), f.time.wall + 10min));
    f.advance(8min + 50s);
    EXPECT_EQ(f.count(who, R"("event":"auth")"), 0u);
    f.advance(15s);
    EXPECT_EQ(f.count(who, R"("event":"auth")"), 1u);
    f.advance(54s);
    EXPECT_TRUE(f.out.closed.empty());
    f.advance(2s);
    EXPECT_EQ(f.count(who, R"("code":"expired")"), 1u);
    EXPECT_EQ(f.count(who, "primus::server::close"), 1u);
    ASSERT_EQ(f.out.closed.size(), 1u);
    EXPECT_EQ(f.out.closed[0].second, ws::close_code(spec::close_expired));
}

TEST(auth, a_client_that_a_service_let_in_comes_again_when_its_time_is_over) {
    hub_fixture f;
    auto made = std::make_shared<client_rights>(*holder("a", everything(), f.time.wall + 10min).rights);
    made->by_service = true;
    const member who = f.come(known_client{client_id("a"), made});
    f.advance(9min + 1s);
    EXPECT_EQ(f.count(who, R"("event":"auth")"), 1u);
    f.advance(1min);
    EXPECT_EQ(f.count(who, R"("code":"unavailable")"), 1u);
    EXPECT_EQ(f.count(who, R"("retryable":true)"), 1u);
    EXPECT_EQ(f.count(who, "primus::server::close"), 0u);
    ASSERT_EQ(f.out.closed.size(), 1u);
    EXPECT_EQ(f.out.closed[0].second, ws::close_code(spec::close_try_later));
}

TEST(auth, a_token_of_short_life_is_told_of_when_a_quarter_is_left) {
    hub_fixture f;
    const member who = f.come(holder("a", everything(), f.time.wall + 8s));
    f.advance(5s + 900ms);
    EXPECT_EQ(f.count(who, R"("event":"auth")"), 0u);
    f.advance(200ms);
    EXPECT_EQ(f.count(who, R"("event":"auth")"), 1u);
}

TEST(auth, clocks_that_are_set_move_the_end) {
    hub_fixture f;
    const member who = f.come(holder("a", everything(), f.time.wall + 100h));
    f.time.wall += 99h + 59min + 59s;
    f.advance(1h + 1s);
    EXPECT_EQ(f.count(who, R"("code":"expired")"), 1u);
}

TEST(auth, who_came_without_a_token_may_show_one_later) {
    hub_fixture f;
    f.out.tokens.emplace("good", holder("a", everything(), f.time.wall + 1h));
    f.out.tokens.emplace("other", holder("b", everything(), f.time.wall + 1h));
    auto made = std::make_shared<client_rights>(*holder("a", {}, f.time.wall + 1min).rights);
    made->issuer.clear();
    made->any_issuer = true;
    const member who = f.come(known_client{client_id("a"), made});
    f.all.on_text(who, R"({"packet_action":"refresh","token":"other","id":"1"})");
    EXPECT_EQ(f.count(who, R"("reason":"other_client")"), 1u);
    f.all.on_text(who, R"({"packet_action":"refresh","token":"good","id":"2"})");
    EXPECT_EQ(f.count(who, R"({"event":"auth","id":"2","expires_in_ms":3600000,)"), 1u);
    f.advance(2min);
    EXPECT_TRUE(f.out.closed.empty());
    // A proxy's word is no token's: it named the client for this socket.
    made = std::make_shared<client_rights>(*made);
    made->any_issuer = false;
    const member by_proxy = f.come(known_client{client_id("a"), made});
    f.all.on_text(by_proxy, R"({"packet_action":"refresh","token":"good"})");
    EXPECT_EQ(f.count(by_proxy, R"("reason":"other_client")"), 1u);
}

TEST(auth, a_refresh_goes_on_without_a_break) {
    hub_fixture f;
    f.out.tokens.emplace("good", holder("a", everything(), f.time.wall + 1h));
    f.out.tokens.emplace("other", holder("b", everything(), f.time.wall + 1h));
    const member who = f.come(holder("a", everything(), f.time.wall + 1min));
    f.all.on_text(who, R"({"packet_action":"refresh","token":"other","id":"1"})");
    f.all.on_text(who, R"({"packet_action":"refresh","token":"unknown","id":"2"})");
    EXPECT_EQ(f.count(who, R"("code":"bad_token")"), 2u);
    EXPECT_EQ(f.count(who, R"("reason":"other_client")"), 1u);
    f.all.on_text(who, R"({"packet_action":"refresh","token":"good","id":"3"})");
    EXPECT_EQ(f.count(who, R"({"event":"auth","id":"3","expires_in_ms":3600000,)"), 1u);
    f.advance(2min);
    EXPECT_TRUE(f.out.closed.empty());
    // Who has no name gets none.
    const member nobody = f.come("anon-x");
    f.all.on_text(nobody, R"({"packet_action":"refresh","token":"good"})");
    EXPECT_EQ(f.count(nobody, R"("reason":"other_client")"), 1u);
}

TEST(auth, a_refresh_narrows_and_widens_what_is_heard) {
    hub_fixture f;
    const auto token = [&](const char* name, std::vector<std::string> consume) {
        f.out.tokens.emplace(
            name, holder("a", {.consume = topic_rights(std::move(consume)), .publish = {}, .request = {}, .types = {}},
                         f.time.wall + 1h));
    };
    token("less", {"room.1"});
    token("none", {});
    token("more", {"#"});
    const member who = f.come(holder("a", everything(), f.time.wall + 1h));
    f.all.on_text(who, consume_chat);
    const auto after = [&](const char* name) {
        f.take(who);
        f.all.on_text(who, std::string(R"({"packet_action":"refresh","token":")") + name + "\"}");
        const auto told = f.take(who);
        return told.size() == 2 ? told[0] : std::string("unchanged");
    };
    EXPECT_NE(after("less").find(R"("topics":["room.1"])"), std::string::npos);
    EXPECT_EQ(after("less"), "unchanged");
    EXPECT_NE(after("none").find(R"("channels":{})"), std::string::npos);
    EXPECT_NE(after("more").find(R"("topics":[])"), std::string::npos);
    EXPECT_EQ(after("more"), "unchanged");
    // What it has left itself it does not get back.
    f.all.on_text(who, R"({"packet_action":"leave","channel":"chat"})");
    EXPECT_EQ(after("less"), "unchanged");
    EXPECT_EQ(after("more"), "unchanged");
}

TEST(auth, a_refresh_leaves_groups_of_a_service_that_the_token_alone_granted) {
    session_settings config = test::two_channels();
    config.channels[0].groups = contract::groups_kind::service;
    hub_fixture f(config);
    const auto token = [&](std::vector<std::string> groups) {
        return with_groups(holder("a", everything(), f.time.wall + 1h), std::move(groups));
    };
    f.out.tokens.emplace("less", token({}));
    f.out.tokens.emplace("more", token({"vip"}));
    const member who = f.come(token({"vip"}));
    f.all.on_text(who, R"({"packet_action":"consume","channel":"chat","distribution":{"multicast":["vip"]}})");
    EXPECT_EQ(f.count(who, R"("chat":{"topics":[],"groups":["vip"])"), 1u);
    f.take(who);
    f.all.on_text(who, R"({"packet_action":"refresh","token":"less"})");
    EXPECT_EQ(f.count(who, R"({"event":"consuming","channels":{})"), 1u);
    f.take(who);
    f.all.on_text(who, R"({"packet_action":"refresh","token":"more"})");
    EXPECT_EQ(f.count(who, R"("chat":{"topics":[],"groups":["vip"])"), 1u);
}

TEST(auth, answers_of_one_device_are_not_told_to_another) {
    hub_fixture f;
    const member one = f.come(holder("a", everything()), "dev1");
    const member two = f.come(holder("a", everything()), "dev2");
    const auto ask = R"({"packet_action":"publish","channel":"voice","id":"1","ack":"answer","message":1})";
    f.all.on_text(one, ask);
    f.all.on_text(two, ask);
    ASSERT_EQ(f.out.publishes.size(), 2u) << "the second is no resend of the first";
    const auto& first = *f.out.publishes[0].message.properties.correlation_id;
    EXPECT_NE(first, *f.out.publishes[1].message.properties.correlation_id);
    // The first device is gone, and comes back.
    f.all.closed(one);
    for (const auto& sent : f.out.publishes) f.all.on_outcome(sent.ticket, amqp::outcome::unroutable);
    EXPECT_EQ(f.count(two, R"("code":"unroutable")"), 1u);
    EXPECT_EQ(f.count(f.come(holder("a", everything()), "dev2"), R"("code":"unroutable")"), 0u);
    EXPECT_EQ(f.count(f.come(holder("a", everything()), "dev1"), R"("code":"unroutable")"), 1u);
}

TEST(revocations, each_kind_meets_its_own) {
    const wall_time now{1'000'000s};
    client_rights token;
    token.issuer = "i";
    token.token_id = "t";
    token.issued = now - 10s;
    token.ends = now + 1h;
    const client_rights nobody;
    const auto meets = [&](const revocation& one, std::string_view client, std::string_view session,
                           const client_rights& rights) {
        revocations all;
        EXPECT_TRUE(all.add(one, now));
        EXPECT_EQ(all.meets(client, session, rights), revocations::meets(one, client, session, rights));
        return all.meets(client, session, rights);
    };
    const wall_time until = now + 1h;
    EXPECT_TRUE(meets({.client = "a", .until = until}, "a", "s", token));
    EXPECT_TRUE(meets({.client = "a", .until = until}, "a", "s", nobody));
    EXPECT_FALSE(meets({.client = "a", .until = until}, "b", "s", token));
    EXPECT_TRUE(meets({.client = "a", .issued_before = now, .until = until}, "a", "s", token));
    EXPECT_FALSE(meets({.client = "a", .issued_before = now - 10s, .until = until}, "a", "s", token));
    EXPECT_TRUE(meets({.issued_before = now, .until = until}, "z", "s", token));
    EXPECT_FALSE(meets({.issued_before = now, .until = until}, "z", "s", nobody)) << "it has no token";
    EXPECT_TRUE(meets({.token_id = "t", .until = until}, "z", "s", token));
    EXPECT_TRUE(meets({.issuer = "i", .token_id = "t", .until = until}, "z", "s", token));
    EXPECT_FALSE(meets({.issuer = "j", .token_id = "t", .until = until}, "z", "s", token));
    EXPECT_TRUE(meets({.session = "s", .until = until}, "z", "s", nobody));
    EXPECT_FALSE(meets({.session = "s2", .until = until}, "z", "s", nobody));
    client_rights let_in;  // by a connect service that has not said until when
    let_in.issued = now - 10s;
    EXPECT_TRUE(meets({.issued_before = now, .until = until}, "z", "s", let_in));
    EXPECT_FALSE(meets({.issued_before = now - 10s, .until = until}, "z", "s", let_in));
    token.issued.reset();
    EXPECT_TRUE(meets({.client = "a", .issued_before = now - 1h, .until = until}, "a", "s", token))
        << "it does not say when it was issued";
}

TEST(revocations, what_is_over_is_forgotten_and_what_is_wider_stays) {
    const wall_time now{1'000'000s};
    revocations all;
    const client_rights nobody;
    EXPECT_TRUE(all.add({.client = "a", .until = now}, now));
    EXPECT_EQ(all.size(), 0u);
    for (int i = 0; i < 100; ++i)
        EXPECT_TRUE(all.add({.session = std::to_string(i), .until = now + std::chrono::minutes(i)}, now));
    EXPECT_TRUE(all.add({.client = "b", .until = now + 3h}, now));
    EXPECT_TRUE(all.add({.client = "b", .issued_before = now, .until = now + 1h}, now + 51min));
    EXPECT_LT(all.size(), 60u);
    EXPECT_TRUE(all.meets("b", "x", nobody)) << "altogether is more than before a time";
}

TEST(auth, sessions_that_are_revoked_are_told_and_closed_in_portions) {
    hub_fixture f;
    std::vector<member> sockets;
    for (int i = 0; i < 1'000; ++i) sockets.push_back(f.come(holder(i % 2 ? "odd" : "even", everything())));
    const member bystander = f.come("anon-y");
    EXPECT_TRUE(f.all.revoke({.client = "odd", .until = f.time.wall + 1h}));
    EXPECT_TRUE(f.out.closed.empty()) << "not at once";
    f.all.work();
    EXPECT_GT(f.out.closed.size(), 0u);
    EXPECT_LT(f.out.closed.size(), 500u) << "a portion";
    f.work();
    EXPECT_EQ(f.out.closed.size(), 500u);
    for (const auto& [who, code] : f.out.closed) EXPECT_EQ(code, ws::close_code(spec::close_revoked));
    EXPECT_EQ(f.count(bystander, "revoked"), 0u);
    EXPECT_TRUE(f.all.is_revoked("odd", "new", client_rights()));
    EXPECT_FALSE(f.all.is_revoked("even", "new", client_rights()));
}

}  // namespace
}  // namespace foz::aggregator
