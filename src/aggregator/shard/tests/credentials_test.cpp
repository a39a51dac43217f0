#include "aggregator/shard/credentials.hpp"

#include <gtest/gtest.h>

namespace foz::aggregator {
namespace {

ws::http_request request_with(std::vector<std::pair<std::string, std::string>> headers,
                              std::vector<std::pair<std::string, std::string>> query = {}) {
    ws::http_request made;
    made.headers = std::move(headers);
    made.query = std::move(query);
    return made;
}

settings behind_proxy() {
    settings all;
    all.client_header = "X-User";
    all.groups_header = "X-Groups";
    all.meta_headers = {"X-Plan"};
    return all;
}

TEST(credentials, a_token_comes_in_one_of_four_places) {
    EXPECT_EQ(token_in(request_with({}), {.own_page = true, .cookie = "foz_token"}), std::nullopt);
    EXPECT_EQ(token_in(request_with({}, {{"token", "a.b.c"}}), {.own_page = false, .cookie = ""}), "a.b.c");
    EXPECT_EQ(token_in(request_with({{"sec-websocket-protocol", "foz.v1, foz.token.a.b.c"}}),
                       {.own_page = false, .cookie = ""}),
              "a.b.c");
    EXPECT_EQ(token_in(request_with({{"authorization", "bearer  a.b.c "}}), {.own_page = false, .cookie = ""}),
              "a.b.c");
    EXPECT_EQ(token_in(request_with({{"authorization", "Bearer\ta.b.c"}}), {.own_page = false, .cookie = ""}), "a.b.c")
        << "not what else a service is told";
    const auto cookie = request_with({{"Cookie", "x=1; foz_token=a.b.c"}});
    EXPECT_EQ(token_in(cookie, {.own_page = true, .cookie = "foz_token"}), "a.b.c");
    EXPECT_EQ(token_in(cookie, {.own_page = false, .cookie = "foz_token"}),
              std::nullopt);  // any page can make a browser send it
    EXPECT_EQ(token_in(cookie, {.own_page = true, .cookie = ""}), std::nullopt);
    EXPECT_EQ(token_in(request_with({{"Authorization", "Bearer a.b.c"}, {"Cookie", "foz_token=x"}}),
                       {.own_page = true, .taken = false, .cookie = "foz_token"}),
              std::nullopt);
    EXPECT_EQ(token_in(request_with({{"Authorization", "Basic abc"}}), {.own_page = true, .cookie = "foz_token"}),
              std::nullopt);
}

TEST(credentials, an_empty_token_is_one_and_not_none) {
    EXPECT_EQ(token_in(request_with({}, {{"token", ""}}), {.own_page = false, .cookie = ""}), "");
    EXPECT_EQ(token_in(request_with({{"Authorization", "Bearer"}}), {.own_page = false, .cookie = ""}), "");
    EXPECT_EQ(token_in(request_with({{"Sec-WebSocket-Protocol", "foz.token."}}), {.own_page = false, .cookie = ""}),
              "");
}

TEST(credentials, different_tokens_are_refused) {
    const auto reason = [](const ws::http_request& request) {
        const auto found = token_in(request, {.own_page = true, .cookie = "foz_token"});
        return found ? "" : found.error().reason;
    };
    EXPECT_EQ(reason(request_with({{"Authorization", "Bearer a"}}, {{"token", "b"}})), "several_tokens");
    EXPECT_EQ(reason(request_with({}, {{"token", "a"}, {"token", "b"}})), "several_tokens");
    EXPECT_EQ(reason(request_with({{"Authorization", "Bearer a"}, {"Authorization", "Bearer a"}})), "several_tokens");
    EXPECT_EQ(reason(request_with({{"Authorization", "Bearer a"}}, {{"token", "a"}})), "");
}

TEST(credentials, a_proxy_names_the_client_its_groups_and_what_services_are_told) {
    const auto found = client_in(
        request_with({{"x-user", "alice"}, {"X-Groups", "staff, admins,"}, {"X-Plan", "go\"ld"}}), behind_proxy());
    ASSERT_TRUE(found && *found);
    EXPECT_EQ((*found)->client.view(), "alice");
    EXPECT_EQ((*found)->rights->groups, (std::vector<std::string>{"admins", "staff"}));
    EXPECT_EQ((*found)->rights->meta, R"({"X-Plan":"go\"ld"})");
    EXPECT_FALSE((*found)->rights->ends);
}

TEST(credentials, nobody_is_named_without_the_header_or_by_an_anonymous_consumer) {
    EXPECT_EQ(client_in(request_with({{"X-Other", "alice"}}), behind_proxy()).value(), std::nullopt);
    EXPECT_EQ(
        client_in(request_with({{"X-User", "anonymous"}, {"X-Anonymous-Consumer", "true"}}), behind_proxy()).value(),
        std::nullopt);
    EXPECT_EQ(client_in(request_with({{"X-User", "alice"}}), settings()).value(), std::nullopt);
}

TEST(credentials, a_proxy_that_passes_a_clients_own_header_on_is_not_believed) {
    const auto reason = [](std::vector<std::pair<std::string, std::string>> headers) {
        const auto found = client_in(request_with(std::move(headers)), behind_proxy());
        return found ? "" : found.error().reason;
    };
    EXPECT_EQ(reason({{"X-User", "alice"}, {"x-user", "bob"}}), "several_headers");
    EXPECT_EQ(reason({{"X-User", "alice"}, {"X-Groups", "a"}, {"X-Groups", "b"}}), "several_headers");
    EXPECT_EQ(reason({{"X-User", "alice"}, {"X-Plan", "a"}, {"X-Plan", "b"}}), "several_headers");
    EXPECT_EQ(reason({{"X-User", "anon-aaaaaaaaaaaaaaaaaaaaaaaaaa"}}), "bad_client");
    EXPECT_EQ(reason({{"X-User", "session:x"}}), "bad_client");
    EXPECT_EQ(reason({{"X-User", ""}}), "bad_client");
    EXPECT_EQ(reason({{"X-User", std::string(129, 'x')}}), "bad_client");
    EXPECT_EQ(reason({{"X-User", "al\x01ice"}}), "bad_client");
    EXPECT_EQ(reason({{"X-User", "\xff"}}), "bad_header");
    EXPECT_EQ(reason({{"X-User", std::string(100, '/')}}), "bad_client");
}

TEST(credentials, a_certificate_names_a_client_that_may_what_the_settings_say) {
    settings all = behind_proxy();
    all.channels.front().open_groups = {"team.*"};
    const auto found = client_certified("device-7", all);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->client.view(), "device-7");
    EXPECT_TRUE(found->rights->channels.front().publish.all());
    for (const char* name : {"", "anon-x", "session:x", "team.red"}) EXPECT_FALSE(client_certified(name, all)) << name;
}

TEST(credentials, no_client_has_the_name_of_a_group_that_is_open) {
    settings all = behind_proxy();
    all.channels.front().open_groups = {"team.*"};
    const auto found = client_in(request_with({{"X-User", "team.red"}}), all);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().reason, "bad_client");
    EXPECT_TRUE(client_in(request_with({{"X-User", "team"}}), all));
}

}  // namespace
}  // namespace foz::aggregator
