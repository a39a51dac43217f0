#include "fixture.hpp"

namespace foz::broker {
namespace {

constexpr queue_number recorded_queue = 3;

// A sealed record is opened under its own key alone, and not with any bit changed.
TEST(records, notice_every_bit) {
    const std::string record = seal("key", "value");
    EXPECT_EQ(unseal("key", record), "value");
    EXPECT_FALSE(unseal("other", record));
    EXPECT_FALSE(unseal("key", record.substr(0, 3)));
    for (std::size_t i = 0; i < record.size() * 8; ++i) {
        std::string changed = record;
        changed[i / 8] = static_cast<char>(changed[i / 8] ^ 1 << i % 8);
        EXPECT_FALSE(unseal("key", changed)) << i;
    }
}

TEST(records, places_come_back) {
    const std::string key = place_key(recorded_queue, 100);
    place what{.chunk = 9, .span = 20, .live = 18};
    EXPECT_TRUE(what.remove(3));
    EXPECT_TRUE(what.remove(19));
    EXPECT_FALSE(what.remove(3));
    EXPECT_FALSE(what.remove(20));
    what.set_returns(5, 1);
    what.set_returns(5, 2);
    const auto read = read_place(key, write_place(key, what));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->chunk, 9U);
    EXPECT_EQ(read->live, 16U);
    for (std::uint32_t i = 0; i < 20; ++i) EXPECT_EQ(read->has_gone(i), i == 3 || i == 19) << i;
    EXPECT_EQ(read->returns_of(5), 2U);
    EXPECT_EQ(read->returns_of(4), 0U);
    EXPECT_FALSE(read_place(place_key(recorded_queue, 101), write_place(key, what)));
}

// With any octet of a chunk changed, entries are right or missing, and others than the changed one are there.
TEST(records, chunks_give_what_is_whole) {
    chunk_writer chunk(recorded_queue);
    const std::vector<std::string> bodies{"first", "", "third"};
    for (position at = 10; at < 13; ++at) chunk.add(make_entry(at, bodies[at - 10], at == 11));
    EXPECT_EQ(chunk.count(), 3U);
    const std::string record = chunk.finish();
    EXPECT_TRUE(chunk.empty());
    EXPECT_FALSE(chunk_reader::open(recorded_queue + 1, 10, record));
    EXPECT_FALSE(chunk_reader::open(recorded_queue, 11, record));
    for (std::size_t i = 0; i <= record.size(); ++i) {
        std::string changed = record;
        if (i < record.size()) changed[i] = static_cast<char>(changed[i] ^ 0x40);
        auto read = chunk_reader::open(recorded_queue, 10, changed);
        if (!read) continue;
        std::size_t whole = 0;
        while (const auto head = read->next()) {
            const auto entry = read->entry_of(*head);
            if (!entry) continue;
            ++whole;
            EXPECT_EQ(entry->what->body(), bodies[entry->at - 10]);
            EXPECT_EQ(entry->arrived_ms, 1'000 + static_cast<std::int64_t>(entry->at));
            EXPECT_EQ(entry->transient, entry->at == 11);
        }
        EXPECT_EQ(whole, i < record.size() ? 2U : 3U) << i;
    }
}

// No chunk that is cut short makes the reader leave its octets.
TEST(records, chunks_may_be_cut) {
    chunk_writer chunk(recorded_queue);
    for (position at = 0; at < 3; ++at) chunk.add(make_entry(at, "body"));
    const std::string record = chunk.finish();
    for (std::size_t size = 0; size < record.size(); ++size) {
        auto read = chunk_reader::open(recorded_queue, 0, std::string_view(record).substr(0, size));
        std::size_t whole = 0;
        while (const auto head = read ? read->next() : std::nullopt)
            if (read->entry_of(*head)) ++whole;
        EXPECT_LT(whole, 3U);
    }
}

}  // namespace
}  // namespace foz::broker
