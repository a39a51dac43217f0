// A PROXY protocol header from somebody from whom none is expected: closed without a word.
#include "ws/conn/tests/rig.hpp"

#include <gtest/gtest.h>

namespace foz::ws {

using namespace test;

namespace {

const std::string line = "PROXY TCP4 192.0.2.7 10.0.0.1 56789 443\r\n";
const std::string binary = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\7\x0a\0\0\1\xdd\xd5\1\xbb"s;

}  // namespace

TEST(ws_proxy_head, that_is_not_expected_closes_the_connection) {
    for (const std::string& head : {line, binary})
        for (std::size_t split = 0; split < head.size(); ++split) {
            rig r;
            if (split > 0) r.wire->receive(head.substr(0, split));
            if (!r.wire->ended()) r.wire->receive(head.substr(split) + get("/"));
            EXPECT_EQ(r.proxy_heads, 1) << split;
            EXPECT_EQ(r.gone, 1) << split;
            EXPECT_TRUE(r.wire->ended()) << split;
            EXPECT_TRUE(r.log.empty()) << split;
            EXPECT_EQ(r.wire->take(), "") << split;
        }
}

TEST(ws_proxy_head, is_looked_for_at_the_beginning_alone) {
    rig r;
    r.wire->receive(get("/") + line + "\r\n");
    EXPECT_EQ(r.proxy_heads, 0);
    const std::string heard = r.wire->take();
    EXPECT_NE(heard.find("HTTP/1.1 200"), std::string::npos) << heard;
    EXPECT_NE(heard.find("HTTP/1.1 400"), std::string::npos) << heard;
}

TEST(ws_proxy_head, empty_lines_before_a_request_are_none) {
    for (const std::string& before : {"\r\n"s, "\r\n\r\n"s, "\r\n\r\n\r\n"s}) {
        rig r;
        for (const char c : before + get("/")) r.wire->receive(std::string(1, c));
        EXPECT_EQ(r.proxy_heads, 0);
        EXPECT_NE(r.wire->take().find("HTTP/1.1 200"), std::string::npos);
    }
}

}  // namespace foz::ws
