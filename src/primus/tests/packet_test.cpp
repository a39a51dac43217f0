#include "primus/packet.hpp"

#include "base/json.hpp"
#include "primus/spec.hpp"

#include <gtest/gtest.h>

namespace foz::primus {
namespace {

using kind = packet::kind;

struct seen {
    kind is;
    std::string id, data;
    std::int64_t time_ms;
    friend bool operator==(const seen&, const seen&) = default;
    friend void PrintTo(const seen& s, std::ostream* out) {
        *out << static_cast<int>(s.is) << " id=" << s.id << " data=" << s.data << " time=" << s.time_ms;
    }
};

seen parse(const std::string& text) {
    static parser p;
    const auto result = p.parse(text);
    if (!result) return {kind::data, "error", std::string(result.error().code), -1};
    return {result->is, std::string(result->id), std::string(result->data), result->time_ms};
}

std::string error_of(const std::string& text) {
    parser p;
    const auto result = p.parse(text);
    return result ? "none" : std::string(result.error().code) + " " + std::string(result.error().field);
}

}  // namespace

TEST(primus_packet, control_strings) {
    EXPECT_EQ(parse("\"primus::pong::1700000000123\""), (seen{kind::pong, "", "", 1700000000123}));
    EXPECT_EQ(parse("\"primus::ping::5\""), (seen{kind::ping, "", "", 5}));
    EXPECT_EQ(parse("\"primus::id::\""), (seen{kind::id_request, "", "", 0}));
    EXPECT_EQ(parse(" \"primu\\u0073::id::\" ").is, kind::id_request);
    for (const char* odd : {"\"primus::pong::\"", "\"primus::pong::x\"", "\"primus::what\"", "\"primus::\"",
                            "\"primus::id::x\"", "\"primus::pong::99999999999999999999\""})
        EXPECT_EQ(parse(odd).is, kind::unknown_control) << odd;
    EXPECT_EQ(parse("\"primus:id\"").is, kind::data);
}

TEST(primus_packet, responder_frames_in_any_order_and_spelling) {
    const seen expected{kind::request, "r1", "{ \"a\" : [1, 2] }", 0};
    EXPECT_EQ(parse(R"({"plugin":"primus-responder","requestId":"r1","data":{ "a" : [1, 2] }})"), expected);
    EXPECT_EQ(parse(R"( {"data":{ "a" : [1, 2] } , "requestId":"r1", "x":{}, "plugin":"primus-responder"} )"),
              expected);
    EXPECT_EQ(parse(R"({"\u0070lugin":"primus-responder","requestId":"\u00721","data":{ "a" : [1, 2] }})"), expected);
    EXPECT_EQ(
        parse(R"({"plugin":"primus-responder","requestId":"x","requestId":"r1","data":1,"data":{ "a" : [1, 2] }})"),
        expected);
    EXPECT_EQ(parse(R"({"plugin":"primus-responder","responseId":"r2","data":"\u00e9"})"),
              (seen{kind::response, "r2", "\"\\u00e9\"", 0}));
    EXPECT_EQ(parse(R"({"plugin":"primus-responder","requestId":"r3"})"), (seen{kind::request, "r3", "null", 0}));
}

TEST(primus_packet, everything_else_is_data_byte_for_byte) {
    for (const char* text :
         {"1", "null", "[1, 2]", "\"x\"", "{}", R"({ "plugin" : "other", "requestId":"r" })",
          R"({"plugin":["primus-responder"]})", R"({"packet_action":"publish","message":"\ud83d\ude00"})"})
        EXPECT_EQ(parse(text), (seen{kind::data, "", text, 0})) << text;
}

TEST(primus_packet, what_is_wrong_is_named) {
    for (const char* text : {"", " ", "{", "{}{}", "nul", "{\"a\":01}", "\"\xff\"",
                             "{\"plugin\":\"primus-responder\",}", R"({"data":{"a":tru}})"})
        EXPECT_EQ(error_of(text), "bad_json ") << text;
    for (const char* id : {"1", "null", "\"\"", "{}", "[\"r\"]"})
        EXPECT_EQ(error_of(std::string(R"({"plugin":"primus-responder","requestId":)") + id + "}"),
                  "bad_request requestId")
            << id;
    EXPECT_EQ(error_of(R"({"plugin":"primus-responder","requestId":")" + std::string(65, 'r') + "\"}"),
              "bad_request requestId");
    EXPECT_EQ(error_of(R"({"plugin":"primus-responder"})"), "bad_request responseId");
    EXPECT_EQ(error_of(R"({"plugin":"primus-responder","responseId":5})"), "bad_request responseId");
}

TEST(primus_packet, what_is_written_is_understood_by_the_parser_and_is_json) {
    std::string out;
    append_response(out, "r\"1", "{\"x\":1}");
    EXPECT_EQ(out, R"({"plugin":"primus-responder","responseId":"r\"1","data":{"x":1}})");
    EXPECT_EQ(parse(out), (seen{kind::response, "r\"1", "{\"x\":1}", 0}));
    out.clear();
    append_request(out, "q", "null");
    EXPECT_EQ(parse(out), (seen{kind::request, "q", "null", 0}));
    out.clear();
    append_ping(out, 42);
    EXPECT_EQ(out, "\"primus::ping::42\"");
    out.clear();
    append_pong(out, 42);
    append_id(out, "abc");
    append_server_close(out);
    EXPECT_EQ(out, "\"primus::pong::42\"\"primus::id::abc\"\"primus::server::close\"");
    EXPECT_TRUE(is_json(spec_json(std::chrono::seconds(30), "/primus")));
}

}  // namespace foz::primus
