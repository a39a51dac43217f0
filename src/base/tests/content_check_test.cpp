#include "base/content_check.hpp"

#include <string>

#include <gtest/gtest.h>

namespace foz {

// The values stand in clients' positions: no release may change them.
TEST(content_check, has_the_values_that_it_always_had) {
    EXPECT_EQ(content_check_of("", ""), 0xe10017f3u);
    EXPECT_EQ(content_check_of("client/1", "{}"), 0xf2bac542u);
    EXPECT_EQ(content_check_of("client/1", std::string(1000, 'x')), 0x1ae155f4u);
}

TEST(content_check, pieces_give_the_same_as_the_whole_wherever_they_are_cut) {
    std::string body;
    for (int i = 0; i < 3'000; ++i) body += static_cast<char>(i * 7 + i / 256);
    // Lengths on either side of the hash's own limits (16, 128, 240, 256, 1,024 octets) and cuts within them.
    for (const std::size_t size : {0u, 1u, 16u, 17u, 128u, 129u, 240u, 241u, 256u, 257u, 1024u, 1025u, 3000u}) {
        const std::string_view whole = std::string_view(body).substr(0, size);
        const std::uint32_t expected = content_check_of("id-1", whole);
        for (std::size_t piece = 1; piece <= size + 1; piece = piece * 3 + 1) {
            content_check check("id-1");
            for (std::size_t at = 0; at < size; at += piece) check.update(whole.substr(at, piece));
            ASSERT_EQ(check.value(), expected) << size << " octets in pieces of " << piece;
        }
    }
}

}  // namespace foz
