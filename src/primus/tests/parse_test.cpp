// Goal: every frame that a Primus client can send, and every one that it should not, gives the packet that packet.hpp
// says.
#include "base/json.hpp"
#include "primus/packet.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace foz::primus {
namespace {

using kind = packet_kind;

struct seen {
    kind is = kind::data;
    std::uint64_t ms = 0;
    std::string id, data, control;
    friend bool operator==(const seen&, const seen&) = default;
    friend void PrintTo(const seen& s, std::ostream* out) {
        *out << static_cast<int>(s.is) << " ms=" << s.ms << " id=" << s.id << " data=" << s.data
             << " control=" << s.control;
    }
};

seen parse(std::string_view frame) {
    parser p;
    const auto found = p.parse(frame);
    if (!found) return {.control = "error " + std::string(found.error().text)};
    return {found->kind, found->ms, std::string(found->id), std::string(found->data), std::string(found->control)};
}

std::string error_of(std::string_view frame) {
    parser p;
    const auto found = p.parse(frame);
    if (found) return "none";
    EXPECT_FALSE(found.error().text.empty()) << frame;
    std::string out(to_string(found.error().code));
    if (!found.error().field.empty()) out += " " + std::string(found.error().field);
    return out;
}

}  // namespace

TEST(primus_parse, control_strings) {
    EXPECT_EQ(parse("\"primus::pong::1700000000123\""), (seen{.is = kind::pong, .ms = 1700000000123}));
    EXPECT_EQ(parse("\"primus::ping::5\""), (seen{.is = kind::ping, .ms = 5}));
    EXPECT_EQ(parse("\"primus::id::\""), (seen{.is = kind::id}));
    EXPECT_EQ(parse("\"primus::pong::NaN\""), (seen{.is = kind::pong}));
    EXPECT_EQ(parse("\"primus::pong::99999999999999999999\""), (seen{.is = kind::pong}));
    for (const std::string odd : {"primus::", "primus::what", "primus::ping::x", "primus::ping::", "primus::pong:1",
                                  "primus::id:", "primus::server::close", "primus::ping::99999999999999999999"})
        EXPECT_EQ(parse('"' + odd + '"'), (seen{.is = kind::unknown_control, .control = odd}));
    for (const char* plain : {"\"primus:id\"", "\"primus\"", "\"\"", "\"Primus::id::\"", "\" primus::id::\""})
        EXPECT_EQ(parse(plain), (seen{.is = kind::data, .data = plain}));
}

TEST(primus_parse, control_strings_in_any_spelling) {
    EXPECT_EQ(parse(" \t\"primus::id::\"\r\n"), (seen{.is = kind::id}));
    EXPECT_EQ(parse("\"\\u0070rimus::id::\""), (seen{.is = kind::id}));
    EXPECT_EQ(parse("\"primus::ping\\u003a:7\""), (seen{.is = kind::ping, .ms = 7}));
    EXPECT_EQ(parse("\"primus::a\\n\xc3\xa9\""), (seen{.is = kind::unknown_control, .control = "primus::a\n\xc3\xa9"}));
    for (const char* broken : {"\"primus::id::", "\"primus::id::\" 1", "\"primus::\x01\"", "\"primus::\xff\"",
                               "\"primus::\\x\"", "\"primus::\"\"", "xprimus::id::\"", "primus::id::"})
        EXPECT_EQ(error_of(broken), "bad_json") << broken;
}

TEST(primus_parse, a_bare_null_is_told_apart) {
    EXPECT_EQ(parse("null"), (seen{.is = kind::null}));
    EXPECT_EQ(parse(" null\n"), (seen{.is = kind::null}));
}

TEST(primus_parse, responder_frames_in_any_order_and_spelling) {
    const seen expected{.is = kind::request, .id = "r1", .data = "{ \"a\" : [1, 2]\t}"};
    for (const char* frame : {
             "{\"plugin\":\"primus-responder\",\"requestId\":\"r1\",\"data\":{ \"a\" : [1, 2]\t}}",
             " {\"data\" : { \"a\" : [1, 2]\t} , \"requestId\":\"r1\", \"x\":{\"data\":1}, "
             "\"plugin\":\"primus-responder\"} ",
             "{\"\\u0070lugin\":\"primus\\u002dresponder\",\"request\\u0049d\":\"\\u00721\","
             "\"d\\u0061ta\":{ \"a\" : [1, 2]\t}}",
         })
        EXPECT_EQ(parse(frame), expected) << frame;
    EXPECT_EQ(parse(R"({"plugin":"primus-responder","responseId":"r2","data":"\u00e9"})"),
              (seen{.is = kind::response, .id = "r2", .data = "\"\\u00e9\""}));
    EXPECT_EQ(parse(R"({"plugin":"primus-responder","requestId":"r3"})"),
              (seen{.is = kind::request, .id = "r3", .data = "null"}));
    // The plugin looks at requestId first.
    EXPECT_EQ(parse(R"({"plugin":"primus-responder","responseId":"b","requestId":"a"})").is, kind::request);
}

TEST(primus_parse, data_of_a_request_is_the_octets_that_came) {
    for (const std::string data :
         {"1", "-0.0e+1", "true", "null", "\"\"", "[]", "{}", "[ ]", "{ }", "[[[]]]", "\"}]\\\"\"",
          "{ \"a\"\t:\r\n[1 , {\"b\":\"\\u2028\"}] }", "\"\xe2\x80\xa8\"", "18446744073709551615", "\" \\\\\""}) {
        for (const std::string gap : {"", " ", "\n\t "}) {
            const seen expected{.is = kind::request, .id = "r", .data = data};
            EXPECT_EQ(parse(R"({"plugin":"primus-responder","requestId":"r","data":)" + gap + data + gap + "}"),
                      expected);
            EXPECT_EQ(parse(R"({"data":)" + gap + data + gap + R"(,"plugin":"primus-responder","requestId":"r"})"),
                      expected);
        }
    }
}

TEST(primus_parse, everything_else_is_data) {
    for (const char* frame :
         {"1", "[1, 2]", "[]", "\"x\"", "{}", "true", R"({ "plugin" : "other", "requestId":5 })",
          R"({"plugin":["primus-responder"]})", R"({"plugin":null})", R"({"x":{"plugin":"primus-responder"}})",
          R"([{"plugin":"primus-responder"}])", R"({"data":1,"data":2})", R"({"message":"\ud83d\ude00"})"}) {
        EXPECT_EQ(parse(frame), (seen{.data = frame}));
        EXPECT_EQ(parse("\n " + std::string(frame) + "\t"), (seen{.data = frame}));
    }
}

TEST(primus_parse, what_is_not_one_json_value_is_bad_json) {
    using namespace std::string_view_literals;
    for (const auto frame : {""sv, " "sv, "{"sv, "{}{}"sv, "nul"sv, "nullx"sv, "null null"sv, "{\"a\":01}"sv,
                             "\"\xff\""sv, "{\"a\":tru}"sv, "{\"plugin\":\"primus-responder\",}"sv, "\xef\xbb\xbf{}"sv,
                             "{}\0"sv, "\0"sv, "\"\n\""sv, "'a'"sv, "[1,]"sv})
        EXPECT_EQ(error_of(frame), "bad_json") << frame;
    EXPECT_EQ(error_of(std::string(2000, '[') + std::string(2000, ']')), "bad_json");
}

TEST(primus_parse, what_simdjson_refuses_although_it_is_json) {
    for (const char* half :
         {"\\ud800", "\\udbff", "\\udc00", "\\udfff", "\\ud83d\\u0041", "\\ud83d\\ud83d", "\\ude00\\ud83d"}) {
        EXPECT_EQ(error_of('"' + std::string(half) + '"'), "bad_json") << half;
        EXPECT_EQ(error_of("{\"" + std::string(half) + "\":1}"), "bad_json") << half;
        EXPECT_EQ(error_of(R"({"plugin":"primus-responder","requestId":")" + std::string(half) + "\"}"), "bad_json")
            << half;
    }
    EXPECT_EQ(error_of("100000000000000000000"), "bad_json");
    EXPECT_EQ(error_of("1e400"), "bad_json");
}

TEST(primus_parse, what_is_wrong_in_a_responder_frame_is_named) {
    for (const std::string key : {"requestId", "responseId"}) {
        const std::string begin = R"({"plugin":"primus-responder",")" + key + "\":";
        for (const std::string id :
             {"1", "null", "\"\"", "{}", "[\"r\"]", "true", "\"a\\u0000\"", "\"a\\n\"", "\"\\u007f\""})
            EXPECT_EQ(error_of(begin + id + "}"), "bad_request " + key) << id;
        EXPECT_EQ(error_of(begin + '"' + std::string(64, 'r') + "\"}"), "none");
        EXPECT_EQ(error_of(begin + '"' + std::string(65, 'r') + "\"}"), "bad_request " + key);
        EXPECT_EQ(error_of(begin + "\"a\",\"" + key + "\":\"a\"}"), "bad_request " + key);
    }
    EXPECT_EQ(error_of(R"({"plugin":"primus-responder"})"), "bad_request requestId");
    EXPECT_EQ(error_of(R"({"plugin":"x","plugin":"primus-responder","requestId":"r"})"), "bad_request plugin");
    EXPECT_EQ(error_of(R"({"plugin":"primus-responder","plugin":"x","requestId":"r"})"), "bad_request plugin");
    EXPECT_EQ(error_of(R"({"plugin":"primus-responder","requestId":"r","data":1,"d\u0061ta":1})"), "bad_request data");
}

TEST(primus_parse, a_truncated_frame_is_never_taken_for_a_whole_one) {
    for (const std::string frame : {R"({"plugin":"primus-responder","requestId":"r","data":{"a":[1,"x"]}})",
                                    "\"primus::pong::1700000000123\"", R"({"packet_action":"consume"})"})
        for (std::size_t size = 0; size < frame.size(); ++size)
            EXPECT_EQ(error_of(std::string_view(frame).substr(0, size)), "bad_json") << size;
}

TEST(primus_parse, data_has_the_padding_behind_it_for_every_size) {
    parser p;
    unsigned sum = 0;
    for (std::size_t size = 1; size < 9000; size += size < 200 ? 1 : 97) {
        const std::string text = '"' + std::string(size, 'x') + '"';
        for (const std::string& frame : {text, R"({"plugin":"primus-responder","requestId":"r","data":)" + text + "}",
                                         std::string(R"({"plugin":"primus-responder","requestId":"r"})")}) {
            // From the heap and no longer than needed, so that a sanitizer sees every read behind it.
            const std::vector<char> exact(frame.begin(), frame.end());
            const auto found = p.parse({exact.data(), exact.size()});
            ASSERT_TRUE(found);
            for (std::size_t i = 0; i < found->data.size() + 64; ++i)
                sum += static_cast<unsigned char>(found->data.data()[i]);
        }
    }
    EXPECT_GT(sum, 0u);
}

TEST(primus_parse, a_parser_can_be_used_again_and_moved) {
    parser p;
    EXPECT_FALSE(p.parse("{"));
    ASSERT_TRUE(p.parse(R"({"plugin":"primus-responder","requestId":"r","data":[1]})"));
    parser q = std::move(p);
    const auto found = q.parse(R"({"plugin":"primus-responder","responseId":"s","data":[2]})");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->id, "s");
    EXPECT_EQ(found->data, "[2]");
}

}  // namespace foz::primus
