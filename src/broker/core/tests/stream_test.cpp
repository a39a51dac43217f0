// Streams: every reader from where it likes, what is visible, what is kept.
#include "broker/core/stream.hpp"

#include "broker/core/tests/rig.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using namespace std::chrono_literals;
using amqp::field_value;
using testing::ElementsAre;
using testing::IsEmpty;

struct stream_rig : broker_rig {
    explicit stream_rig(amqp::table more = {}) {
        amqp::table arguments{{"x-queue-type", "stream"}};
        for (const auto& one : more) arguments.set(one.key, one.value);
        declare_durable("s", arguments);
    }
    stream& s() { return dynamic_cast<stream&>(find("s")); }
    void add(std::size_t count, std::size_t body_size = 1) {
        for (std::size_t i = 0; i < count; ++i)
            publish("s", std::string(body_size, static_cast<char>('a' + s_next++ % 26)));
    }
    std::vector<position> read(const field_value& offset) {
        taker reader;
        EXPECT_TRUE(consume(s(), reader, &offset));
        std::vector<position> out;
        for (const entry& one : reader.held) out.push_back(one.at);
        s().cancel(reader);
        return out;
    }
    std::size_t s_next = 0;
};

std::vector<position> range(position from, position end) {
    std::vector<position> out;
    while (from < end) out.push_back(from++);
    return out;
}

}  // namespace

TEST(stream, every_form_of_offset) {
    stream_rig r;
    for (int i = 0; i < 5; ++i) {
        r.add(1);
        r.time.passed += 10s;
    }
    r.commit();
    const auto seconds = static_cast<std::uint64_t>(r.time.passed.count() / 1000);
    EXPECT_EQ(r.read("first"), range(0, 5));
    EXPECT_EQ(r.read("last"), range(4, 5));
    EXPECT_THAT(r.read("next"), IsEmpty());
    EXPECT_EQ(r.read(std::int64_t{2}), range(2, 5));
    EXPECT_EQ(r.read(std::int8_t{0}), range(0, 5));
    EXPECT_EQ(r.read(-7), range(0, 5));
    EXPECT_THAT(r.read(std::int64_t{1'000}), IsEmpty());
    EXPECT_EQ(r.read(amqp::timestamp{seconds - 25}), range(3, 5));
    EXPECT_EQ(r.read(amqp::timestamp{0}), range(0, 5));
    EXPECT_THAT(r.read(amqp::timestamp{seconds + 1'000}), IsEmpty());
    EXPECT_EQ(r.read("20s"), range(3, 5));
    EXPECT_EQ(r.read("1h"), range(0, 5));
    EXPECT_THAT(r.read("0s"), IsEmpty());
    taker no_offset;
    ASSERT_TRUE(consume(r.s(), no_offset));
    EXPECT_THAT(no_offset.bodies, IsEmpty());
    r.add(1);
    r.commit();
    EXPECT_THAT(no_offset.bodies, ElementsAre("f"));
}

TEST(stream, an_empty_one_is_read_from_anywhere) {
    stream_rig r;
    for (const field_value& offset : {field_value("first"), field_value("last"), field_value("next"), field_value(0),
                                      field_value(amqp::timestamp{0}), field_value("1h")}) {
        EXPECT_THAT(r.read(offset), IsEmpty());
    }
}

TEST(stream, refused_on_streams) {
    stream_rig r;
    for (const field_value& bad : {field_value("yesterday"), field_value("5"), field_value(true), field_value(),
                                   field_value(amqp::table()), field_value("")}) {
        taker reader;
        const auto refused = consume(r.s(), reader, &bad);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, amqp::reply_code::internal_error);
        EXPECT_EQ(r.s().consumer_count(), 0u);
    }
    taker careless;
    careless.no_ack = true;
    EXPECT_EQ(consume(r.s(), careless).error().code, amqp::reply_code::not_implemented);
    EXPECT_EQ(r.s().get(false).error().code, amqp::reply_code::not_implemented);
    EXPECT_EQ(r.s().purge().error().code, amqp::reply_code::not_implemented);
}

TEST(stream, what_is_not_committed_is_not_seen) {
    stream_rig r;
    taker reader;
    ASSERT_TRUE(consume(r.s(), reader));
    r.add(2);
    EXPECT_THAT(reader.bodies, IsEmpty());
    EXPECT_THAT(r.read("first"), IsEmpty());
    r.commit();
    EXPECT_THAT(reader.take_bodies(), ElementsAre("a", "b"));
    r.add(1);
    EXPECT_EQ(r.read("last"), range(1, 2)) << "the last one that is durable";
    EXPECT_THAT(reader.bodies, IsEmpty());
    r.commit();
    EXPECT_THAT(reader.bodies, ElementsAre("c"));
}

TEST(stream, readers_at_different_paces_get_everything_from_memory_and_log) {
    stream_rig r;
    const field_value first("first");
    taker slow(1);
    taker quick;
    taker stopped(10);
    for (taker* const one : {&slow, &quick, &stopped}) ASSERT_TRUE(consume(r.s(), *one, &first));
    constexpr std::size_t size = 16 << 10;
    constexpr position count = 2 * stream::recent_bytes / size;  // twice what memory keeps
    for (position i = 0; i < count; i += 16) {
        r.add(16, size);
        r.commit();
    }
    EXPECT_EQ(quick.held.size(), count);
    EXPECT_EQ(stopped.held.size(), 10u);
    std::vector<position> got;
    while (!slow.held.empty()) {
        got.push_back(slow.held.front().at);
        slow.ack();
    }
    EXPECT_EQ(got, range(0, count));
    EXPECT_EQ(r.read("first"), range(0, count));
    r.s().cancel(stopped);
    EXPECT_EQ(r.s().consumer_count(), 2u);
}

TEST(stream, retention_by_octets_drops_whole_segments_and_never_the_newest) {
    stream_rig r({{"x-max-length-bytes", 10'000}, {"x-stream-max-segment-size-bytes", 2'000}});
    for (int i = 0; i < 100; ++i) {
        r.add(1, 500);
        r.commit();
    }
    EXPECT_GT(r.s().first(), 70u);
    EXPECT_LT(r.s().first(), 90u);
    EXPECT_EQ(r.s().end(), 100u);
    EXPECT_EQ(r.read(0), range(r.s().first(), 100)) << "an offset below begins at what is left";
    EXPECT_EQ(r.disk.logs.begin()->second.entries.size(), 100 - r.s().first());

    stream_rig tiny({{"x-max-length-bytes", 0}, {"x-stream-max-segment-size-bytes", 1'000'000}});
    tiny.add(10);
    tiny.commit();
    EXPECT_EQ(tiny.read("first"), range(0, 10)) << "the newest segment stays";
}

TEST(stream, retention_by_age_looks_at_a_segment_s_newest) {
    stream_rig r({{"x-max-age", "60s"}, {"x-stream-max-segment-size-bytes", 1'000}});
    for (int i = 0; i < 10; ++i) {
        r.add(2, 600);
        r.commit();
        r.time.passed += 20s;
    }
    const position first = r.s().first();
    EXPECT_GE(first, 12u);
    EXPECT_LE(first, 16u);
    EXPECT_EQ(r.read("first"), range(first, 20));
}

TEST(stream, a_reader_that_retention_has_passed_goes_on_with_what_is_left) {
    stream_rig r({{"x-max-length-bytes", 5'000}, {"x-stream-max-segment-size-bytes", 1'000}});
    const field_value first("first");
    taker slow(1);
    ASSERT_TRUE(consume(r.s(), slow, &first));
    for (int i = 0; i < 50; ++i) {
        r.add(1, 500);
        r.commit();
    }
    EXPECT_EQ(slow.held.front().at, 0u);
    slow.ack();
    EXPECT_EQ(slow.held.front().at, r.s().first());
}

TEST(stream, nothing_goes_before_it_was_visible) {
    stream_rig r({{"x-max-length-bytes", 1'000}, {"x-stream-max-segment-size-bytes", 500}});
    taker reader;
    ASSERT_TRUE(consume(r.s(), reader));
    r.add(40, 300);  // in one commit
    r.commit();
    EXPECT_EQ(reader.held.size(), 40u);
    r.add(2, 300);
    r.commit();
    EXPECT_EQ(reader.held.size(), 42u);
    EXPECT_GT(r.s().first(), 30u);
}

TEST(stream, a_restart_goes_on_where_it_was) {
    stream_rig r({{"x-max-length-bytes", 10'000}, {"x-stream-max-segment-size-bytes", 2'000}});
    for (int i = 0; i < 60; ++i) {
        r.add(1, 500);
        r.commit();
    }
    const position first = r.s().first();
    r.restart();
    EXPECT_EQ(r.s().first(), first);
    EXPECT_EQ(r.read("first"), range(first, 60));
    EXPECT_EQ(r.read("last"), range(59, 60));
    taker reader;
    ASSERT_TRUE(consume(r.s(), reader));
    for (int i = 0; i < 60; ++i) {
        r.add(1, 500);
        r.commit();
    }
    EXPECT_EQ(reader.held.size(), 60u);
    EXPECT_EQ(reader.held.front().at, 60u);
    EXPECT_GT(r.s().first(), 80u) << "retention goes on with what it has read";
}

TEST(stream, a_deleted_one_tells_its_readers) {
    stream_rig r;
    taker reader;
    ASSERT_TRUE(consume(r.s(), reader));
    const auto keep = r.s().shared_from_this();
    r.add(3);
    EXPECT_TRUE(r.host().delete_queue("s", {}, 1));
    EXPECT_TRUE(reader.told_gone);
    r.commit();
    keep->wake(reader);
    keep->deliver();
    EXPECT_THAT(reader.bodies, IsEmpty());
}

}  // namespace foz::broker
