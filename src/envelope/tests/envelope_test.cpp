// Goal: each field of protocol.md's envelope is understood, and each wrong one is named.
#include "envelope/envelope.hpp"

#include "base/json.hpp"
#include "envelope/tests/padded.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::envelope {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class envelope_parse : public testing::Test {
protected:
    const envelope& parse(const std::string& text) {
        data_.emplace(text);
        const auto found = parser_.parse(*data_);
        if (!found) ADD_FAILURE() << text << ": " << found.error().field << " " << found.error().text;
        static const envelope nothing;
        return found ? **found : nothing;
    }
    // A publish with these further members.
    const envelope& with(const std::string& members) { return parse(R"({"packet_action":"publish",)" + members + "}"); }

    error refused(const std::string& text) {
        data_.emplace(text);
        const auto found = parser_.parse(*data_);
        if (found) ADD_FAILURE() << text << " is accepted";
        return found ? error{} : found.error();
    }

    parser parser_;
    std::optional<padded> data_;
};

}  // namespace

TEST_F(envelope_parse, the_literal_shape_of_the_protocol) {
    for (const std::string action : {"consume", "publish"}) {
        const envelope& e = parse(R"({
  "packet_action": ")" + action + R"(",
  "channel":       { "voice": false, "chat": true, "tickets": false },
  "distribution":  { "broadcast": true, "multicast": ["group-a"], "direct": ["client-7"] },
  "publish_target": "INBOUND",
  "consume_target": [],
  "message":        {}
})");
        EXPECT_EQ(to_string(e.action), action);
        ASSERT_EQ(e.channels.size(), 3u);
        EXPECT_EQ(e.channels[0].name, "voice");
        EXPECT_FALSE(e.channels[0].on);
        EXPECT_EQ(e.channels[1].name, "chat");
        EXPECT_TRUE(e.channels[1].on);
        EXPECT_FALSE(e.channels[2].on);
        EXPECT_TRUE(e.to.broadcast);
        EXPECT_THAT(e.to.multicast, ElementsAre("group-a"));
        EXPECT_THAT(e.to.direct, ElementsAre("client-7"));
        EXPECT_EQ(e.publish_target, "INBOUND");
        EXPECT_TRUE(e.consume_target.empty());
        EXPECT_TRUE(e.has_message);
        EXPECT_EQ(e.message, "{}");
        EXPECT_TRUE(e.warnings.empty());
    }
}

TEST_F(envelope_parse, what_is_absent) {
    const envelope& e = parse(R"({"packet_action":"leave"})");
    EXPECT_EQ(e.action, packet_action::leave);
    EXPECT_FALSE(e.has_channel);
    EXPECT_TRUE(e.channels.empty() && e.to.empty() && e.consume_target.empty() && e.from.empty() && e.warnings.empty());
    EXPECT_TRUE(e.publish_target.empty() && e.id.empty() && e.type.empty() && e.topic.empty() && e.token.empty());
    EXPECT_FALSE(e.has_message);
    EXPECT_EQ(e.message, "null");
    EXPECT_FALSE(e.expires_ms || e.timeout_ms || e.ack || e.fail_fast || e.progress);
}

TEST_F(envelope_parse, every_other_field) {
    const envelope& e = with(R"("channel":"chat","id":"m1","type":"say","topic":"room.1","expires_ms":60000,
        "timeout_ms":0,"fail_fast":true,"progress":true,"ack":"answer","consume_target":["room.*","#"],
        "message":[1],"token":"ey.J","from":"now")");
    EXPECT_TRUE(e.has_channel);
    ASSERT_EQ(e.channels.size(), 1u);
    EXPECT_EQ(e.channels[0].name, "chat");
    EXPECT_TRUE(e.channels[0].on);
    EXPECT_EQ(e.id, "m1");
    EXPECT_EQ(e.type, "say");
    EXPECT_EQ(e.topic, "room.1");
    EXPECT_EQ(e.expires_ms, 60000u);
    EXPECT_EQ(e.timeout_ms, 0u);
    EXPECT_TRUE(e.fail_fast && e.progress);
    EXPECT_EQ(e.ack, ack_mode::answer);
    EXPECT_THAT(e.consume_target, ElementsAre("room.*", "#"));
    EXPECT_EQ(e.token, "ey.J");
    for (const auto mode : {ack_mode::none, ack_mode::confirmed, ack_mode::answer})
        EXPECT_EQ(with("\"ack\":\"" + std::string(to_string(mode)) + "\"").ack, mode);
    EXPECT_THAT(with(R"("consume_target":"room.#")").consume_target, ElementsAre("room.#"));
    EXPECT_EQ(parse(R"({"token":"t","packet_action":"refresh"})").action, packet_action::refresh);
}

TEST_F(envelope_parse, strings_and_keys_are_unescaped) {
    const envelope& e = parse(
        R"({"packet\u005faction":"pub\u006cish","id":"\u00e9\"\\\/","channel":{"ch\u0061t":true},"distribution":{"dir\u0065ct":["\ud83d\ude00"]}})");
    EXPECT_EQ(e.action, packet_action::publish);
    EXPECT_EQ(e.id, "\xc3\xa9\"\\/");
    EXPECT_EQ(e.channels[0].name, "chat");
    EXPECT_THAT(e.to.direct, ElementsAre("\xf0\x9f\x98\x80"));
}

TEST_F(envelope_parse, a_message_is_the_octets_that_came) {
    for (const std::string message : {"0", "-1.50e+07", "true", "null", "\"\"", "[]", "{}", "[ ]",
                                      "{ \"a\"\t: [1 ,\r\n2] }", "\"\\u0041\\/\\ud83d\\ude00\"", "\"\xe2\x80\xa8\"",
                                      "\"}],\\\"\\\\\"", "[[[[{}]]]]", "{\"id\":1,\"id\":2,\"packet_action\":3}"}) {
        for (const std::string gap : {"", " ", "\t\n"}) {
            EXPECT_EQ(with("\"message\":" + gap + message + gap).message, message);
            EXPECT_EQ(with("\"message\":" + gap + message + gap + ",\"id\":\"x\"").message, message);
            EXPECT_EQ(parse("{\"message\":" + gap + message + gap + ",\"packet_action\":\"publish\"}").message,
                      message);
        }
    }
    const std::string_view data = *data_;
    const auto found = parser_.parse(data);
    ASSERT_TRUE(found);
    EXPECT_GE((*found)->message.data(), data.data());  // a view, not a copy
    EXPECT_LE((*found)->message.data() + (*found)->message.size(), data.data() + data.size());
}

TEST_F(envelope_parse, where_to_resume) {
    using kind = resume_from::kind;
    EXPECT_EQ(with(R"("from":"now")").from[0].from.what, kind::now);
    EXPECT_EQ(with(R"("from":"first")").from[0].from.what, kind::first);
    const auto at = with(R"("from":"0.42.0000beef")").from[0];
    EXPECT_TRUE(at.channel.empty());
    EXPECT_EQ(at.from.what, kind::at);
    EXPECT_EQ(at.from.where, (position{0, 42, 0xbeef}));
    const auto since = with(R"("from":{"since_ms":1700000000123})").from[0];
    EXPECT_EQ(since.from.what, kind::since);
    EXPECT_EQ(since.from.since_ms, 1700000000123u);

    const envelope& map = with(R"("from":{"chat":"0.1.00000002","voice":"now","tickets":{"since_ms":7},"x":"first"})");
    ASSERT_EQ(map.from.size(), 4u);
    EXPECT_EQ(map.from[0].channel, "chat");
    EXPECT_EQ(map.from[0].from.where, (position{0, 1, 2}));
    EXPECT_EQ(map.from[1].from.what, kind::now);
    EXPECT_EQ(map.from[2].from.since_ms, 7u);
    EXPECT_EQ(map.from[3].from.what, kind::first);
    EXPECT_TRUE(with(R"("from":{})").from.empty());
}

TEST_F(envelope_parse, unknown_fields_are_named_once_and_ignored) {
    const envelope& e = with(
        R"("colour":{"packet_action":"leave"},"id":"a","colour":1,"distribution":{"multi_cast":["x"]},"from":{"chat":{"since_ms":1,"y":2}})");
    EXPECT_THAT(e.warnings, ElementsAre("colour", "distribution.multi_cast", "from.y"));
    EXPECT_EQ(e.id, "a");
    EXPECT_TRUE(with("\"id\":\"b\"").warnings.empty());
}

TEST_F(envelope_parse, every_field_of_a_wrong_type_is_named) {
    struct row {
        std::string field, members;
    };
    const std::vector<row> rows{
        {"packet_action", R"("packet_action":1)"},
        {"channel", R"("channel":["chat"])"},
        {"channel", R"("channel":null)"},
        {"channel", R"("channel":"")"},
        {"channel.chat", R"("channel":{"chat":"true"})"},
        {"channel.chat", R"("channel":{"chat":1})"},
        {"channel.", R"("channel":{"":true})"},
        {"distribution", R"("distribution":[])"},
        {"distribution", R"("distribution":"broadcast")"},
        {"distribution.broadcast", R"("distribution":{"broadcast":1})"},
        {"distribution.multicast", R"("distribution":{"multicast":"group-a"})"},
        {"distribution.multicast", R"("distribution":{"multicast":[1]})"},
        {"distribution.multicast", R"("distribution":{"multicast":[""]})"},
        {"distribution.direct", R"("distribution":{"direct":{}})"},
        {"distribution.direct", R"("distribution":{"direct":["a",null]})"},
        {"distribution.direct", R"("distribution":{"direct":["a\u0000"]})"},
        {"publish_target", R"("publish_target":{})"},
        {"publish_target", R"("publish_target":"")"},
        {"consume_target", R"("consume_target":{})"},
        {"consume_target", R"("consume_target":1)"},
        {"consume_target", R"("consume_target":[1])"},
        {"consume_target", R"("consume_target":["a*"])"},
        {"consume_target", R"("consume_target":"")"},
        {"id", R"("id":7)"},
        {"id", R"("id":null)"},
        {"id", R"("id":"a\u000a")"},
        {"id", R"("id":"\udc00")"},
        {"type", R"("type":[])"},
        {"topic", R"("topic":false)"},
        {"topic", R"("topic":"a.*")"},
        {"topic", R"("topic":"a..b")"},
        {"expires_ms", R"("expires_ms":"1")"},
        {"expires_ms", R"("expires_ms":-1)"},
        {"expires_ms", R"("expires_ms":1.5)"},
        {"timeout_ms", R"("timeout_ms":null)"},
        {"timeout_ms", R"("timeout_ms":18446744073709551615)"},
        {"fail_fast", R"("fail_fast":0)"},
        {"fail_fast", R"("fail_fast":"true")"},
        {"ack", R"("ack":true)"},
        {"ack", R"("ack":"Answer")"},
        {"progress", R"("progress":{})"},
        {"from", R"("from":1)"},
        {"from", R"("from":[])"},
        {"from", R"("from":"yesterday")"},
        {"from", R"("from":"0.1.2")"},
        {"from.since_ms", R"("from":{"since_ms":"1"})"},
        {"from.chat", R"("from":{"chat":1})"},
        {"from.chat", R"("from":{"chat":{}})"},
        {"from.chat", R"("from":{"chat":"x"})"},
        {"from.chat.since_ms", R"("from":{"chat":{"since_ms":-1}})"},
        {"from", R"("from":{"since_ms":1,"chat":"now"})"},
        {"from", R"("from":{"chat":"now","since_ms":1})"},
        {"token", R"("token":{})"},
    };
    for (const row& r : rows) {
        // Alone, before and after another member.
        for (const std::string& text :
             {"{" + r.members + "}", "{\"z\":[],\"x\":1," + r.members + "}", "{" + r.members + ",\"y\":1}"}) {
            const error wrong = refused(text);
            EXPECT_EQ(wrong.code, "bad_envelope") << text;
            EXPECT_EQ(wrong.field, r.field) << text;
            EXPECT_FALSE(wrong.text.empty()) << text;
        }
    }
}

TEST_F(envelope_parse, an_unknown_action_is_told_the_known_ones) {
    for (const std::string action : {"subscribe", "", "Publish", "consume | publish"}) {
        const error wrong = refused("{\"packet_action\":\"" + action + "\"}");
        EXPECT_EQ(wrong.code, "unknown_action");
        EXPECT_EQ(wrong.field, "packet_action");
        EXPECT_THAT(wrong.text, HasSubstr("consume, publish, leave, cancel, refresh"));
        EXPECT_TRUE(is_json(json_string(wrong.text)));
    }
}

TEST_F(envelope_parse, what_must_be_there) {
    EXPECT_EQ(refused("{}").field, "packet_action");
    EXPECT_EQ(refused("{}").code, "bad_envelope");
    EXPECT_EQ(refused(R"({"packet_action":"refresh"})").field, "token");
    for (const char* text : {"", " ", "1", "null", "[]", "\"publish\"", "true", "[{\"packet_action\":\"publish\"}]"}) {
        const error wrong = refused(text);
        EXPECT_EQ(wrong.code, "bad_envelope") << text;
        EXPECT_TRUE(wrong.field.empty()) << text;
    }
}

TEST_F(envelope_parse, a_field_given_twice_is_refused) {
    for (const auto& [members, field] : std::vector<std::pair<std::string, std::string>>{
             {R"("packet_action":"publish","packet_action":"publish")", "packet_action"},
             {R"("message":1,"message":1)", "message"},
             {R"("id":"a","\u0069d":"b")", "id"},
             {R"("channel":{"chat":true,"chat":false})", "channel.chat"},
             {R"("distribution":{"broadcast":true,"broadcast":true})", "distribution.broadcast"},
             {R"("distribution":{"direct":[],"direct":[]})", "distribution.direct"},
             {R"("from":{"chat":"now","chat":"now"})", "from.chat"},
             {R"("from":{"chat":{"since_ms":1,"since_ms":1}})", "from.chat.since_ms"}})
        EXPECT_EQ(refused("{" + members + "}").field, field) << members;
}

TEST_F(envelope_parse, an_error_names_the_envelope_by_its_id) {
    EXPECT_EQ(refused(R"({"packet_action":"publish","type":7,"id":"a1"})").id, "a1") << "the id comes later";
    EXPECT_EQ(refused(R"({"id":"a1","packet_action":"fly"})").id, "a1");
    EXPECT_EQ(refused(R"({"type":7})").id, "");
    EXPECT_EQ(refused(R"({"packet_action":"publish","id":7})").id, "") << "no right one";
    EXPECT_EQ(refused(R"([1])").id, "");
}

TEST_F(envelope_parse, nothing_is_left_from_the_envelope_before) {
    with(R"("channel":"chat","distribution":{"direct":["a"],"multicast":["b"]},"consume_target":["a"],"id":"x",
        "message":1,"from":"first","unknown":1,"ack":"none","expires_ms":1,"progress":true)");
    refused(R"({"packet_action":"publish","channel":"chat","id":1})");
    const envelope& e = parse(R"({"packet_action":"consume"})");
    EXPECT_TRUE(e.channels.empty() && e.to.empty() && e.consume_target.empty() && e.from.empty() && e.warnings.empty());
    EXPECT_TRUE(e.id.empty() && !e.has_message && !e.has_channel && !e.ack && !e.expires_ms && !e.progress);
}

TEST_F(envelope_parse, octets_that_are_not_json_do_no_harm) {
    const std::string whole =
        R"({"packet_action":"publish","channel":{"chat":true},"from":{"chat":{"since_ms":1}},"message":{"a":[1,"\u0041"]}})";
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const padded cut(whole.substr(0, size));
        (void)parser_.parse(cut);
        std::string hole = whole;
        hole[size] = '"';
        const padded broken(hole);
        (void)parser_.parse(broken);
    }
    EXPECT_EQ(parse(whole).message, "{\"a\":[1,\"\\u0041\"]}");
}

}  // namespace foz::envelope
