// The service that decides about clients without a token.
#include "base/ascii.hpp"
#include "ops/config/configuration.hpp"
#include "ops/config/key_flaws.hpp"
#include "ops/config/key_makers.hpp"
#include "ops/config/key_table.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace foz::ops {
namespace table {
namespace {

// Cookies have a key of their own, and a cookie's name is what a header's is (RFC 6265 §4.1.1).
std::string no_told_headers(const value& v) {
    if (std::string flaw = no_headers(v); !flaw.empty()) return flaw;
    for (const std::string& name : std::get<std::vector<std::string>>(v)) {
        if (ascii_iequals(name, "cookie")) return "cookies are named one by one, in connect_service.cookies";
        if (ascii_iequals(name, "sec-websocket-protocol"))
            return "it may hold a token; the service is told the other protocols";
    }
    return {};
}

std::string no_told_cookies(const value& v) {
    if (std::string flaw = no_headers(v); !flaw.empty()) return flaw;
    const auto& names = std::get<std::vector<std::string>>(v);
    if (std::ranges::find(names, aggregator::resume_cookie) == names.end()) return {};
    return std::string(aggregator::resume_cookie) + " is a client's secret, which no service is told";
}

}  // namespace

std::vector<key> connect_keys() {
    using s = aggregator::connect_settings;
    return {
        text("connect_service", "channel", &s::channel, "CHANNEL",
             "whose service is asked (type foz.connect); empty: none is, and listen.allow_anonymous decides"),
        number("connect_service", "timeout_ms", &s::timeout, {100, 60'000}, "ms",
               "that its answer may take; then the client is told to come again. Primus' client waits for 10 s"),
        with_flaw(list("connect_service", "headers", &s::headers, "HEADER",
                       "of the client's request, that it is told besides path, query, host, address, origin, language "
                       "and protocols; Authorization not of pages whose origin is not trusted"),
                  no_told_headers),
        with_flaw(list("connect_service", "cookies", &s::cookies, "NAME",
                       "that it is told of pages of the same origin, of those that listen.origins names, and of "
                       "programs that are no browser"),
                  no_told_cookies),
        text("connect_service", "client_prefix", &s::client_prefix, "", "before each subject that it names"),
        number("connect_service", "leeway_s", &s::leeway, {0, 600}, "s", "that its clock and ours may differ"),
        number("limits", "connect_questions", &s::questions_max, {1, 1'000'000}, "questions",
               "to the connect service without an answer, of the whole process; a further client is refused for now"),
        number("limits", "address_connect_questions", &s::address_questions_max, {1, 1'000'000}, "questions",
               "of these, about clients of one address (IPv4, or an IPv6 /64), unless that is this machine"),
    };
}

}  // namespace table

void configuration_reader::check_connect_service(const configuration& all) {
    const aggregator::connect_settings& service = all.server.connect;
    if (service.channel.empty()) {
        for (const auto& [name, said] :
             {std::pair("headers", !service.headers.empty()), std::pair("cookies", !service.cookies.empty()),
              std::pair("client_prefix", !service.client_prefix.empty())})
            if (said)
                problem(about("connect_service." + std::string(name)),
                        "without effect; say connect_service.channel, too");
        return;
    }
    const auto& channels = all.server.channels;
    const auto at = std::ranges::find(channels, service.channel, &contract::channel_settings::name);
    if (at == channels.end()) {
        problem(about("connect_service.channel"), "there is no channel " + service.channel);
    } else if (!at->may_publish.empty() || !at->may_request.empty()) {
        warnings_.push_back(about("connect_service.channel") + ": what clients send on channel " + service.channel +
                            " delays the questions who may come in; give these a channel of their own, with "
                            "may_publish = [] and may_request = []");
    }
    check_what_is_told(all);
    if (all.allow_anonymous)
        problem(about("connect_service.channel"),
                "with allow_anonymous everybody comes in, and nobody has to be asked; leave one of them out");
}

// Tokens, and names that are believed of proxies alone: anybody may send a header.
void configuration_reader::check_what_is_told(const configuration& all) {
    const aggregator::settings& to = all.server;
    if (!all.issuers.empty() && std::ranges::find(to.connect.cookies, to.token_cookie) != to.connect.cookies.end())
        problem(about("connect_service.cookies"),
                to.token_cookie + " may hold a token (listen.token_cookie), which no service is told");
    const auto is_believed = [&](const std::string& told) { return ascii_iequals(told, to.client_header); };
    if (!to.client_header.empty() && std::ranges::any_of(to.connect.headers, is_believed))
        problem(about("connect_service.headers"),
                to.client_header +
                    " is believed of proxies alone (listen.client_header); of a client that one of "
                    "them names nobody is asked, and others may send what they like");
}

}  // namespace foz::ops
