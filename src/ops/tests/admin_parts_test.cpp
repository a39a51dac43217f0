// Goal: what the admin port is made of: who may send what from where, what is told of definitions, actions, the audit.
#include "ops/admin/action.hpp"
#include "ops/admin/audit_log.hpp"
#include "ops/admin/definitions_text.hpp"
#include "ops/admin/request_gate.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::ops {
namespace {

using testing::HasSubstr;
using testing::Not;

ws::http_request asked(const std::string& headers, const std::string& method = "GET") {
    return ws::parse_http_request(method + " / HTTP/1.1\r\nHost: admin.example:9090\r\n" + headers + "\r\n").value();
}

TEST(request_gate, pages_of_other_origins_are_foreign) {
    EXPECT_FALSE(is_foreign(asked(""), false));
    EXPECT_FALSE(is_foreign(asked("Origin: http://admin.example:9090\r\n"), false));
    EXPECT_FALSE(is_foreign(asked("Origin: https://Admin.Example:9090\r\n"), true));
    for (const char* const other : {"http://admin.example", "http://admin.example:9091", "https://admin.example:9090",
                                    "http://evil.example:9090", "null", "http://admin.example:9090, http://x"})
        EXPECT_TRUE(is_foreign(asked("Origin: " + std::string(other) + "\r\n"), false)) << other;
}

TEST(request_gate, a_browser_that_says_cross_site_is_believed_but_links_may_lead_here) {
    const auto from = [](const std::string& site, const std::string& mode, const std::string& dest,
                         const std::string& method = "GET") {
        return is_foreign(
            asked("Sec-Fetch-Site: " + site + "\r\nSec-Fetch-Mode: " + mode + "\r\nSec-Fetch-Dest: " + dest + "\r\n",
                  method),
            false);
    };
    EXPECT_FALSE(from("none", "navigate", "document"));
    EXPECT_FALSE(from("same-origin", "cors", "empty"));
    EXPECT_FALSE(from("cross-site", "navigate", "document"));
    EXPECT_TRUE(from("cross-site", "navigate", "document", "POST")) << "a form";
    EXPECT_TRUE(from("cross-site", "navigate", "iframe"));
    EXPECT_TRUE(from("cross-site", "no-cors", "script"));
    EXPECT_TRUE(from("same-site", "no-cors", "image"));
}

TEST(request_gate, what_a_form_can_send_is_not_deliberate) {
    EXPECT_TRUE(is_deliberate(asked("Content-Type: application/json\r\n", "POST")));
    EXPECT_TRUE(is_deliberate(asked("Content-Type: Application/JSON; charset=utf-8\r\n", "POST")));
    EXPECT_TRUE(is_deliberate(asked("X-Requested-With: foz\r\n", "DELETE")));
    for (const char* const type :
         {"", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n",
          "Content-Type: multipart/form-data; boundary=application/json\r\n",
          "Content-Type: text/plain; application/json\r\n", "Content-Type: application/json, text/plain\r\n",
          "Content-Type: text/plain\r\nContent-Type: application/json\r\n", "Content-Type: application/jsonx\r\n"})
        EXPECT_FALSE(is_deliberate(asked(type, "POST"))) << type;
}

TEST(definitions_text, has_no_hash_and_everything_else) {
    const std::string text =
        R"({"rabbit_version": "3.10", "users": [{"name": "a\"b", "password_hash": "c2VjcmV0", "tags": ["administrator"],
        "limits": {}}, {"name": "c", "password_hash": ""}], "queues": [{"name": "password_hash", "arguments": {"x": 1.5}}]})";
    EXPECT_EQ(without_password_hashes(text),
              R"({"rabbit_version":"3.10","users":[{"name":"a\"b","tags":["administrator"],"limits":{}},{"name":"c"}],)"
              R"("queues":[{"name":"password_hash","arguments":{"x":1.5}}]})");
    EXPECT_EQ(without_password_hashes(R"({"users": ["c2VjcmV0"]})"), R"({"users":[]})");
    EXPECT_EQ(without_password_hashes(R"({"users": [{"password_hash": "c2VjcmV0"})"), "{}") << "not JSON";
}

TEST(action_arguments, are_flat_and_known_by_name_and_type) {
    const auto all = action_arguments::parse(R"({"client":"a","stay_away":true,"before":-5})");
    ASSERT_TRUE(all);
    EXPECT_EQ(all->text("client"), "a");
    EXPECT_EQ(all->flag("stay_away"), true);
    EXPECT_EQ(all->number("before"), -5);
    EXPECT_FALSE(all->text("stay_away"));
    EXPECT_FALSE(all->text("session"));
    EXPECT_EQ(all->flaw({"client", "+stay_away", "#before", "session"}), "");
    EXPECT_EQ(all->flaw({"client", "+stay_away"}), "there is no \"before\"");
    EXPECT_EQ(all->flaw({"client", "stay_away", "#before"}), "stay_away: a string is expected");
    EXPECT_EQ(all->flaw({"+client", "+stay_away", "#before"}), "client: a boolean is expected");
    EXPECT_EQ(all->flaw({"client", "+stay_away", "before"}), "before: a string is expected");
    for (const char* const bad : {"", "[]", "1", "{", R"({"a":1.5})", R"({"a":null})", R"({"a":{}})", R"({"a":["b"]})",
                                  R"({"client":"a","client":"b"})", "{\"a\":\"\xff\"}"})
        EXPECT_FALSE(action_arguments::parse(bad)) << bad;
}

const wall_time noon{std::chrono::seconds(1'700'000'000) + std::chrono::milliseconds(5)};

TEST(audit, a_line_is_json_whatever_strangers_call_themselves) {
    EXPECT_EQ(audit_line({.user = "anna",
                          .address = "127.0.0.1",
                          .action = "clients/disconnect",
                          .target = "client c",
                          .outcome = "done"},
                         noon),
              R"({"time":"2023-11-14T22:13:20.005Z","user":"anna","address":"127.0.0.1","action":"clients/disconnect",)"
              R"("target":"client c","outcome":"done"})");
    const std::string odd = audit_line({.user = "a\"\n\x1b[2J\xff", .address = "::1", .action = "login"}, noon);
    EXPECT_THAT(odd, HasSubstr(R"("user":"a\"\n\u001b[2J?")"));
    EXPECT_EQ(odd.find('\n'), std::string::npos);
    EXPECT_LT(audit_line({.user = std::string(100'000, 'x')}, noon).size(), 500u);
}

std::string content_of(const std::string& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

TEST(audit, goes_to_a_file_of_the_owners_alone_which_is_opened_anew_when_asked) {
    const auto folder = std::filesystem::temp_directory_path() / ("foz_audit_test." + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    const std::string file = folder / "audit";
    const auto written = [](const std::string& where, const std::string& what) {
        for (int i = 0; i < 1'000 && content_of(where).find(what) == std::string::npos; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return content_of(where);
    };
    {
        audit_log log(file);
        log.write({.user = "first"}, noon);
        EXPECT_THAT(written(file, "first"), HasSubstr("\"first\""));
        EXPECT_EQ(std::filesystem::status(file).permissions(),
                  std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
        std::filesystem::rename(file, file + ".1");
        EXPECT_EQ(log.reopen(), "");
        log.write({.user = "second"}, noon);
        EXPECT_THAT(written(file, "second"), Not(HasSubstr("first")));
        EXPECT_THAT(content_of(file + ".1"), Not(HasSubstr("second")));
        std::filesystem::rename(file, file + ".2");
        std::filesystem::create_directory(file);
        EXPECT_THAT(log.reopen(), HasSubstr("admin.audit_log")) << "a folder is in the way";
        log.write({.user = "third"}, noon);
        EXPECT_THAT(written(file + ".2", "third"), HasSubstr("third")) << "the old one goes on";
    }
    audit_log appended(file + ".1");
    EXPECT_THAT(content_of(file + ".1"), HasSubstr("first"));
    EXPECT_THROW(audit_log((folder / "no" / "such").string()), std::runtime_error);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace foz::ops
