// Goal: issuers of tokens are configured by name; what is wrong is told where it stands, and no secret is ever shown.
#include "ops/config/configuration.hpp"
#include "ops/config/document.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::ops {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

struct read_result {
    configuration all;
    std::vector<std::string> problems;
    std::string shown;
};

read_result read_issuers(const std::string& toml, const std::vector<std::string_view>& environment = {}) {
    const auto folder = std::filesystem::temp_directory_path() / ("foz_issuers_test." + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    std::filesystem::current_path(folder);
    std::ofstream("foz.toml") << toml;
    std::ofstream("secret") << "hunter2-hunter2-hunter2-hunter2-";
    configuration_reader reader;
    reader.read_file("foz.toml");
    reader.read_variables(environment);
    configuration all = reader.finish();
    std::string shown = reader.problems().empty() ? show(all, reader) : "";
    return {std::move(all), reader.problems(), std::move(shown)};
}

const std::string url_issuer =
    "[issuers.idp]\nissuer = \"https://idp.example\"\nkeys_url = \"https://idp.example/keys\"\n";

TEST(issuers, are_read_by_name) {
    const read_result read =
        read_issuers(url_issuer +
                     "audience = [\"foz\"]\nalgorithms = [\"PS256\", \"ES384\"]\nlifetime_s = 600\n"
                     "claim_groups = \"realm_access.roles\"\n"
                     "[issuers.dev]\nissuer = \"dev\"\nsecret_file = \"secret\"\nclient_prefix = \"dev:\"\n");
    EXPECT_THAT(read.problems, IsEmpty());
    ASSERT_EQ(read.all.issuers.size(), 2u);
    const identity::issuer_settings& idp = read.all.issuers.front();
    EXPECT_EQ(idp.name, "idp");
    EXPECT_EQ(idp.issuer, "https://idp.example");
    EXPECT_THAT(idp.audience, ElementsAre("foz"));
    EXPECT_THAT(idp.algorithms, ElementsAre("PS256", "ES384"));
    EXPECT_EQ(idp.lifetime_max, std::chrono::seconds(600));
    EXPECT_EQ(idp.claim_groups, "realm_access.roles");
    EXPECT_EQ(idp.claim_meta, "/foz/meta");
    EXPECT_EQ(read.all.issuers.back().secret_file, "secret");
    EXPECT_EQ(read.all.server.channels.size(), 3u) << "the default channels stay";
}

TEST(issuers, take_variables) {
    const read_result read = read_issuers(url_issuer, {"FOZ_ISSUERS_IDP_AUDIENCE=a b", "FOZ_ISSUERS_IDP_LEEWAY_S=5"});
    EXPECT_THAT(read.problems, IsEmpty());
    EXPECT_THAT(read.all.issuers.front().audience, ElementsAre("a", "b"));
    EXPECT_EQ(read.all.issuers.front().leeway, std::chrono::seconds(5));
    EXPECT_THAT(
        read_issuers(url_issuer, {"FOZ_ISSUERS_IDP_AUDIENCES=a"}).problems,
        ElementsAre("FOZ_ISSUERS_IDP_AUDIENCES: no such issuer or key; did you mean FOZ_ISSUERS_IDP_AUDIENCE?"));
    EXPECT_THAT(
        read_issuers("", {"FOZ_ISSUERS_IDP_AUDIENCE=a"}).problems,
        ElementsAre("FOZ_ISSUERS_IDP_AUDIENCE: no such issuer or key; the configuration has no [issuers.NAME]"));
}

TEST(issuers, are_shown_with_their_origins_and_without_secrets) {
    const read_result read = read_issuers(
        "[issuers.dev]\nissuer = \"dev\"\nsecret_file = \"secret\"\n"
        "[issuers.other]\nissuer = \"other\"\nclient_prefix = \"o/\"\nsecret_variable = \"TOKEN_SECRET\"\n",
        {"TOKEN_SECRET=hunter2-hunter2-hunter2-hunter2-"});
    EXPECT_THAT(read.shown, HasSubstr("[issuers.dev]\nissuer = \"dev\"  # foz.toml:2\n"));
    EXPECT_THAT(read.shown, HasSubstr("secret_file = \"secret\"  # foz.toml:3\n"));
    EXPECT_THAT(read.shown, HasSubstr("leeway_s = 30  # default\n"));
    EXPECT_THAT(read.shown, Not(HasSubstr("hunter2")));
}

TEST(wrong_issuers, are_told_in_one_line_each) {
    const auto problem_of = [](const std::string& toml) {
        const auto problems = read_issuers(toml).problems;
        return problems.size() == 1 ? problems.front() : std::to_string(problems.size()) + " problems";
    };
    EXPECT_EQ(problem_of("[issuers.idp]\nkeys_url = \"https://i.example/\"\n"),
              "foz.toml:1: issuers.idp.issuer: is missing: what tokens say in iss");
    EXPECT_EQ(problem_of("[issuers.idp]\nissuer = \"i\"\n"),
              "foz.toml:1: issuers.idp.keys_url: where the keys are is missing: keys_url, keys_file, secret_file or "
              "secret_variable");
    EXPECT_EQ(problem_of(url_issuer + "secret_file = \"secret\"\n"),
              "foz.toml:4: issuers.idp.secret_file: there is keys_url already; one of them is enough");
    EXPECT_EQ(problem_of(url_issuer + "algorithms = [\"HS256\"]\n"),
              "foz.toml:4: issuers.idp.algorithms: a secret can't come from a URL: no HS algorithm with keys_url");
    EXPECT_EQ(
        problem_of(url_issuer + "algorithms = [\"none\"]\n"),
        "foz.toml:4: issuers.idp.algorithms: HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, "
        "ES384 and ES512 are the algorithms, not none");
    EXPECT_EQ(problem_of(url_issuer + "algorithms = [\"EdDSA\"]\n"),
              "foz.toml:4: issuers.idp.algorithms: EdDSA is not supported (libcjose has none); ES256 is");
    EXPECT_EQ(problem_of(url_issuer + "claim_meta = \"foz..meta\"\n"),
              "foz.toml:4: issuers.idp.claim_meta: a path like /foz/channels or foz.channels is expected");
    EXPECT_EQ(problem_of(url_issuer + "leeway_s = 601\n"),
              "foz.toml:4: issuers.idp.leeway_s: 0 to 600 expected, not 601");
    EXPECT_EQ(problem_of(url_issuer + "ca = \"nowhere.pem\"\n"),
              "foz.toml:4: issuers.idp.ca: a file that can be read is expected, not nowhere.pem");
    EXPECT_EQ(problem_of("[issuers.Idp]\nissuer = \"i\"\n"),
              "foz.toml:1: issuers.Idp: an issuer's name has 1 to 32 of a-z, 0-9 and '-', and begins with a letter");
    EXPECT_EQ(problem_of("[issuers]\nidp = 5\n"), "foz.toml:2: issuers.idp: a section expected, [issuers.idp]");
    EXPECT_EQ(problem_of("[[issuers]]\nissuer = \"i\"\n"), "foz.toml:1: issuers: a section expected, [issuers]");
    EXPECT_EQ(
        problem_of(url_issuer +
                   "[issuers.b]\nclient_prefix = \"b\"\nissuer = \"https://idp.example\"\nsecret_file = \"secret\"\n"),
        "foz.toml:6: issuers.b.issuer: another issuer has the same; their keys can't be told apart");
    EXPECT_EQ(
        problem_of(url_issuer + "[issuers.b]\nissuer = \"b\"\nsecret_file = \"secret\"\n"),
        "foz.toml:4: issuers.b.client_prefix: another issuer has the same; their clients could not be told apart");
}

TEST(wrong_issuers, never_have_a_secret_in_what_is_told) {
    for (const std::string key_value : {"secret_variable = \"hunter2 hunter2\"", "secret = \"hunter2\"",
                                        "keys_url = \"https://me:hunter2@i.example/\""}) {
        const auto problems = read_issuers("[issuers.idp]\nissuer = \"i\"\n" + key_value + "\n").problems;
        ASSERT_FALSE(problems.empty());
        for (const std::string& one : problems) EXPECT_THAT(one, Not(HasSubstr("hunter2")));
    }
}

}  // namespace
}  // namespace foz::ops
