#include "amqp/codec/encode.hpp"
#include "amqp/codec/sample_methods.hpp"

#include <gtest/gtest.h>

namespace foz::amqp {
namespace {

std::string payload_of(const method& m) {
    std::string out;
    EXPECT_TRUE(encode_method(out, 1, m));
    return out.substr(7, out.size() - frame_overhead);
}

}  // namespace

TEST(methods, every_method_survives_the_round_trip) {
    const auto all = sample_methods();
    EXPECT_EQ(all.size(), std::variant_size_v<method::alternatives>);
    for (const method& m : all) {
        const auto back = decode_method(payload_of(m));
        ASSERT_TRUE(back) << info(m).name << ": " << to_string(back.error());
        EXPECT_EQ(*back, m) << info(m).name;
    }
}

TEST(methods, decoding_into_a_used_method_leaves_nothing_of_the_old_one) {
    const auto all = sample_methods();
    for (const method& m : all) {
        method used = m;
        const method fresh = std::visit([]<class M>(const M&) { return method(M{}); }, m);
        ASSERT_TRUE(decode_method(payload_of(fresh), used)) << info(m).name;
        EXPECT_EQ(used, fresh) << info(m).name;
    }
}

TEST(methods, a_truncated_method_is_an_error_at_every_octet) {
    for (const method& m : sample_methods()) {
        const std::string payload = payload_of(m);
        for (std::size_t size = 0; size < payload.size(); ++size) {
            const auto back = decode_method(std::string_view(payload).substr(0, size));
            ASSERT_FALSE(back) << info(m).name << " cut to " << size;
            EXPECT_EQ(back.error(), wire_error::truncated) << info(m).name << " cut to " << size;
        }
    }
}

TEST(methods, trailing_octets_are_an_error) {
    for (const method& m : sample_methods()) {
        const auto back = decode_method(payload_of(m) + '\0');
        ASSERT_FALSE(back) << info(m).name;
        EXPECT_EQ(back.error(), wire_error::trailing_octets) << info(m).name;
    }
}

TEST(methods, unknown_ids_are_an_error) {
    const auto back = decode_method(std::string_view("\0\x0a\0\xff", 4));
    ASSERT_FALSE(back);
    EXPECT_EQ(back.error(), wire_error::unknown_method);
    EXPECT_EQ(reply_code_of(back.error()), reply_code::not_implemented);
    EXPECT_EQ(find_method(10, 255), nullptr);
}

TEST(methods, know_their_ids_names_and_responses) {
    EXPECT_EQ(queue_declare::class_id, 50);
    EXPECT_EQ(queue_declare::method_id, 10);
    EXPECT_EQ(queue_declare::name, "queue.declare");
    EXPECT_TRUE(queue_declare::synchronous);
    EXPECT_TRUE((std::is_same_v<queue_declare::response, queue_declare_ok>));
    EXPECT_TRUE((std::is_same_v<basic_get::responses, method_list<basic_get_ok, basic_get_empty>>));
    EXPECT_TRUE((std::is_same_v<basic_recover::response, basic_recover_ok>));
    EXPECT_TRUE((std::is_same_v<connection_update_secret::response, connection_update_secret_ok>));
    EXPECT_EQ(connection_blocked::method_id, 60);
    EXPECT_EQ(connection_unblocked::method_id, 61);
    EXPECT_FALSE(basic_ack::synchronous);
    for (const method& m : sample_methods()) {
        EXPECT_EQ(find_method(info(m).class_id, info(m).method_id), &info(m)) << info(m).name;
    }
}

TEST(methods, only_four_carry_content) {
    std::string names;
    for (const method& m : sample_methods()) {
        if (info(m).has_content) names.append(info(m).name).append(" ");
    }
    EXPECT_EQ(names, "basic.publish basic.return basic.deliver basic.get-ok ");
}

TEST(methods, a_short_string_over_255_octets_is_refused_and_nothing_is_written) {
    std::string out = "before";
    ASSERT_TRUE(encode_method(out, 1, queue_purge{.queue = std::string(255, 'q')}));
    out = "before";
    const auto done = encode_method(out, 1, queue_purge{.queue = std::string(256, 'q')});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error(), wire_error::string_too_long);
    EXPECT_EQ(out, "before");
}

TEST(methods, a_method_that_does_not_fit_frame_max_is_refused) {
    const connection_start_ok big{.response = std::string(5000, 'r')};
    std::string out = "before";
    const auto done = encode_method(out, 0, big, 4096);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error(), wire_error::frame_too_large);
    EXPECT_EQ(out, "before");
    EXPECT_TRUE(encode_method(out, 0, big, 8192));
}

TEST(reply_codes, know_what_they_close) {
    EXPECT_EQ(scope_of(reply_code::not_found), error_scope::channel);
    EXPECT_EQ(scope_of(reply_code::no_route), error_scope::channel);
    EXPECT_EQ(scope_of(reply_code::frame_error), error_scope::connection);
    EXPECT_EQ(scope_of(reply_code::reply_success), error_scope::none);
    EXPECT_EQ(scope_of(static_cast<reply_code>(999)), error_scope::connection);
    EXPECT_EQ(to_string(reply_code::precondition_failed), "PRECONDITION_FAILED");
}

TEST(reply_codes, reply_text_fits_a_short_string) {
    EXPECT_EQ(reply_text({.code = reply_code::frame_error, .text = "why"}), "FRAME_ERROR - why");
    EXPECT_EQ(reply_text({.code = reply_code::frame_error, .text = std::string(300, 'x')}).size(), 255u);
}

}  // namespace foz::amqp
