// Goal: what is written is what Primus 8.0.9 and primus-responder 1.0.4 write, octet for octet, and is understood
// again.
#include "base/json.hpp"
#include "primus/packet.hpp"
#include "primus/spec.hpp"

#include <type_traits>

#include <gtest/gtest.h>

namespace foz::primus {
namespace {

template <class... Arguments>
std::string written(void (*append)(std::string&, Arguments...), std::type_identity_t<Arguments>... arguments) {
    std::string out = "before";
    append(out, arguments...);
    EXPECT_TRUE(out.starts_with("before"));
    out.erase(0, 6);
    EXPECT_TRUE(is_json(out)) << out;
    return out;
}

}  // namespace

TEST(primus_encode, control_strings) {
    EXPECT_EQ(written(append_ping, 1700000000123), "\"primus::ping::1700000000123\"");
    EXPECT_EQ(written(append_pong, 0), "\"primus::pong::0\"");
    EXPECT_EQ(written(append_pong, UINT64_MAX), "\"primus::pong::18446744073709551615\"");
    EXPECT_EQ(written(append_id, "abc"), "\"primus::id::abc\"");
    EXPECT_EQ(written(append_id, "a\"\xe2\x80\xa8"), "\"primus::id::a\\\"\\u2028\"");
    EXPECT_EQ(written(append_server_close), "\"primus::server::close\"");
}

TEST(primus_encode, responder_frames) {
    EXPECT_EQ(written(append_request, "r1", "{ \"x\" : 1 }"),
              R"({"plugin":"primus-responder","requestId":"r1","data":{ "x" : 1 }})");
    EXPECT_EQ(written(append_response, "r\"1", "null"),
              R"({"plugin":"primus-responder","responseId":"r\"1","data":null})");
}

TEST(primus_encode, what_is_written_is_understood) {
    parser p;
    for (const std::string data : {"{}", "[1 ,2]", "\"\xe2\x80\xa8\\u2028\"", "-1", "{\"a\":\n{}}"}) {
        for (const std::string id : {"r", "\"\\/", "\xe2\x80\xa9", "\xf0\x9f\x98\x80"}) {
            const auto request = p.parse(written(append_request, id, data));
            ASSERT_TRUE(request);
            EXPECT_EQ(request->kind, packet_kind::request);
            EXPECT_EQ(request->id, id);
            EXPECT_EQ(request->data, data);
            const auto response = p.parse(written(append_response, id, data));
            ASSERT_TRUE(response);
            EXPECT_EQ(response->kind, packet_kind::response);
            EXPECT_EQ(response->id, id);
            EXPECT_EQ(response->data, data);
        }
    }
}

// As `JSON.stringify(primus.spec)` of the real server gives it.
TEST(primus_encode, specification) {
    EXPECT_EQ(
        spec_json({}),
        R"({"pingInterval":30000,"pathname":"/primus","version":"8.0.9","parser":"json","transformer":"websockets"})");
    EXPECT_EQ(
        spec_json({.pathname = "/a\"b", .ping_interval = std::chrono::milliseconds(1500)}),
        R"({"pingInterval":1500,"pathname":"/a\"b","version":"8.0.9","parser":"json","transformer":"websockets"})");
}

}  // namespace foz::primus
