#include "ws/conn/content.hpp"

#include "ws/conn/http_date.hpp"

#include <zlib.h>

#include <gtest/gtest.h>

namespace foz::ws {
namespace {

http_request with(const std::string& name, const std::string& value) {
    http_request request;
    request.method = "GET";
    request.headers.emplace_back(name, value);
    return request;
}

std::string_view header(const http_response& response, std::string_view name) {
    for (const auto& [field, value] : response.headers)
        if (field == name) return value;
    return {};
}

}  // namespace

TEST(http_date, is_written_in_one_form_and_read_in_three) {
    EXPECT_EQ(http_date(784'111'777), "Sun, 06 Nov 1994 08:49:37 GMT");
    for (const char* form :
         {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"})
        EXPECT_EQ(parse_http_date(form), 784'111'777) << form;
    for (const char* none : {"", "yesterday", "784111777", "Sun, 06 Nov 1994 08:49:37 GMT "})
        EXPECT_FALSE(parse_http_date(none)) << none;
}

TEST(content, is_not_sent_to_whoever_has_it) {
    const validators now{.etag = "\"a\"", .modified = 784'111'777};
    EXPECT_TRUE(not_modified(with("If-None-Match", "\"a\""), now));
    EXPECT_TRUE(not_modified(with("If-None-Match", "\"x\", W/\"a\""), now));
    EXPECT_TRUE(not_modified(with("if-none-match", "*"), now));
    EXPECT_FALSE(not_modified(with("If-None-Match", "\"b\""), now));
    EXPECT_FALSE(not_modified(with("If-None-Match", "a"), now));
    EXPECT_TRUE(not_modified(with("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"), now));
    EXPECT_FALSE(not_modified(with("If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"), now));
    EXPECT_FALSE(not_modified(with("If-Modified-Since", "nonsense"), now));
    // RFC 9110 §13.1.3: of both, only the entity tag counts.
    http_request both = with("If-None-Match", "\"b\"");
    both.headers.emplace_back("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_FALSE(not_modified(both, now));
    both.headers.front().second = "\"a\"";
    both.method = "POST";
    EXPECT_FALSE(not_modified(both, now));
}

TEST(content, is_coded_as_the_client_says) {
    const auto gzip = [](const std::string& value) { return accepts_coding(with("Accept-Encoding", value), "gzip"); };
    for (const char* yes : {"gzip", "br, gzip", "gzip;q=0.1", "gzip ; q=1", "*", "br;q=0, *;q=0.5"})
        EXPECT_TRUE(gzip(yes)) << yes;
    for (const char* no : {"", "br", "gzip;q=0", "gzip; q=0.000", "identity", "*;q=0", "gzip;q=0, *", "xgzip"})
        EXPECT_FALSE(gzip(no)) << no;
    EXPECT_FALSE(accepts_coding({}, "gzip"));
}

TEST(content, fixed_is_compressed_once) {
    const std::string text(10'000, 'x');
    const fixed_content content(text, "text/plain");
    const http_response plain = content.answer({.method = "GET"});
    EXPECT_EQ(*plain.shared, text);
    EXPECT_EQ(header(plain, "Vary"), "Accept-Encoding");
    const http_response small = content.answer(with("Accept-Encoding", "gzip"));
    EXPECT_EQ(header(small, "Content-Encoding"), "gzip");
    EXPECT_LT(small.body_bytes(), 100u);
    EXPECT_NE(header(small, "ETag"), header(plain, "ETag"));
    z_stream stream{};
    ASSERT_EQ(::inflateInit2(&stream, 15 + 16), Z_OK);
    std::string out(text.size() + 1, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(small.shared->data()));
    stream.avail_in = static_cast<uInt>(small.shared->size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(::inflate(&stream, Z_FINISH), Z_STREAM_END);
    EXPECT_EQ(out.substr(0, stream.total_out), text);
    ::inflateEnd(&stream);
    const http_response known = content.answer(with("If-None-Match", std::string(header(plain, "ETag"))));
    EXPECT_EQ(known.status, 304u);
    EXPECT_EQ(known.body_bytes(), 0u);
    // What would not become smaller stays as it is.
    EXPECT_EQ(*fixed_content("x", "text/plain").answer(with("Accept-Encoding", "gzip")).shared, "x");
}

}  // namespace foz::ws
