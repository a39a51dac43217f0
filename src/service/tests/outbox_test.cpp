#include "service/outbox.hpp"

#include <gtest/gtest.h>

namespace foz::service {
namespace {

outbox sample() {
    outbox box;
    box.reply = 1;
    amqp::publication full = make_publication();
    full.exchange = "OUTBOUND";
    full.routing_key = std::string(300, 'k');  // too long for AMQP, which is for the publisher to say
    full.properties.type = "said";
    full.properties.message_id = "ann/1/0";
    full.properties.correlation_id = "";
    full.properties.timestamp = 1'700'000'000;
    full.properties.headers = amqp::table{{"foz-broadcast", true}, {"n", 5}, {"t", amqp::table{{"x", "y"}}}};
    full.body = std::string("{\"a\":\0}", 7);
    amqp::publication bare = make_publication();
    bare.properties.timestamp = 1;
    bare.mandatory = true;
    box.said = {full, bare};
    return box;
}

}  // namespace

TEST(outbox, comes_back_as_it_was) {
    const outbox box = sample();
    const auto back = decode_outbox(encode(box));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->reply, 1u);
    ASSERT_EQ(back->said.size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(back->said[i].exchange, box.said[i].exchange);
        EXPECT_EQ(back->said[i].routing_key, box.said[i].routing_key);
        EXPECT_EQ(back->said[i].properties, box.said[i].properties);
        EXPECT_EQ(back->said[i].body, box.said[i].body);
        EXPECT_EQ(back->said[i].mandatory, box.said[i].mandatory);
    }
    const auto nothing = decode_outbox(encode({}));
    ASSERT_TRUE(nothing);
    EXPECT_FALSE(nothing->reply);
}

TEST(outbox, what_was_cut_or_is_of_another_version_is_refused) {
    const std::string whole = encode(sample());
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(decode_outbox(std::string_view(whole).substr(0, size))) << size;
    EXPECT_FALSE(decode_outbox(whole + "x"));
    std::string other = whole;
    other[0] = 1;
    EXPECT_FALSE(decode_outbox(other));
    outbox beyond = sample();
    beyond.reply = 2;
    EXPECT_FALSE(decode_outbox(encode(beyond))) << "the reply is one of the messages";
}

}  // namespace foz::service
