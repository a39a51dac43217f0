#include "aggregator/feed/decode.hpp"

#include "contract/correlation.hpp"
#include "contract/receivers.hpp"
#include "ws/codec/writer.hpp"

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

struct sample {
    decoded make(std::optional<std::uint64_t> offset = std::nullopt) {
        const amqp::delivery from{
            .exchange = exchange, .routing_key = routing_key, .properties = properties, .body = body};
        return decode(from, {.channel = 1, .channel_name = "chat", .not_json = not_json, .offset = offset});
    }
    entry skip() const {
        const amqp::delivery from{
            .exchange = exchange, .routing_key = routing_key, .properties = properties, .body = {}};
        return decode_skipped(from, {.channel = 1, .channel_name = "chat"}, envelope::position{.offset = 7});
    }
    std::string exchange = "OUTBOUND", routing_key = "chat.room.1", body = "{\"a\": 1}";
    amqp::basic_properties properties;
    contract::not_json_kind not_json = contract::not_json_kind::drop;
    wall_time now{std::chrono::seconds(1000)};
};

}  // namespace

TEST(decode, a_broadcast_is_one_frame_that_names_nobody) {
    sample s;
    s.properties.headers = amqp::table{{"foz-broadcast", true}};
    s.properties.message_id = "m1";
    s.properties.type = "said";
    const auto made = s.make(5);
    ASSERT_FALSE(made.dropped);
    EXPECT_EQ(made.message.topic, "room.1");
    ASSERT_EQ(made.message.routes.size(), 1u);
    const std::string check = envelope::to_string(*made.message.where);
    EXPECT_TRUE(check.starts_with("0.5."));
    const std::string json = R"({"event":"message","channel":"chat","via":"broadcast","topic":"room.1","type":"said",)"
                             R"("id":"m1","position":")" +
                             check + R"(","message":{"a": 1}})";
    // RFC 6455 §5.2: fin and text, a 16-bit length, no mask.
    EXPECT_EQ(made.message.routes[0].head->substr(0, 4),
              (std::string{'\x81', '\x7e', '\0', static_cast<char>(json.size())}));
    EXPECT_EQ(made.message.routes[0].head->substr(4), json);
}

TEST(decode, kinds_come_in_the_order_of_preference_and_each_group_has_its_frame) {
    sample s;
    s.properties.headers = amqp::table{
        {"foz-broadcast", true}, {"foz-multicast", "[\"g1\",\"g2\"]"}, {"foz-direct", "[\"c\",\"session:s\"]"}};
    const auto made = s.make();
    ASSERT_FALSE(made.dropped);
    ASSERT_EQ(made.message.routes.size(), 4u);
    EXPECT_EQ(made.message.routes[0].how, envelope::via::direct);
    EXPECT_EQ(made.message.routes[0].receivers, (std::vector<std::string>{"c", "session:s"}));
    EXPECT_EQ(made.message.routes[0].head->find("session"), std::string::npos) << "no receivers are listed";
    EXPECT_EQ(made.message.routes[2].receivers, (std::vector<std::string>{"g2"}));
    EXPECT_NE(made.message.routes[2].head->find(R"("group":"g2")"), std::string::npos);
    EXPECT_EQ(made.message.routes[3].how, envelope::via::broadcast);
}

// To a thousand groups a large body goes once, and each of them gets the octets that it got as a frame of its own.
TEST(decode, a_large_body_is_shared_by_the_frames_of_its_routes) {
    for (const std::size_t size : {2u, 1'023u, 1'024u, 65'000u, 70'000u}) {
        sample s;
        s.body = '"' + std::string(size - 2, 'x') + '"';
        std::vector<std::string> groups;
        for (int i = 0; i < 1'000; ++i) groups.push_back("g" + std::to_string(i));
        s.properties.headers = amqp::table{
            {"foz-broadcast", true}, {"foz-multicast", contract::encode_receivers(groups)}, {"foz-direct", "c"}};
        const entry made = s.make(5).message;
        ASSERT_EQ(made.routes.size(), 1'002u);
        EXPECT_EQ(made.tail != nullptr, size >= 1'024);
        entry_frames frames(made);
        std::size_t octets = 0;
        for (const auto& route : made.routes) {
            envelope::message_event event{.channel = "chat", .how = route.how, .topic = "room.1", .where = made.where};
            if (route.how == envelope::via::multicast) event.group = route.receivers.front();
            event.message = s.body;
            std::string json, wanted, sent;
            envelope::append(json, event);
            ws::append_frame(wanted, ws::opcode::text, json);
            for (const frame_ref& piece : frames.of(route)) sent += piece.octets();
            ASSERT_EQ(sent, wanted);
            ASSERT_EQ(made.frame_bytes(route), wanted.size());
            octets += route.head->size();
        }
        EXPECT_LT(octets, 1'300'000u) << "of heads, or of small frames";
    }
}

TEST(decode, a_large_body_for_one_route_is_one_piece) {
    sample s;
    s.body = '"' + std::string(10'000, 'x') + '"';
    s.properties.headers = amqp::table{{"foz-broadcast", true}};
    EXPECT_EQ(s.make().message.tail, nullptr);
}

TEST(decode, an_answer_finds_its_client_by_the_correlation_id) {
    sample s;
    const contract::correlation to{client_id("c1"), contract::correlation::request_kind::responder, "r-1"};
    s.exchange = "";
    s.routing_key = "OUT_CHAT";
    s.properties.correlation_id = contract::to_string(to);
    s.properties.headers = amqp::table{{"foz-error", "no_such_room"}};
    const auto made = s.make();
    ASSERT_TRUE(!made.dropped && made.message.answer);
    EXPECT_EQ(made.message.answer->to, to);
    EXPECT_EQ(made.message.answer->what, entry_answer::kind::service_error);
    EXPECT_EQ(made.message.answer->code, "no_such_room");
    EXPECT_EQ(made.message.topic, "");
}

TEST(decode, what_reaches_nobody_has_a_reason) {
    sample nobody;
    EXPECT_EQ(nobody.make().dropped, drop_reason::no_receiver);
    nobody.properties.correlation_id = "somebody else's";
    EXPECT_EQ(nobody.make().dropped, drop_reason::no_receiver);
    sample text;
    text.body = "hello";
    EXPECT_EQ(text.make().dropped, drop_reason::not_json);
    for (const amqp::table& headers : {amqp::table{{"foz-broadcast", "yes"}}, amqp::table{{"foz-direct", 5}},
                                       amqp::table{{"foz-multicast", "[1]"}}}) {
        sample wrong;
        wrong.properties.headers = headers;
        EXPECT_EQ(wrong.make().dropped, drop_reason::bad_header);
    }
}

// A text frame that is not UTF-8 would end the socket of whoever gets it.
TEST(decode, what_is_not_utf8_reaches_nobody) {
    const std::string latin1 = "caf\xe9";
    sample good;
    good.properties.headers = amqp::table{{"foz-broadcast", true}};
    sample type = good, id = good, topic = good, group = good, groups = good, error, answer, answer_id;
    type.properties.type = latin1;
    id.properties.message_id = latin1;
    topic.routing_key = "chat." + latin1;
    group.properties.headers = amqp::table{{"foz-multicast", latin1}};
    groups.properties.headers = amqp::table{{"foz-multicast", amqp::field_array{"a", latin1}}};
    error.properties.correlation_id = contract::to_string({client_id("c1"), {}, "r-1"});
    error.properties.headers = amqp::table{{"foz-error", latin1}};
    answer.properties.correlation_id = contract::to_string({client_id("c1"), {}, latin1});
    answer_id.properties.correlation_id = contract::to_string({client_id("c1"), {}, "r-1", "socket", latin1});
    EXPECT_FALSE(good.make().dropped);
    for (sample* wrong : {&type, &id, &topic, &group, &groups, &error, &answer, &answer_id})
        EXPECT_EQ(wrong->make().dropped, drop_reason::not_utf8);
}

// Who asked does not wait for an answer that can't come any more.
TEST(decode, instead_of_an_answer_that_is_no_use_there_is_an_error) {
    sample good;
    good.properties.correlation_id = contract::to_string({client_id("c1"), {}, "r-1"});
    ASSERT_EQ(good.make().message.answer->what, entry_answer::kind::answer);
    sample error_type = good, error_text = good, body = good;
    error_type.properties.headers = amqp::table{{"foz-error", 5}};
    error_text.properties.headers = amqp::table{{"foz-error", "caf\xe9"}};
    body.body = "hello";
    for (const auto& [wrong, why] :
         {std::pair(&error_type, drop_reason::bad_header), std::pair(&error_text, drop_reason::not_utf8),
          std::pair(&body, drop_reason::not_json)}) {
        const auto made = wrong->make();
        EXPECT_EQ(made.dropped, why);
        ASSERT_TRUE(made.message.answer);
        EXPECT_EQ(made.message.answer->to.request, "r-1");
        EXPECT_EQ(made.message.answer->what, entry_answer::kind::error);
        EXPECT_EQ(made.message.answer->code, "bad_answer");
        EXPECT_EQ(made.message.answer->body, to_text(why));
    }
    body.not_json = contract::not_json_kind::base64;
    EXPECT_EQ(body.make().message.answer->body, "\"aGVsbG8=\"");
}

TEST(decode, what_is_too_large_is_a_gap_for_all_or_an_error_for_whoever_asked) {
    sample all, answer;
    all.properties.headers = amqp::table{{"foz-broadcast", true}};
    EXPECT_TRUE(all.skip().too_large);
    EXPECT_FALSE(all.skip().answer);
    EXPECT_EQ(all.skip().where->offset, 7u);
    answer.properties.correlation_id = contract::to_string({client_id("c1"), {}, "r-1"});
    const entry made = answer.skip();
    EXPECT_FALSE(made.too_large) << "nobody else has missed anything";
    ASSERT_TRUE(made.answer);
    EXPECT_EQ(made.answer->code, "bad_answer");
    EXPECT_EQ(made.answer->to.request, "r-1");
    answer.properties.headers = amqp::table{{"foz-multicast", "[\"g\"]"}};
    EXPECT_TRUE(answer.skip().too_large) << "receivers win over the correlation";
}

TEST(decode, a_sign_of_life_that_is_no_use_leaves_the_request_open) {
    sample attempt;
    attempt.properties.correlation_id = contract::to_string({client_id("c1"), {}, "r-1"});
    attempt.properties.type = "foz.taken";
    EXPECT_EQ(attempt.make().message.answer->attempt, 1u);
    attempt.properties.headers = amqp::table{{"foz-attempt", 3}};
    EXPECT_EQ(attempt.make().message.answer->attempt, 3u);
    attempt.properties.headers = amqp::table{{"foz-attempt", "third"}};
    sample deadline = attempt, body = attempt;
    deadline.properties.type = "foz.extend";
    deadline.properties.headers = amqp::table{{"foz-deadline", "tomorrow"}};
    body.properties.type = "foz.done";
    body.body = "";
    for (const auto& [wrong, why] :
         {std::pair(&attempt, drop_reason::bad_header), std::pair(&deadline, drop_reason::bad_header),
          std::pair(&body, drop_reason::not_json)}) {
        const auto made = wrong->make();
        EXPECT_EQ(made.dropped, why);
        EXPECT_FALSE(made.message.answer);
    }
}

TEST(decode, times_beyond_the_clock_are_its_end) {
    sample s;
    s.properties.reply_to = "q";
    s.properties.correlation_id = "c";
    s.properties.headers = amqp::table{{"foz-direct", "someone"}};
    s.properties.expiration = "18446744073709551615";
    for (const std::uint64_t timestamp : {std::uint64_t{1'700'000'000'000}, UINT64_MAX}) {  // milliseconds, a mistake
        s.properties.timestamp = timestamp;
        const auto made = s.make();
        ASSERT_TRUE(made.message.question);
        EXPECT_GT(made.message.question->expires, s.now);
    }
    sample extend;
    extend.properties.correlation_id = contract::to_string({client_id("c1"), {}, "r-1"});
    extend.properties.type = "foz.extend";
    for (const std::int64_t until : {INT64_MIN, INT64_MAX}) {
        extend.properties.headers = amqp::table{{"foz-deadline", until}};
        const auto made = extend.make();
        ASSERT_TRUE(made.message.answer);
        EXPECT_EQ(wall_time(made.message.answer->deadline) > extend.now, until > 0);
    }
}

// The publisher's clock is not ours.
TEST(decode, what_has_expired_is_told_to_replays_alone) {
    sample s;
    s.properties.headers = amqp::table{{"foz-broadcast", true}};
    s.properties.expiration = "5000";
    EXPECT_FALSE(has_expired(s.make().message, s.now, {})) << "no timestamp: it can't be known";
    s.properties.timestamp = 990;
    const auto made = s.make();
    EXPECT_FALSE(made.dropped);
    EXPECT_EQ(made.message.routes.size(), 1u);
    EXPECT_TRUE(has_expired(made.message, s.now, {}));
    EXPECT_TRUE(has_expired(made.message, s.now, std::chrono::seconds(4)));
    EXPECT_FALSE(has_expired(made.message, s.now, std::chrono::seconds(5)));
    s.properties.timestamp = 996;
    EXPECT_FALSE(has_expired(s.make().message, s.now, {}));
}

TEST(decode, what_is_dropped_keeps_its_place) {
    sample text;
    text.body = "hello";
    const auto made = text.make(7);
    EXPECT_EQ(made.dropped, drop_reason::not_json);
    EXPECT_EQ(made.message.where->offset, 7u);
    EXPECT_TRUE(made.message.routes.empty());
}

TEST(decode, what_is_not_json_can_be_passed_as_base64) {
    sample s;
    s.not_json = contract::not_json_kind::base64;
    s.body = "hello";
    s.properties.headers = amqp::table{{"foz-broadcast", true}};
    EXPECT_NE(s.make().message.routes.at(0).head->find(R"("message":"aGVsbG8=")"), std::string::npos);
}

TEST(decode, a_question_goes_to_one_client_and_has_an_end) {
    sample s;
    s.properties.reply_to = "worker.replies";
    s.properties.correlation_id = "q1";
    s.properties.timestamp = 1000;
    s.properties.expiration = "5000";
    s.properties.headers = amqp::table{{"foz-direct", "[\"c\"]"}};
    const auto made = s.make();
    ASSERT_TRUE(made.message.question);
    const std::string id = made.message.question->id;
    EXPECT_LE(id.size(), 64u);
    EXPECT_NE(made.message.routes.at(0).head->find(R"({"plugin":"primus-responder","requestId":")" + id),
              std::string::npos);
    EXPECT_EQ(s.make().message.question->id, id) << "the same for every aggregator";

    sample endless = s, two = s, everyone = s;
    endless.properties.expiration.reset();
    two.properties.headers = amqp::table{{"foz-direct", "[\"c\",\"d\"]"}};
    everyone.properties.headers = amqp::table{{"foz-broadcast", true}};
    for (sample* wrong : {&endless, &two, &everyone}) EXPECT_EQ(wrong->make().dropped, drop_reason::bad_header);
}

}  // namespace foz::aggregator
