// Goal: the content of a request ends where its head says, or the request is refused and the connection with it; an
// answer may come later.
#include "ws/conn/tests/rig.hpp"

#include <gtest/gtest.h>

namespace foz::ws {
namespace {

using namespace test;

std::string post(const std::string& headers, const std::string& content) {
    return "POST /a HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n" + content;
}

std::string with_length(const std::string& content) {
    return post("Content-Length: " + std::to_string(content.size()) + "\r\n", content);
}

// Takes 16 octets and writes them down.
struct taking : rig {
    taking() {
        content_max = 16;
        decide = [this](const http_request& request) -> decision {
            log.push_back(request.content);
            return http_response{.body = "[" + request.content + "]"};
        };
    }
    std::size_t answers(const std::string& status) { return count(sent += wire->take(), "HTTP/1.1 " + status); }
    std::string sent;
};

TEST(request_content, ends_where_the_head_says_however_it_arrives) {
    const std::string all = with_length("one") + "\r\n" + with_length("") + with_length("\r\n\r\nGET / ") + get("/");
    for (const std::size_t step : {std::size_t(1), std::size_t(7), all.size()}) {
        taking r;
        r.log.clear();
        for (std::size_t at = 0; at < all.size(); at += step) r.wire->receive(all.substr(at, step));
        std::erase_if(r.log, [](const std::string& line) { return line.ends_with(" /a") || line == "GET /"; });
        EXPECT_EQ(r.log, (std::vector<std::string>{"one", "", "\r\n\r\nGET / ", ""})) << step;
        EXPECT_EQ(r.answers("200"), 4u) << step;
        EXPECT_EQ(r.gone, 0);
    }
}

TEST(request_content, that_could_be_read_in_two_ways_is_refused_with_the_connection) {
    const std::pair<std::string, const char*> refused[] = {
        {"Content-Length: 3\r\nContent-Length: 3\r\n", "400"},
        {"Content-Length: 3\r\nContent-Length: 4\r\n", "400"},
        {"Content-Length: 3, 3\r\n", "400"},
        {"Content-Length: +3\r\n", "400"},
        {"Content-Length: -3\r\n", "400"},
        {"Content-Length: 0x3\r\n", "400"},
        {"Content-Length: 3 3\r\n", "400"},
        {"Content-Length:\r\n", "400"},
        {"Content-Length : 3\r\n", "400"},
        {"Content-Length: 3\r\n\tfolded: x\r\n", "400"},
        {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "400"},
        {"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "400"},
        {"Transfer-Encoding: chunked\r\n", "411"},
        {"Transfer-Encoding: identity\r\n", "411"},
        {"Transfer-Encoding: xchunked\r\n", "411"},
        {"Content-Length: 17\r\n", "413"},
        {"Content-Length: 9999999999999999999\r\n", "413"},
        {"Content-Length: 99999999999999999999999\r\n", "400"},
        {"Content-Length: 3\r\nExpect: the unexpected\r\n", "417"},
    };
    for (const auto& [headers, status] : refused) {
        taking r;
        r.wire->receive(post(headers, "abcGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"));
        EXPECT_EQ(r.answers(status), 1u) << headers << r.sent;
        EXPECT_EQ(r.answers(""), 1u) << headers;
        EXPECT_TRUE(r.log.empty()) << headers;
        EXPECT_EQ(r.gone, 1) << headers;
    }
}

TEST(request_content, of_http_1_0_has_a_length_and_no_coding) {
    taking r;
    r.wire->receive("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    EXPECT_EQ(r.answers("400"), 1u);
    taking s;
    s.wire->receive("POST /a HTTP/1.0\r\nContent-Length: 003\r\n\r\nabc");
    EXPECT_EQ(s.answers("200"), 1u);
    EXPECT_EQ(s.log.back(), "abc");
}

TEST(request_content, is_refused_where_it_is_not_taken) {
    for (const char* const headers : {"Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n"}) {
        taking r;
        r.content_max = 0;
        r.wire->receive(post(headers, "abc"));
        EXPECT_EQ(r.answers("413"), 1u);
        EXPECT_TRUE(r.log.empty());
    }
}

TEST(request_content, is_asked_for_when_the_client_waits_for_that) {
    taking r;
    r.wire->receive(post("Content-Length: 3\r\nExpect: 100-Continue\r\n", ""));
    EXPECT_EQ(r.answers("100 Continue\r\n\r\n"), 1u);
    EXPECT_TRUE(r.log.empty());
    r.wire->receive("abc");
    EXPECT_EQ(r.answers("200"), 1u);
    taking late;
    late.wire->receive(post("Content-Length: 17\r\nExpect: 100-continue\r\n", ""));
    EXPECT_EQ(late.answers("413"), 1u);
    EXPECT_EQ(late.answers("100"), 0u);
}

TEST(request_content, has_the_time_of_the_head_together_with_it) {
    taking r;
    r.wire->receive("POST /a HTTP/1.1\r\n");
    r.pass(6s);
    r.wire->receive("Host: h\r\nContent-Length: 3\r\n\r\n");
    r.pass(3s);
    r.wire->receive("a");
    r.pass(2s);
    EXPECT_EQ(r.answers("408"), 1u);
    EXPECT_EQ(r.gone, 1);
    EXPECT_EQ(r.dribbled, 1);
    EXPECT_TRUE(r.log.empty());
}

// Asks twice at once; the first answer comes when the test gives it.
struct waiting : taking {
    waiting() {
        decide = [this](const http_request& request) -> decision {
            log.push_back(request.target);
            return later{[this](answer_slot to) { slots.push_back(std::move(to)); }};
        };
    }
    std::vector<answer_slot> slots;
};

TEST(later_answer, is_awaited_before_the_next_request_is_looked_at) {
    waiting r;
    r.log.clear();
    r.wire->receive(get("/1") + get("/2"));
    ASSERT_EQ(r.slots.size(), 1u);
    EXPECT_FALSE(r.wire->reads());
    r.pass(60s);
    EXPECT_EQ(r.answers(""), 0u) << "the time is the application's";
    r.slots[0](http_response{.body = "first"});
    r.slots[0](http_response{.body = "twice"});
    r.run_mail();
    ASSERT_EQ(r.slots.size(), 2u);
    EXPECT_EQ(r.answers("200"), 1u);
    r.slots[1](http_response{.status = 404});
    r.run_mail();
    EXPECT_EQ(r.answers("404"), 1u);
    EXPECT_EQ(count(r.sent, "twice"), 0u);
    EXPECT_TRUE(r.wire->reads());
    r.pass(31s);
    EXPECT_EQ(r.gone, 1) << "idle again";
}

TEST(later_answer, may_be_given_at_once_and_ends_the_connection_when_that_was_asked) {
    waiting r;
    r.decide = [](const http_request&) -> decision {
        return later{[](const answer_slot& to) { to(http_response{.body = "now"}); }};
    };
    r.wire->receive(get("/1") + get("/2", "Connection: close\r\n") + get("/3"));
    r.run_mail();
    EXPECT_EQ(r.answers("200"), 2u);
    EXPECT_EQ(r.gone, 1);
}

TEST(later_answer, that_finds_nobody_is_dropped) {
    waiting r;
    r.wire->receive(get("/1"));
    r.wire->hang_up();
    r.slots.at(0)(http_response{});
    EXPECT_EQ(r.gone, 1);
    waiting s;
    s.wire->receive(get("/1"));
    s.drop();
    s.slots.at(0)(http_response{});
    s.run_mail();
    EXPECT_EQ(s.answers(""), 0u);
}

TEST(later_answer, may_be_an_upgrade_and_what_came_behind_the_request_is_a_frame_then) {
    waiting r;
    r.log.clear();
    r.wire->receive(upgrade_octets() + frame(opcode::text, "early"));
    ASSERT_EQ(r.slots.size(), 1u);
    EXPECT_FALSE(r.wire->reads());
    ASSERT_TRUE(r.slots[0].request());
    EXPECT_EQ(r.slots[0].request()->path, "/ws");
    r.pass(60s);
    r.slots[0](upgrade{std::make_unique<rig::recorder>(r), {}});
    EXPECT_FALSE(r.slots[0].request()) << "nobody waits any more";
    r.run_mail();
    r.wire->receive(frame(opcode::text, "late"));
    EXPECT_EQ(r.log, (std::vector<std::string>{"GET /ws", "/ws", "open", "text early", "text late"}));
    EXPECT_EQ(r.answers("101"), 1u);
    EXPECT_TRUE(r.wire->reads());
}

TEST(later_answer, that_is_an_upgrade_may_be_paused_at_once) {
    waiting r;
    r.wire->receive(upgrade_octets() + frame(opcode::text, "early"));
    r.log.clear();
    r.act = [&] {
        if (r.log.back() == "open") r.socket->pause_reading();
    };
    r.slots.at(0)(upgrade{std::make_unique<rig::recorder>(r), {}});
    r.run_mail();
    EXPECT_EQ(r.log, std::vector<std::string>{"open"});
    EXPECT_FALSE(r.wire->reads());
    r.socket->resume_reading();
    r.run_mail();
    EXPECT_EQ(r.log, (std::vector<std::string>{"open", "text early"}));
}

TEST(later_answer, that_is_an_upgrade_of_a_flawed_handshake_is_its_status) {
    waiting r;
    r.wire->receive(get("/ws", "Upgrade: websocket\r\n"));
    r.slots.at(0)(upgrade{std::make_unique<rig::recorder>(r), {}});
    r.run_mail();
    EXPECT_EQ(r.answers("400") + r.answers("426"), 1u);
    EXPECT_EQ(r.handlers, 0);
}

TEST(later_answer, that_is_an_upgrade_finds_no_connection_that_has_gone) {
    waiting r;
    r.wire->receive(upgrade_octets());
    r.wire->hang_up();
    r.slots.at(0)(upgrade{std::make_unique<rig::recorder>(r), {}});
    EXPECT_EQ(r.gone, 1);
    EXPECT_EQ(r.handlers, 0) << "the handler goes with its upgrade";
}

}  // namespace
}  // namespace foz::ws
