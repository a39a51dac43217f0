#include "aggregator/shard/identity.hpp"

#include <gtest/gtest.h>

namespace foz::aggregator {

TEST(identity, a_client_is_derived_from_its_secret_and_nothing_else) {
    const client_id who = anonymous_client("aaaaaaaaaaaaaaaaaaaaaa");
    // As anybody can compute it: base32(SHA-256(secret)), RFC 4648 §6 in lower case, the first 26 characters.
    EXPECT_EQ(who.str(), "anon-5r6estpw2kt6untgrvsw424jph");
    EXPECT_EQ(anonymous_client("AZaz09-_AZaz09-_AZaz09-_").str(), "anon-cwbxfnyvn2seugtfwhiehaebau");
    EXPECT_NE(who, anonymous_client("aaaaaaaaaaaaaaaaaaaaab"));
    EXPECT_EQ(who.str().size(), 5u + 26u);
    EXPECT_TRUE(is_resume_secret(std::string(22, '-')));
    for (const std::string& bad : {std::string(21, 'a'), std::string(65, 'a'), std::string(21, 'a') + "/"})
        EXPECT_FALSE(is_resume_secret(bad));
}

}  // namespace foz::aggregator
