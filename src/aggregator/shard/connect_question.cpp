#include "aggregator/shard/connect_question.hpp"

#include "aggregator/shard/credentials.hpp"
#include "base/ascii.hpp"
#include "base/json.hpp"
#include "base/utf8.hpp"

#include <set>
#include <string_view>

namespace foz::aggregator {
namespace {

// An object that is written member by member.
class json_object {
public:
    // False: it is not UTF-8, and was left out.
    bool add(std::string_view name, std::string_view text) {
        if (!is_utf8(name) || !is_utf8(text)) return false;
        begin(name);
        append_json_string(out_, text);
        return true;
    }
    void add_raw(std::string_view name, std::string_view json) {
        begin(name);
        out_ += json;
    }
    std::string take() && { return std::move(out_) + "}"; }

private:
    void begin(std::string_view name) {
        if (out_.size() > 1) out_ += ',';
        append_json_string(out_, name);
        out_ += ':';
    }
    std::string out_ = "{";
};

client_error not_utf8(std::string field) {
    return {error_code::bad_query, "UTF-8 is expected", std::move(field)};
}

bool is_secret(std::string_view parameter) {
    return parameter == "resume" || parameter == "token";
}

// The first parameter of each name: as Foz itself reads them.
std::expected<std::string, client_error> query_of(const ws::http_request& request) {
    json_object out;
    std::set<std::string_view> seen;
    for (const auto& [name, text] : request.query)
        if (!is_secret(name) && seen.insert(name).second && !out.add(name, text))
            return std::unexpected(not_utf8("query"));
    return std::move(out).take();
}

std::expected<std::string, client_error> protocols_of(const ws::http_request& request) {
    const std::string offered = request.all("Sec-WebSocket-Protocol");
    std::string out = "[";
    for (const std::string_view one : protocols_in(offered)) {
        if (one.starts_with(token_protocol)) continue;
        if (!is_utf8(one)) return std::unexpected(not_utf8("Sec-WebSocket-Protocol"));
        if (out.size() > 1) out += ',';
        append_json_string(out, one);
    }
    return out + "]";
}

// Names in lower case: they don't depend on case (RFC 9110 §5.1).
std::expected<std::string, client_error> headers_of(const ws::http_request& request, const connect_circumstances& how,
                                                    const connect_settings& all) {
    json_object out;
    for (const std::string& header : all.headers) {
        const std::string name = ascii_lower(header);
        const std::string text = request.all(header);
        if (text.empty() || (name == "authorization" && !how.trusted_page)) continue;
        if (!out.add(name, text)) return std::unexpected(not_utf8(header));
    }
    return std::move(out).take();
}

std::expected<std::string, client_error> cookies_of(const ws::http_request& request, const connect_circumstances& how,
                                                    const connect_settings& all) {
    json_object out;
    for (const std::string& cookie : all.cookies) {
        const std::string_view text = how.trusted_page ? request.cookie(cookie) : std::string_view();
        if (!text.empty() && !out.add(cookie, text)) return std::unexpected(not_utf8(cookie));
    }
    return std::move(out).take();
}

}  // namespace

std::expected<std::string, client_error> connect_question(const ws::http_request& request,
                                                          const connect_circumstances& how,
                                                          const connect_settings& all) {
    json_object out;
    const std::string language = request.all("Accept-Language");
    for (const auto& [name, text] : {std::pair<const char*, std::string_view>("path", request.path),
                                     {"host", how.host},
                                     {"address", how.address},
                                     {"origin", request.header("Origin")},
                                     {"language", language}})
        if (!out.add(name, text)) return std::unexpected(not_utf8(name));
    const auto add = [&](const char* name, const std::expected<std::string, client_error>& json) {
        if (json) out.add_raw(name, *json);
        return json.has_value();
    };
    if (const auto query = query_of(request); !add("query", query)) return query;
    if (const auto protocols = protocols_of(request); !add("protocols", protocols)) return protocols;
    if (const auto headers = headers_of(request, how, all); !add("headers", headers)) return headers;
    if (const auto cookies = cookies_of(request, how, all); !add("cookies", cookies)) return cookies;
    return std::move(out).take();
}

}  // namespace foz::aggregator
