#include "ws/conn/content.hpp"

#include "base/digest.hpp"
#include "base/encoding.hpp"
#include "ws/conn/http_date.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <utility>
#include <zlib.h>

namespace foz::ws {
namespace {

constexpr std::string_view blank = " \t";

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = std::min(text.find_first_not_of(blank), text.size());
    const std::size_t end = text.find_last_not_of(blank);
    return end == std::string_view::npos ? std::string_view() : text.substr(begin, end + 1 - begin);
}

// Cuts the first part off a list.
std::string_view next_part(std::string_view& list, char separator) {
    const std::size_t end = std::min(list.find(separator), list.size());
    const std::string_view part = trimmed(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    return part;
}

// RFC 9110 §12.4.2: a weight of "0", "0." or "0.000" is none.
bool has_weight(std::string_view parameters) {
    while (!parameters.empty()) {
        const std::string_view one = next_part(parameters, ';');
        if (!one.starts_with("q=") && !one.starts_with("Q=")) continue;
        return one.find_first_of("123456789") != std::string_view::npos;
    }
    return true;
}

// As gzip (RFC 1952).
std::string gzipped(std::string_view text) {
    z_stream stream{};
    constexpr int gzip_window = 15 + 16;
    if (::deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, gzip_window, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        throw std::bad_alloc();
    std::string out(::deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    ::deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    ::deflateEnd(&stream);
    return out;
}

}  // namespace

bool not_modified(const http_request& request, const validators& now) {
    if (request.method != "GET" && request.method != "HEAD") return false;
    const std::string wanted = request.all("If-None-Match");
    if (!wanted.empty()) {
        for (std::string_view list = wanted; !list.empty();) {
            std::string_view one = next_part(list, ',');
            if (one.starts_with("W/")) one.remove_prefix(2);  // RFC 9110 §13.1.2: the weak comparison
            if (one == "*" || one == now.etag) return true;
        }
        return false;
    }
    const auto since = parse_http_date(request.header("If-Modified-Since"));
    return since && now.modified && *now.modified <= *since;
}

bool accepts_coding(const http_request& request, std::string_view coding) {
    const std::string all = request.all("Accept-Encoding");
    std::optional<bool> by_star;
    for (std::string_view list = all; !list.empty();) {
        std::string_view one = next_part(list, ',');
        const std::string_view name = next_part(one, ';');
        if (name == coding) return has_weight(one);
        if (name == "*") by_star = has_weight(one);
    }
    return by_star.value_or(false);
}

void add_validators(http_response& response, const validators& now) {
    response.headers.emplace_back("ETag", now.etag);
    if (now.modified) response.headers.emplace_back("Last-Modified", http_date(*now.modified));
    response.headers.emplace_back("Cache-Control", "no-cache");
    response.headers.emplace_back("Vary", "Accept-Encoding");
}

fixed_content::fixed_content(std::string octets, std::string content_type)
    : content_type_(std::move(content_type)), tag_(base32(sha256(octets)).substr(0, 26)) {
    std::string small = gzipped(octets);
    if (small.size() < octets.size()) gzip_ = std::make_shared<const std::string>(std::move(small));
    plain_ = std::make_shared<const std::string>(std::move(octets));
}

http_response fixed_content::answer(const http_request& request) const {
    const bool small = gzip_ && accepts_coding(request, "gzip");
    const validators now{.etag = '"' + tag_ + (small ? "-gz\"" : "\""), .modified = {}};
    http_response response{.content_type = content_type_};
    add_validators(response, now);
    if (not_modified(request, now)) {
        response.status = 304;
        return response;
    }
    if (small) response.headers.emplace_back("Content-Encoding", "gzip");
    response.headers.emplace_back("X-Content-Type-Options", "nosniff");
    response.shared = small ? gzip_ : plain_;
    return response;
}

}  // namespace foz::ws
