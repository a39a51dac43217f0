// Goal: each event has the members of protocol.md's table, octet for octet, absent ones left out.
#include "envelope/events.hpp"

#include "base/json.hpp"

#include <vector>

#include <gtest/gtest.h>
#include <simdjson.h>

namespace foz::envelope {
namespace {

template <class Event>
std::string written(const Event& event) {
    std::string out = "before";
    append(out, event);
    EXPECT_TRUE(out.starts_with("before"));
    out.erase(0, 6);
    EXPECT_TRUE(is_json(out)) << out;
    return out;
}

constexpr position at{.partition = 0, .offset = 42, .check = 0xbeef};
const std::vector<std::string> warnings{"colour", "a\"b"};

}  // namespace

TEST(events, message) {
    EXPECT_EQ(written(message_event{.channel = "chat", .message = "1"}),
              R"({"event":"message","channel":"chat","via":"broadcast","message":1})");
    EXPECT_EQ(written(message_event{.channel = "chat",
                                    .how = via::multicast,
                                    .topic = "room.1",
                                    .group = "g",
                                    .type = "say",
                                    .id = "i",
                                    .where = at,
                                    .message = "{ \"a\" :\t[1] }"}),
              "{\"event\":\"message\",\"channel\":\"chat\",\"via\":\"multicast\",\"topic\":\"room.1\",\"group\":\"g\","
              "\"type\":\"say\",\"id\":\"i\",\"position\":\"0.42.0000beef\",\"message\":{ \"a\" :\t[1] }}");
    EXPECT_EQ(written(message_event{.channel = "c", .how = via::direct}),
              R"({"event":"message","channel":"c","via":"direct","message":null})");
}

TEST(events, a_message_is_its_head_its_body_and_a_brace) {
    const message_event event{.channel = "chat", .how = via::multicast, .group = "g", .where = at, .message = "[1]"};
    std::string head;
    append_head(head, event);
    EXPECT_EQ(head + "[1]}", written(event));
}

TEST(events, consuming) {
    EXPECT_EQ(written(consuming_event{}), R"({"event":"consuming","channels":{}})");
    const std::vector<std::string_view> topics{"a.*", "#"}, groups{"g"};
    const std::vector<consuming_channel> channels{{.name = "chat", .groups = groups, .where = at},
                                                  {.name = "voice", .topics = topics}};
    EXPECT_EQ(
        written(consuming_event{.id = "i", .channels = channels, .warnings = warnings}),
        R"({"event":"consuming","id":"i","channels":{"chat":{"topics":[],"groups":["g"],"position":"0.42.0000beef"},)"
        R"("voice":{"topics":["a.*","#"],"groups":[]}},"warnings":["colour","a\"b"]})");
}

TEST(events, receipt_and_answer) {
    EXPECT_EQ(written(receipt_event{.id = "i"}), R"({"event":"receipt","id":"i"})");
    EXPECT_EQ(written(receipt_event{.frame = 3, .warnings = warnings}),
              R"({"event":"receipt","frame":3,"warnings":["colour","a\"b"]})");
    EXPECT_EQ(written(answer_event{.id = "i", .message = "[ 1 ]"}), R"({"event":"answer","id":"i","message":[ 1 ]})");
    EXPECT_EQ(written(answer_event{.warnings = warnings}),
              R"({"event":"answer","message":null,"warnings":["colour","a\"b"]})");
}

TEST(events, error) {
    EXPECT_EQ(written(error_event{.code = "bad_envelope", .message = "no"}),
              R"({"event":"error","error":{"code":"bad_envelope","message":"no","retryable":false}})");
    EXPECT_EQ(
        written(error_event{
            .code = "c", .message = "m", .retryable = true, .retry_after_ms = 0, .field = "f", .id = "i", .frame = 9}),
        R"({"event":"error","error":{"code":"c","message":"m","retryable":true,"retry_after_ms":0,"field":"f",)"
        R"("id":"i","frame":9}})");
    EXPECT_EQ(written(error_event{
                  .code = "service", .message = "m", .service_code = "no_such_room", .service = "{ \"room\": 1 }"}),
              R"({"event":"error","error":{"code":"service","message":"m","retryable":false,)"
              R"("service_code":"no_such_room","service":{ "room": 1 }}})");
}

TEST(events, the_others) {
    EXPECT_EQ(written(position_event{.channel = "chat", .where = at}),
              R"({"event":"position","channel":"chat","position":"0.42.0000beef"})");
    EXPECT_EQ(written(gap_event{.channel = "chat"}), R"({"event":"gap","channel":"chat","cause":"retention"})");
    EXPECT_EQ(written(gap_event{.channel = "chat", .cause = gap_cause::too_far, .where = at}),
              R"({"event":"gap","channel":"chat","cause":"too_far","position":"0.42.0000beef"})");
    EXPECT_EQ(written(progress_event{.id = "i", .state = progress_state::retrying, .attempt = 2}),
              R"({"event":"progress","id":"i","state":"retrying","attempt":2})");
    EXPECT_EQ(written(drain_event{.retry_after_ms = 1500}), R"({"event":"drain","retry_after_ms":1500})");
    EXPECT_EQ(written(welcome_event{.client = "c",
                                    .session = "s",
                                    .frame_bytes_max = 1,
                                    .channels_max = 2,
                                    .receivers_max = 3,
                                    .consume_targets_max = 4}),
              R"({"event":"welcome","client":"c","session":"s","limits":{"frame_bytes_max":1,"channels_max":2,)"
              R"("receivers_max":3,"consume_targets_max":4}})");
}

TEST(events, words) {
    using enum gap_cause;
    using enum progress_state;
    std::string all;
    for (const auto c : {retention, recreated, too_far, slow}) all += std::string(to_string(c)) + ' ';
    for (const auto s : {confirmed, taken, retrying, done, dead_lettered}) all += std::string(to_string(s)) + ' ';
    for (const auto v : {via::broadcast, via::multicast, via::direct}) all += std::string(to_string(v)) + ' ';
    EXPECT_EQ(
        all,
        "retention recreated too_far slow confirmed taken retrying done dead_lettered broadcast multicast direct ");
}

TEST(events, strings_survive_a_json_parser_and_the_message_survives_untouched) {
    const std::string odd = "\"\\/\n\x01\xe2\x80\xa8\xf0\x9f\x98\x80";
    for (const std::string message :
         {"{ \"a\" : \"\\u0041\\/\xe2\x80\xa8\" }", "\"\\ud83d\\ude00\"", "[\r\n\t1 , 2 ]", "-0.0"}) {
        const std::string json = written(message_event{.channel = odd, .topic = odd, .id = odd, .message = message});
        EXPECT_TRUE(json.ends_with("\"message\":" + message + "}"));
        simdjson::dom::parser parser;
        const simdjson::dom::element root = parser.parse(json);
        for (const char* key : {"channel", "topic", "id"}) EXPECT_EQ(std::string_view(root[key]), odd);
    }
}

}  // namespace foz::envelope
