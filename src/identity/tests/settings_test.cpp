// Goal: what is wrong with an issuer's settings is told by the key that is wrong.
#include "identity/settings.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::identity {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> keys_of(const issuer_settings& settings) {
    std::vector<std::string> all;
    for (const settings_flaw& one : flaws_of(settings)) all.push_back(one.key);
    return all;
}

TEST(settings, that_are_good_have_no_flaw) {
    EXPECT_THAT(keys_of({.issuer = "i", .keys_url = "https://i.example/keys"}), IsEmpty());
    EXPECT_THAT(keys_of({.issuer = "i", .keys_file = "f", .algorithms = {"HS256"}}), IsEmpty());
    EXPECT_THAT(keys_of({.issuer = "i", .secret_variable = "V", .algorithms = {"HS256", "HS512"}}), IsEmpty());
}

TEST(settings, that_do_not_go_together_are_told) {
    EXPECT_THAT(keys_of({}), ElementsAre("issuer", "keys_url"));
    EXPECT_THAT(keys_of({.issuer = "i", .keys_url = "u", .secret_file = "f"}), ElementsAre("secret_file"));
    EXPECT_THAT(keys_of({.issuer = "i", .keys_file = "f", .ca_file = "c"}), ElementsAre("ca"));
    EXPECT_THAT(keys_of({.issuer = "i", .keys_file = "f", .algorithms = {"RS256", "HS256"}}),
                ElementsAre("algorithms"));
    EXPECT_THAT(keys_of({.issuer = "i", .keys_url = "u", .algorithms = {"HS256"}}), ElementsAre("algorithms"));
    EXPECT_THAT(keys_of({.issuer = "i", .secret_file = "f", .algorithms = {"ES256"}}), ElementsAre("algorithms"));
    EXPECT_THAT(keys_of({.issuer = "i", .keys_file = "f", .refresh_interval = std::chrono::seconds(1)}),
                ElementsAre("refresh_pause_ms"));
}

TEST(algorithms, have_usual_ones_and_wrong_names_are_told) {
    EXPECT_THAT(issuer_settings{.secret_file = "f"}.algorithms_in_force(), ElementsAre("HS256"));
    EXPECT_THAT(issuer_settings{.keys_url = "u"}.algorithms_in_force(), ElementsAre("RS256", "ES256"));
    EXPECT_EQ(flaw_of_algorithm("PS384"), "");
    EXPECT_THAT(flaw_of_algorithm("none"), HasSubstr("are the algorithms, not none"));
    EXPECT_THAT(flaw_of_algorithm("EdDSA"), HasSubstr("libcjose"));
}

}  // namespace
}  // namespace foz::identity
