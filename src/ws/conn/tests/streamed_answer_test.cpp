// Answers whose body is read while the client takes it.
#include "ws/conn/tests/rig.hpp"

#include <gtest/gtest.h>

namespace foz::ws {
namespace {

using namespace test;

// Octets that are given when the test says so.
struct played_source final : body_source {
    explicit played_source(std::uint64_t octets) : size_octets(octets), left(octets) {}
    std::uint64_t size() const noexcept override { return size_octets; }
    void read(net::shard&, std::size_t octets_max, std::move_only_function<void(std::string)> done) override {
        ASSERT_FALSE(waiting);
        asked = octets_max;
        waiting = std::move(done);
    }
    bool give() {
        if (!waiting) return false;
        const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(asked, left));
        left -= size;
        std::exchange(waiting, nullptr)(std::string(size, 'x'));
        return true;
    }
    std::uint64_t size_octets;
    std::uint64_t left;
    std::size_t asked = 0;
    std::move_only_function<void(std::string)> waiting;
};

struct source_rig : rig {
    explicit source_rig(std::uint64_t octets) : source(std::make_shared<played_source>(octets)) {
        answer = [this] { return http_response{.source = source}; };
    }
    std::shared_ptr<played_source> source;
};

}  // namespace

TEST(streamed_answer, whoever_reads_gets_all_of_it) {
    source_rig r(1'000'000);
    r.wire->receive(get("/file"));
    std::string taken;
    for (int i = 0; i < 100; ++i) {
        r.source->give();
        taken += r.wire->take();
    }
    EXPECT_NE(taken.find("Content-Length: 1000000\r\n"), std::string::npos);
    EXPECT_EQ(taken.size() - taken.find("\r\n\r\n") - 4, 1'000'000u);
    EXPECT_TRUE(r.wire->reads());
    EXPECT_EQ(r.gone, 0);
}

TEST(streamed_answer, whoever_does_not_read_has_little_waiting_and_is_given_up) {
    source_rig r(1'000'000'000);
    r.wire->receive(get("/file"));
    while (r.source->give()) {
    }
    EXPECT_LE(r.wire->queued_bytes(), 128u * 1024 + 500);
    r.pass(31s);
    EXPECT_EQ(r.gone, 1);
    EXPECT_EQ(r.dribbled, 1);
}

TEST(streamed_answer, whoever_reads_slowly_is_not_given_up) {
    source_rig r(10'000'000);
    r.wire->receive(get("/file"));
    for (int i = 0; i < 50; ++i) {
        while (r.source->give()) {
        }
        r.wire->take(20'000);
        r.pass(10s);
    }
    EXPECT_EQ(r.gone, 0);
}

TEST(streamed_answer, the_next_request_waits_for_the_whole_of_it) {
    source_rig r(100'000);
    r.wire->receive(get("/file") + get("/1"));
    EXPECT_EQ(r.log, (std::vector{"GET /file"s}));
    r.source->give();
    r.wire->take();
    EXPECT_EQ(r.log, (std::vector{"GET /file"s}));
    r.answer = nullptr;
    r.source->give();
    EXPECT_EQ(r.log, (std::vector{"GET /file"s, "GET /1"s}));
    EXPECT_EQ(count(r.wire->take(), "HTTP/1.1 200"), 1u);
}

TEST(streamed_answer, a_file_that_became_shorter_ends_the_connection) {
    source_rig r(100'000);
    r.source->left = 10;
    r.wire->receive(get("/file"));
    EXPECT_TRUE(r.source->give());
    EXPECT_TRUE(r.source->give());
    EXPECT_EQ(r.gone, 1);
    EXPECT_TRUE(r.wire->ended());
}

TEST(streamed_answer, a_client_that_goes_meanwhile_is_not_written_to) {
    source_rig r(100'000);
    r.wire->receive(get("/file"));
    r.wire->hang_up();
    EXPECT_EQ(r.gone, 1);
    EXPECT_TRUE(r.source->give());
}

TEST(streamed_answer, head_and_nothing_read_nothing) {
    source_rig r(100'000);
    r.wire->receive("HEAD /file HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_FALSE(r.source->give());
    EXPECT_NE(r.wire->take().find("Content-Length: 100000\r\n"), std::string::npos);
    r.source->size_octets = 0;
    r.wire->receive(get("/file"));
    EXPECT_FALSE(r.source->give());
    EXPECT_TRUE(r.wire->take().ends_with("\r\n\r\n"));
}

}  // namespace foz::ws
