// Goal: an admin port that strangers reach needs a login and TLS, and what is missing is told; no hash is ever shown.
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

const std::string good_hash = "$y$j9T$zKnG6zWN0hOVdN5S.LtZp1$Juzu1/8DAfHyFmHbhti/bXTAbAoQxv82wvhQvS2hrfD";

struct admin_config {
    explicit admin_config(const std::string& toml, const std::vector<std::string_view>& environment = {}) {
        const auto folder = std::filesystem::temp_directory_path() / ("foz_admin_test." + std::to_string(::getpid()));
        std::filesystem::create_directories(folder);
        std::filesystem::current_path(folder);
        std::ofstream("foz.toml") << toml;
        std::ofstream("file") << "a";
        configuration_reader reader;
        reader.read_file("foz.toml");
        reader.read_variables(environment);
        all = reader.finish();
        problems = reader.problems();
        if (problems.empty()) shown = show(all, reader);
    }
    configuration all;
    std::vector<std::string> problems;
    std::string shown;
};

TEST(admin_config, users_are_read_by_name_and_hashes_are_not_shown) {
    const admin_config read("[admin_users.anna]\nrole = \"act\"\npassword_hash = \"" + good_hash +
                                "\"\n[admin_users.prometheus]\ntoken_file = \"file\"\n",
                            {"FOZ_ADMIN_USERS_PROMETHEUS_ROLE=act"});
    EXPECT_THAT(read.problems, IsEmpty());
    ASSERT_EQ(read.all.admin.users.size(), 2u);
    EXPECT_EQ(read.all.admin.users[0].role, admin_role::act);
    EXPECT_EQ(read.all.admin.users[0].password_hash, good_hash);
    EXPECT_EQ(read.all.admin.users[1].role, admin_role::act) << "the variable is stronger";
    EXPECT_THAT(read.shown, HasSubstr("[admin_users.anna]\nrole = \"act\"  # foz.toml:2\npassword_hash = \"***\""));
    EXPECT_THAT(read.shown, Not(HasSubstr("$y$")));
    EXPECT_EQ(admin_config("[admin_users.anna]\ntoken_file = \"file\"\n").all.admin.users[0].role, admin_role::view);
}

TEST(admin_config, what_is_wrong_with_a_user_is_told_where_it_stands) {
    EXPECT_THAT(admin_config("[admin_users.anna]\nrole = \"act\"\n").problems,
                ElementsAre("foz.toml:1: admin_users.anna: password_hash, token_file or token_variable is missing"));
    EXPECT_THAT(admin_config("[admin_users.anna]\ntoken_file = \"file\"\ntoken_variable = \"X\"\n").problems,
                ElementsAre("foz.toml:1: admin_users.anna: token_file or token_variable, not both"));
    EXPECT_THAT(admin_config("[admin_users.anna]\npassword_hash = \"hunter2\"\n").problems,
                testing::Contains(testing::AllOf(HasSubstr("foz.toml:2: admin_users.anna.password_hash: a hash as"),
                                                 Not(HasSubstr("hunter2")))));
    EXPECT_THAT(admin_config("[admin_users.anna]\nrole = \"root\"\ntoken_file = \"file\"\n").problems,
                ElementsAre(HasSubstr("foz.toml:2: admin_users.anna.role: \"act\" or \"view\" expected")));
    EXPECT_THAT(admin_config("[admin_users.Anna]\ntoken_file = \"file\"\n").problems,
                ElementsAre(HasSubstr("a user's name has 1 to 32")));
    EXPECT_THAT(admin_config("", {"FOZ_ADMIN_USERS_X_ROLE=act"}).problems,
                ElementsAre(HasSubstr("no such user or key; the configuration has no [admin_users.NAME]")));
}

TEST(admin_config, an_address_that_others_reach_needs_a_login_and_tls) {
    const std::string user = "[admin_users.anna]\ntoken_file = \"file\"\n";
    const std::string open = "[admin]\nlisten = \"0.0.0.0:9090\"\n";
    const std::string tls = "tls_certificate = \"file\"\ntls_key = \"file\"\n";
    EXPECT_THAT(admin_config(open).problems,
                ElementsAre(HasSubstr("foz.toml:2: admin.listen: anyone who reaches 0.0.0.0 "
                                      "would be shown everything; make a user")));
    EXPECT_THAT(admin_config(open + tls).problems, ElementsAre(HasSubstr("make a user"))) << "TLS is no login";
    EXPECT_THAT(admin_config(open + user).problems, ElementsAre(HasSubstr("in the clear; say admin.tls_certificate")));
    EXPECT_THAT(admin_config(open + tls + user).problems, IsEmpty());
    EXPECT_THAT(admin_config(open + "allow_plain = true\n" + user).problems, IsEmpty());
    EXPECT_THAT(admin_config(open + "allow_plain = true\n").problems, ElementsAre(HasSubstr("make a user")));
    for (const char* const loopback : {"127.0.0.1", "127.9.9.9", "[::1]"})
        EXPECT_THAT(admin_config("[admin]\nlisten = \"" + std::string(loopback) + ":9090\"\n").problems, IsEmpty());
    for (const char* const other : {"10.0.0.1", "[::]", "[::ffff:10.0.0.1]"})
        EXPECT_THAT(admin_config("[admin]\nlisten = \"" + std::string(other) + ":9090\"\n").problems,
                    ElementsAre(HasSubstr("make a user")));
}

TEST(admin_config, certificate_and_key_go_together_and_secrets_lie_outside_the_web_folder) {
    EXPECT_THAT(admin_config("[admin]\ntls_key = \"file\"\n").problems,
                ElementsAre("foz.toml:2: admin.tls_key: tls_certificate is missing; they go together"));
    EXPECT_THAT(admin_config("[admin]\ntls_certificate = \"file\"\n").problems,
                ElementsAre("foz.toml:2: admin.tls_certificate: tls_key is missing; they go together"));
    std::filesystem::create_directories("web");
    std::ofstream("web/token") << "a";
    EXPECT_THAT(admin_config("[web]\nfolder = \"web\"\n[admin_users.anna]\ntoken_file = \"web/token\"\n").problems,
                ElementsAre(HasSubstr("a token of admin_users (web/token) would be served to anyone")));
    EXPECT_THAT(admin_config("[web]\nfolder = \"web\"\n[admin]\naudit_log = \"web/audit\"\n").problems,
                ElementsAre(HasSubstr("the log of admin.audit_log (web/audit) would be served to anyone")));
}

}  // namespace
}  // namespace foz::ops
