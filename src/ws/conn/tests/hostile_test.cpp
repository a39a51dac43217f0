// What a hostile or unlucky peer and a careless application can do to a connection, without sockets and without
// waiting.
#include "ws/conn/tests/rig.hpp"

#include <functional>

#include <gtest/gtest.h>

namespace foz::ws {
namespace {

using namespace test;
using namespace std::chrono_literals;
using namespace std::string_literals;

}  // namespace

TEST(hostile_http, requests_without_reading_the_answers_are_bounded) {
    rig r;
    std::size_t sent = 0;
    const std::string many = [] {
        std::string all;
        while (all.size() < 60'000) all += get("/");
        return all;
    }();
    for (int i = 0; i < 50 && r.wire->reads(); ++i) {
        r.wire->receive(many);
        sent += count(many, "GET");
    }
    EXPECT_FALSE(r.wire->reads());
    EXPECT_LT(r.wire->queued_bytes(), net::stream_options{}.high_watermark_bytes + 2'000);
    const std::string answers = r.wire->take();
    EXPECT_EQ(count(answers, "HTTP/1.1 200"), sent);
    EXPECT_TRUE(r.wire->reads());
}

TEST(hostile_http, empty_lines_before_a_request_are_skipped_and_are_no_sign_of_life) {
    rig r;
    r.wire->receive("\r\n\r\n" + get("/1") + "\r\n" + get("/2"));
    EXPECT_EQ(r.log, (std::vector{"GET /1"s, "GET /2"s}));
    for (int i = 0; i < 40; ++i) {
        r.pass(1s);
        r.wire->receive("\r\n");
    }
    EXPECT_EQ(r.gone, 1);
}

TEST(hostile_http, an_answer_that_may_not_be_queued_is_a_503_and_the_last_one) {
    rig r;
    r.unread_max = 3'000;
    r.wire->receive(get("/1") + get("/2") + get("/3") + get("/4"));
    EXPECT_EQ(r.log, (std::vector{"GET /1"s, "GET /2"s, "GET /3"s}));
    const std::string answers = r.wire->take();
    EXPECT_EQ(count(answers, "HTTP/1.1 200"), 2u);
    EXPECT_EQ(count(answers, "HTTP/1.1 503"), 1u);
    EXPECT_EQ(r.gone, 1);
}

TEST(hostile_http, an_upgrade_behind_pipelined_requests_works_after_the_answers_were_read) {
    rig r;
    r.wire->receive(get("/big") + get("/1") + upgrade_octets() + frame(opcode::text, "hello"));
    EXPECT_EQ(r.log, (std::vector{"GET /big"s}));
    const std::string answers = r.wire->take();
    EXPECT_EQ(r.log, (std::vector{"GET /big"s, "GET /1"s, "GET /ws"s, "open"s, "text hello"s}));
    EXPECT_NE(answers.find("101 Switching"), std::string::npos);
    EXPECT_TRUE(r.wire->reads());
}

TEST(hostile_http, a_slow_reader_gets_the_whole_of_a_last_answer) {
    rig r;
    r.wire->receive(get("/big", "Connection: close\r\n"));
    std::size_t taken = 0;
    for (int i = 0; i < 40; ++i) {
        taken += r.wire->take(20'000).size();
        r.pass(10s);
    }
    taken += r.wire->take().size();
    EXPECT_GT(taken, 1'000'000u);
    EXPECT_TRUE(r.wire->ended());
    EXPECT_EQ(r.gone, 1);
}

TEST(hostile_http, who_takes_nothing_of_an_answer_is_given_up) {
    rig r;
    r.wire->receive(get("/big"));
    r.wire->take(20'000);
    r.pass(31s);
    EXPECT_EQ(r.gone, 0);
    r.pass(31s);
    EXPECT_EQ(r.gone, 1);
    r.pass(6s);
    EXPECT_TRUE(r.wire->ended());
}

TEST(hostile_http, a_head_behind_a_whole_request_has_to_arrive_in_time_too) {
    rig r;
    r.wire->receive(get("/1") + "GET /2 HT");
    for (int i = 0; i < 9; ++i) {
        r.pass(1s);
        r.wire->receive("x");
    }
    EXPECT_EQ(r.gone, 0);
    r.pass(2s);
    EXPECT_EQ(r.gone, 1);
    EXPECT_NE(r.wire->take().find("HTTP/1.1 408 "), std::string::npos);
}

TEST(hostile_http, a_large_head_is_told_so_whether_it_is_complete_or_not) {
    for (const std::size_t size : {16'384u, 16'385u, 60'000u}) {
        for (const bool complete : {true, false}) {
            rig r;
            const std::string begin = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
            const std::string end = "\r\n\r\n";
            const std::string filler(size - begin.size() - end.size(), 'x');
            r.wire->receive(begin + filler + (complete ? end : "xxxx"));
            const std::string status = size > http_head_bytes_max ? "HTTP/1.1 431 " : complete ? "HTTP/1.1 200 " : "";
            EXPECT_EQ(r.wire->take().substr(0, 13), status) << size << complete;
        }
    }
}

TEST(hostile_http, list_headers_may_come_in_several_lines_and_the_key_may_not) {
    const auto status = [](const std::string& headers) {
        rig r;
        r.wire->receive(upgrade_octets(headers));
        return r.wire->take().substr(9, 3);
    };
    EXPECT_EQ(status("Connection: keep-alive\r\nConnection: Upgrade\r\n"), "101");
    EXPECT_EQ(status("Upgrade: h2c\r\nConnection: upgrade\r\n"), "101");
    EXPECT_EQ(status("Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"), "400");
    EXPECT_EQ(status("Connection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"), "426");
    EXPECT_EQ(status("Connection: Upgrade\r\nHost: other\r\n"), "400");
}

TEST(hostile_http, refusals_carry_the_headers_that_their_status_wants) {
    rig r;
    r.wire->receive(get("/ws"));
    const std::string upgrade_required = r.wire->take();
    EXPECT_NE(upgrade_required.find("Connection: Upgrade, keep-alive\r\n"), std::string::npos) << upgrade_required;
    r.wire->receive("DELETE /ws HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_NE(r.wire->take().find("Allow: GET\r\n"), std::string::npos);
}

TEST(hostile_socket, a_frame_cut_by_the_end_of_the_upgrade_s_packet_survives_a_close_in_on_open) {
    const std::string behind =
        frame(opcode::text, "hello") + frame(opcode::close, close_payload(close_code::normal, ""));
    for (std::size_t i = 0; i <= behind.size(); ++i) {
        rig r;
        r.act = [&] {
            if (r.log.back() == "open") r.socket->close(close_code::try_again_later, "later");
        };
        r.wire->receive(upgrade_octets() + behind.substr(0, i));
        r.wire->receive(behind.substr(i));
        EXPECT_EQ(r.log, (std::vector{"GET /ws"s, "open"s, "closed 1000 clean"s})) << i;
    }
}

TEST(hostile_socket, nothing_is_delivered_after_abort) {
    rig r;
    r.act = [&] {
        if (r.log.back() == "text a") r.socket->abort();
    };
    r.wire->receive(upgrade_octets() + frame(opcode::text, "a") + frame(opcode::text, "b"));
    EXPECT_EQ(r.log.back(), "text a");
    r.run_mail();
    EXPECT_EQ(r.log.back(), "closed 1006 unclean");
    EXPECT_EQ(r.gone, 1);
    EXPECT_EQ(r.handlers, 0);
}

TEST(hostile_socket, an_abort_that_is_under_way_when_the_server_goes_touches_nothing) {
    rig r;
    r.wire->receive(upgrade_octets());
    r.socket->abort();
    r.drop();
    EXPECT_EQ(r.handlers, 0);
    r.run_mail();
    EXPECT_EQ(r.log.back(), "open");
    EXPECT_EQ(r.gone, 0);
}

TEST(hostile_socket, a_peer_that_pings_and_does_not_read_fills_nothing) {
    rig r;
    r.wire->receive(upgrade_octets());
    const std::string ping = frame(opcode::ping, std::string(125, 'p'));
    for (int i = 0; i < 10'000; ++i) r.wire->receive(ping);
    EXPECT_LT(r.wire->queued_bytes(), net::stream_options{}.high_watermark_bytes + 200);
    r.wire->take();
    r.wire->receive(ping);
    EXPECT_EQ(r.wire->take().size(), 127u);
}

TEST(hostile_socket, garbage_while_closing_ends_the_wait) {
    rig r;
    r.wire->receive(upgrade_octets());
    r.socket->close(close_code::normal, "");
    r.wire->receive("\xff\xff");
    EXPECT_EQ(r.log.back(), "closed 1002 unclean");
    EXPECT_EQ(count(r.wire->take(), "\x88"), 1u);  // one close frame, not two
}

TEST(hostile_socket, calls_after_the_end_do_nothing) {
    rig r;
    r.act = [&] {
        if (!r.log.back().starts_with("closed")) return;
        r.socket->send_text("late");
        r.socket->send(frame_ref::copy("late"));
        r.socket->close(close_code::normal, "late");
        r.socket->abort();
    };
    r.wire->receive(upgrade_octets());
    r.wire->take();
    r.wire->receive(frame(opcode::close, close_payload(close_code::normal, "")));
    r.run_mail();
    EXPECT_EQ(r.wire->take(), "\x88\x02\x03\xe8");
    EXPECT_EQ(count(testing::PrintToString(r.log), "closed"), 1u);
    EXPECT_EQ(r.gone, 1);
}

namespace {

std::string numbered(int from, int to) {
    std::string all;
    for (int i = from; i < to; ++i) all += frame(opcode::text, std::to_string(i));
    return all;
}

std::vector<std::string> texts(int from, int to) {
    std::vector<std::string> all;
    for (int i = from; i < to; ++i) all.push_back("text " + std::to_string(i));
    return all;
}

}  // namespace

// Who sends a thousand frames at once has some of them taken in each turn; in between, the others have theirs.
TEST(fair_reading, a_flood_is_taken_in_portions_and_in_order) {
    rig flooder, other;
    flooder.options.frames_per_turn = 10;
    flooder.wire->receive(upgrade_octets() + numbered(0, 1'000));
    EXPECT_EQ(flooder.log.size(), 2u + 10u);
    EXPECT_FALSE(flooder.wire->reads());  // TCP slows this one down
    flooder.home.turn();
    EXPECT_EQ(flooder.log.size(), 2u + 20u);
    for (int i = 0; i < 98; ++i) flooder.home.turn();
    flooder.log.erase(flooder.log.begin(), flooder.log.begin() + 2);
    EXPECT_EQ(flooder.log, texts(0, 1'000));
    EXPECT_TRUE(flooder.wire->reads());
    flooder.wire->receive(numbered(1'000, 1'001));
    EXPECT_EQ(flooder.log.back(), "text 1000");
}

TEST(fair_reading, frames_that_take_long_end_the_turn_sooner) {
    rig r;
    r.act = [&] { r.time.time += 200us; };
    r.wire->receive(upgrade_octets() + numbered(0, 100));
    const std::size_t first = r.log.size();
    EXPECT_LE(first, 6u);
    r.home.turn();
    EXPECT_LE(r.log.size(), first + 3u);
    for (int i = 0; i < 100; ++i) r.home.turn();
    EXPECT_EQ(r.log.size(), 102u);
}

TEST(fair_reading, a_frame_cut_in_two_survives_the_wait) {
    const std::string all = numbered(0, 50);
    for (std::size_t cut = 1; cut < all.size(); ++cut) {
        rig r;
        r.options.frames_per_turn = 7;
        r.wire->receive(upgrade_octets() + all.substr(0, cut));
        while (!r.wire->reads()) r.home.turn();
        r.wire->receive(all.substr(cut));
        while (!r.wire->reads()) r.home.turn();
        r.log.erase(r.log.begin(), r.log.begin() + 2);
        ASSERT_EQ(r.log, texts(0, 50)) << cut;
    }
}

TEST(fair_reading, the_application_may_pause_and_resume_in_any_callback) {
    for (std::size_t when = 2; when < 12; ++when) {
        rig r;
        r.options.frames_per_turn = 4;
        r.act = [&] {
            if (r.log.size() == when) r.socket->pause_reading();
        };
        r.wire->receive(upgrade_octets() + numbered(0, 20));
        for (int i = 0; i < 20; ++i) r.home.turn();
        EXPECT_EQ(r.log.size(), when);
        EXPECT_FALSE(r.wire->reads());
        EXPECT_TRUE(r.socket->reading_paused());
        EXPECT_FALSE(r.socket->silent_for(0ms));
        r.socket->resume_reading();
        EXPECT_EQ(r.log.size(), when);  // never from inside
        for (int i = 0; i < 20; ++i) r.home.turn();
        r.log.erase(r.log.begin(), r.log.begin() + 2);
        EXPECT_EQ(r.log, texts(0, 20)) << when;
        EXPECT_TRUE(r.wire->reads());
    }
}

TEST(fair_reading, a_paused_socket_that_is_closed_hears_the_peers_close_frame) {
    rig r;
    r.act = [&] {
        if (r.log.back() == "text 1") r.socket->pause_reading();
    };
    r.wire->receive(upgrade_octets() + numbered(0, 5) + frame(opcode::close, close_payload(close_code::normal, "")));
    r.socket->close(close_code::try_again_later, "");
    for (int i = 0; i < 5; ++i) r.home.turn();
    EXPECT_EQ(r.log.back(), "closed 1000 clean");
}

TEST(fair_reading, whoever_goes_while_frames_wait_takes_them_along) {
    for (const bool server : {true, false}) {
        rig r;
        r.options.frames_per_turn = 4;
        r.wire->receive(upgrade_octets() + numbered(0, 20));
        if (server)
            r.drop();
        else
            r.socket->abort();
        for (int i = 0; i < 5; ++i) r.home.turn();
        EXPECT_EQ(r.handlers, 0);
        EXPECT_EQ(std::count(r.log.begin(), r.log.end(), "text 4"), 0);
    }
}

// Whatever the application does inside whichever callback, and however the octets are split: on_closed() comes exactly
// once and last, or not at all when the server was destroyed; nothing is touched that is gone.
TEST(hostile_socket, every_act_in_every_callback_at_every_split) {
    const std::string octets = get("/") + upgrade_octets() + frame(opcode::text, "a") + frame(opcode::ping, "p") +
                               frame(opcode::binary, "b", false) + frame(opcode::continuation, "c") +
                               frame(opcode::close, close_payload(close_code::normal, "bye")) + "behind";
    enum act { nothing, close, abort, drop, close_and_drop, abort_and_drop, flood };
    for (const act what : {nothing, close, abort, drop, close_and_drop, abort_and_drop, flood}) {
        for (std::size_t when = 1; when <= 6; ++when) {
            for (std::size_t split = 0; split <= octets.size(); ++split) {
                rig r;
                bool dropped = false;
                r.act = [&] {
                    if (r.log.size() != when) return;
                    if (r.socket && (what == close || what == close_and_drop))
                        r.socket->close(close_code::going_away, "x");
                    if (r.socket && (what == abort || what == abort_and_drop)) r.socket->abort();
                    if (r.socket && what == flood) r.socket->send_text(std::string(300'000, 'x'));
                    if (what == drop || what == close_and_drop || what == abort_and_drop) {
                        r.drop();
                        dropped = true;
                    }
                };
                r.wire->receive(octets.substr(0, split));
                r.wire->receive(octets.substr(split));
                r.run_mail();
                r.wire->take();
                r.wire->hang_up();
                r.pass(6s);
                const std::string log = testing::PrintToString(r.log);
                const std::string where = log + " act " + std::to_string(what) + " in " + std::to_string(when) +
                                          " split " + std::to_string(split);
                EXPECT_EQ(r.handlers, 0) << where;
                EXPECT_FALSE(r.listed) << where;
                if (dropped) {
                    EXPECT_EQ(r.log.size(), when) << where;
                } else {
                    EXPECT_EQ(count(log, "closed"), 1u) << where;
                    EXPECT_TRUE(r.log.back().starts_with("closed")) << where;
                    EXPECT_EQ(r.gone, 1) << where;
                }
            }
        }
    }
}

}  // namespace foz::ws
