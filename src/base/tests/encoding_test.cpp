#include "base/encoding.hpp"

#include "base/digest.hpp"
#include "base/random.hpp"

#include <gtest/gtest.h>

namespace foz {

// RFC 4648 §10.
TEST(encoding, gives_the_vectors_of_the_rfc) {
    EXPECT_EQ(base64(""), "");
    EXPECT_EQ(base64("f"), "Zg==");
    EXPECT_EQ(base64("fo"), "Zm8=");
    EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
    EXPECT_EQ(base32("f"), "my");
    EXPECT_EQ(base32("foobar"), "mzxw6ytboi");
    EXPECT_EQ(hex("foobar"), "666f6f626172");
}

TEST(encoding, base64url_round_trips_every_length_and_octet) {
    std::string octets;
    for (int i = 0; i < 300; ++i) {
        EXPECT_EQ(from_base64url(base64url(octets)), octets);
        octets += static_cast<char>(i * 7);
    }
}

TEST(encoding, base64url_refuses_what_it_would_not_make) {
    for (const char* text : {"A", "Zg==", "Z g", "Zh", "Zg+", "Zg/", "Zm9="})
        EXPECT_FALSE(from_base64url(text)) << text;
}

TEST(digest, gives_known_values) {
    EXPECT_EQ(hex(sha1("abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
    EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(random, tokens_have_the_length_asked_for_and_differ) {
    EXPECT_EQ(system_random().token().size(), 22u);
    EXPECT_NE(system_random().token(), system_random().token());
    for (int i = 0; i < 1000; ++i) EXPECT_LT(system_random().below(3), 3u);
}

}  // namespace foz
