// Deciding whether a client that has shown no token may come in (foz.connect).
//
//     worker.on_connect("login", [](const foz::service::connect_question& asked) {
//         const auto ticket = asked.query.find("ticket");
//         if (ticket == asked.query.end()) return foz::service::connect_decision::deny("Please buy a ticket.");
//         return foz::service::connect_decision::allow(R"({"sub":"guest-7","foz":{"groups":["guests"]}})");
//     });
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace foz::service {

// What the client has brought: all of it is the client's word, but `address`, which the aggregator knows as far as it
// believes its proxies; and `host` is a name that is served there, or an IP address.
struct connect_question {
    std::string path;                            // of the URL: /primus, or /primus/CHANNEL
    std::map<std::string, std::string> query;    // its parameters, but `resume` and `token`
    std::string host;                            // HOST or HOST:PORT
    std::string address;                         // the client's
    std::string origin;                          // of the page; empty: it is no browser's
    std::string language;                        // Accept-Language
    std::vector<std::string> protocols;          // offered sub-protocols
    std::map<std::string, std::string> headers;  // of connect_service.headers, names in lower case
    std::map<std::string, std::string> cookies;  // of connect_service.cookies
};

class connect_decision {
public:
    // It may come in. `claims`: a JSON object, as a token's payload has it: sub, exp, iat, jti, iss and foz with
    // channels, groups, limits, meta. Without `sub` it is a client without a name; without `exp` it may stay. Without
    // foz.channels and foz.groups it may what the channels' settings say. std::invalid_argument when it isn't JSON.
    static connect_decision allow(std::string_view claims = "{}");
    // It may not, and stays away. `text`: for people, at most 1,024 octets; `code`: for programs, at most 64 octets, or
    // empty. std::invalid_argument when one is longer, or not UTF-8.
    static connect_decision deny(std::string_view text, std::string_view code = {});

    // What the aggregator is answered.
    const std::string& json() const noexcept { return json_; }

private:
    explicit connect_decision(std::string json) : json_(std::move(json)) {}
    std::string json_;
};

// Throws: nobody can say it now, and the client is told to come again.
using connect_handler = std::function<connect_decision(const connect_question&)>;

}  // namespace foz::service
