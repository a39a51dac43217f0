#include "aggregator/shard/connect_question.hpp"

#include "aggregator/shard/credentials.hpp"
#include "base/ascii.hpp"
#include "base/json_writer.hpp"
#include "base/utf8.hpp"

#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace foz::aggregator {
namespace {

client_error not_utf8(std::string field) {
    return {error_code::bad_query, "UTF-8 is expected", std::move(field)};
}

bool is_secret(std::string_view parameter) {
    return parameter == "resume" || parameter == "token";
}

// False: it is not UTF-8, and was left out.
bool add(json_writer& to, std::string_view name, std::string_view text) {
    if (!is_utf8(name) || !is_utf8(text)) return false;
    to.member(name, text);
    return true;
}

std::optional<client_error> add_circumstances(json_writer& to, const ws::http_request& request,
                                              const connect_circumstances& how) {
    const std::string language = request.all("Accept-Language");
    for (const auto& [name, text] : {std::pair<const char*, std::string_view>("path", request.path),
                                     {"host", how.host},
                                     {"address", how.address},
                                     {"origin", request.header("Origin")},
                                     {"language", language}})
        if (!add(to, name, text)) return not_utf8(name);
    return std::nullopt;
}

// The first parameter of each name: as Foz itself reads them.
std::optional<client_error> add_query(json_writer& to, const ws::http_request& request) {
    to.key("query").open('{');
    std::set<std::string_view> seen;
    for (const auto& [name, text] : request.query)
        if (!is_secret(name) && seen.insert(name).second && !add(to, name, text)) return not_utf8("query");
    to.close('}');
    return std::nullopt;
}

std::optional<client_error> add_protocols(json_writer& to, const ws::http_request& request) {
    to.key("protocols").open('[');
    const std::string offered = request.all("Sec-WebSocket-Protocol");
    for (const std::string_view one : protocols_in(offered)) {
        if (one.starts_with(token_protocol)) continue;
        if (!is_utf8(one)) return not_utf8("Sec-WebSocket-Protocol");
        to.value(one);
    }
    to.close(']');
    return std::nullopt;
}

// Names in lower case: they don't depend on case (RFC 9110 §5.1).
std::optional<client_error> add_headers(json_writer& to, const ws::http_request& request,
                                        const connect_circumstances& how, const connect_settings& all) {
    to.key("headers").open('{');
    for (const std::string& header : all.headers) {
        const std::string name = ascii_lower(header);
        const std::string text = request.all(header);
        if (text.empty() || (name == "authorization" && !how.trusted_page)) continue;
        if (!add(to, name, text)) return not_utf8(header);
    }
    to.close('}');
    return std::nullopt;
}

std::optional<client_error> add_cookies(json_writer& to, const ws::http_request& request,
                                        const connect_circumstances& how, const connect_settings& all) {
    to.key("cookies").open('{');
    for (const std::string& cookie : all.cookies) {
        const std::string_view text = how.trusted_page ? request.cookie(cookie) : std::string_view();
        if (!text.empty() && !add(to, cookie, text)) return not_utf8(cookie);
    }
    to.close('}');
    return std::nullopt;
}

}  // namespace

std::expected<std::string, client_error> connect_question(const ws::http_request& request,
                                                          const connect_circumstances& how,
                                                          const connect_settings& all) {
    json_writer to;
    to.open('{');
    if (auto flaw = add_circumstances(to, request, how)) return std::unexpected(std::move(*flaw));
    if (auto flaw = add_query(to, request)) return std::unexpected(std::move(*flaw));
    if (auto flaw = add_protocols(to, request)) return std::unexpected(std::move(*flaw));
    if (auto flaw = add_headers(to, request, how, all)) return std::unexpected(std::move(*flaw));
    if (auto flaw = add_cookies(to, request, how, all)) return std::unexpected(std::move(*flaw));
    to.close('}');
    return std::move(to).text();
}

}  // namespace foz::aggregator
