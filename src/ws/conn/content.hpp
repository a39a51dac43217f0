// What content is sent of several, and whether it is sent at all: conditional requests (RFC 9110 §13) and content
// coding (§12.5.3).
#pragma once

#include "ws/conn/http.hpp"

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace foz::ws {

// What tells one state of a content from another.
struct validators {
    std::string etag;                     // with its quotes
    std::optional<std::time_t> modified;  // when it is known
};

// The client has it already (If-None-Match, or else If-Modified-Since, of a GET or HEAD): 304 is the answer.
bool not_modified(const http_request& request, const validators& now);

// Accept-Encoding names this coding, or "*", with a weight above 0. Without the header nothing but the content itself
// is sent.
bool accepts_coding(const http_request& request, std::string_view coding);

// Adds what every answer for this content has to have, a 304 too (RFC 9110 §15.4.5).
void add_validators(http_response& response, const validators& now);

// One content that many ask for, with its gzip form. From any thread.
class fixed_content {
public:
    // Compresses once. Throws std::bad_alloc.
    fixed_content(std::string octets, std::string content_type);

    // 200 or 304.
    http_response answer(const http_request& request) const;

private:
    std::string content_type_;
    shared_octets plain_;
    shared_octets gzip_;  // null: it would not be smaller
    std::string tag_;     // of the plain form, without quotes
};

}  // namespace foz::ws
