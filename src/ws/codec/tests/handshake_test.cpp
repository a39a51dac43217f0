#include "ws/codec/handshake.hpp"

#include <gtest/gtest.h>

namespace foz::ws {
namespace {

// RFC 6455 §1.3.
upgrade_request good() {
    return {.method = "GET",
            .http_version = 11,
            .upgrade = "websocket",
            .connection = "keep-alive, Upgrade",
            .version = "13",
            .key = "dGhlIHNhbXBsZSBub25jZQ=="};
}

unsigned status_of(const upgrade_request& request) {
    const auto judged = judge_upgrade(request);
    return judged ? 101 : judged.error().status;
}

}  // namespace

TEST(handshake, gives_the_rfc_s_example) {
    EXPECT_EQ(judge_upgrade(good()), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(handshake, each_flaw_has_its_status) {
    auto r = good();
    r.method = "POST";
    EXPECT_EQ(status_of(r), 405u);
    r = good(), r.http_version = 10;
    EXPECT_EQ(status_of(r), 400u);
    r = good(), r.upgrade = "";
    EXPECT_EQ(status_of(r), 426u);
    r = good(), r.upgrade = "h2c, WebSocket";
    EXPECT_EQ(status_of(r), 101u);
    r = good(), r.connection = "keep-alive";
    EXPECT_EQ(status_of(r), 400u);
    r = good(), r.version = "8";
    EXPECT_EQ(status_of(r), 426u);
    for (const char* key : {"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=A",
                            "dGhlIHNhbXBsZSBub25jZ_==", "dGhlIHNhbXBsZSBub25jZQAA"}) {
        r = good(), r.key = key;
        EXPECT_EQ(status_of(r), 400u) << key;
    }
}

}  // namespace foz::ws
