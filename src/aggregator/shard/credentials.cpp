#include "aggregator/shard/credentials.hpp"

#include "aggregator/shard/identity.hpp"
#include "aggregator/shard/token_gate.hpp"
#include "base/ascii.hpp"
#include "base/json.hpp"
#include "base/utf8.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::size_t meta_octets_max = 4'096;  // as of a token's
constexpr std::size_t groups_max = 256;

client_error bad(const char* reason, std::string text, std::string field) {
    client_error error{error_code::bad_token, std::move(text), std::move(field)};
    error.reason = reason;
    return error;
}

std::vector<std::string_view> values_of(const ws::http_request& request, std::string_view name) {
    std::vector<std::string_view> all;
    for (const auto& [header, text] : request.headers)
        if (ascii_iequals(header, name)) all.emplace_back(text);
    return all;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t";
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    return text.substr(0, text.find_last_not_of(blanks) + 1);
}

std::vector<std::string_view> split(std::string_view list) {
    std::vector<std::string_view> all;
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(','), list.size());
        if (const std::string_view one = trimmed(list.substr(0, end)); !one.empty()) all.push_back(one);
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return all;
}

// The value of a header that has to be there once at most.
std::expected<std::optional<std::string_view>, client_error> only_one(const ws::http_request& request,
                                                                      const std::string& name) {
    if (name.empty()) return std::nullopt;
    const auto all = values_of(request, name);
    if (all.empty()) return std::nullopt;
    if (all.size() > 1) return std::unexpected(bad("several_headers", "the proxy sends this header twice", name));
    if (!is_utf8(all.front())) return std::unexpected(bad("bad_header", "the header is not UTF-8", name));
    return all.front();
}

}  // namespace

std::vector<std::string_view> protocols_in(std::string_view joined_lines) {
    return split(joined_lines);
}

std::expected<std::optional<std::string>, client_error> token_in(const ws::http_request& request,
                                                                 const token_places& where) {
    std::vector<std::string> all;
    for (const auto& [name, text] : request.query)
        if (name == "token") all.push_back(text);
    const std::string offered = request.all("Sec-WebSocket-Protocol");
    for (const std::string_view one : protocols_in(offered))
        if (one.starts_with(token_protocol)) all.emplace_back(one.substr(token_protocol.size()));
    const auto lines = where.taken ? values_of(request, "Authorization") : std::vector<std::string_view>();
    if (lines.size() > 1)
        return std::unexpected(bad("several_tokens", "there are several lines of Authorization", "Authorization"));
    for (const std::string_view line : lines) {
        const std::size_t blank = std::min(line.find_first_of(" \t"), line.size());
        if (ascii_iequals(line.substr(0, blank), "Bearer")) all.emplace_back(trimmed(line.substr(blank)));
    }
    if (where.own_page && where.taken && !where.cookie.empty())
        if (const std::string_view kept = request.cookie(where.cookie); !kept.empty()) all.emplace_back(kept);
    if (all.empty()) return std::nullopt;
    if (std::ranges::any_of(all, [&](const std::string& one) { return one != all.front(); }))
        return std::unexpected(bad("several_tokens", "different tokens are shown in different places", "token"));
    return std::move(all.front());
}

std::expected<known_client, client_error> client_certified(const std::string& name, const settings& all) {
    if (!is_client_name(name) || is_open_group(all, name))
        return std::unexpected(bad("bad_client", "no client can be called as the certificate says", "certificate"));
    auto made = std::make_shared<client_rights>();
    made->channels = default_rights(all.channels);
    return known_client{client_id(name), std::move(made)};
}

std::expected<std::optional<known_client>, client_error> client_in(const ws::http_request& request,
                                                                   const settings& all) {
    const auto name = only_one(request, all.client_header);
    if (!name) return std::unexpected(name.error());
    const auto anonymous = values_of(request, "X-Anonymous-Consumer");
    if (!*name || std::ranges::any_of(anonymous, [](std::string_view one) { return ascii_iequals(one, "true"); }))
        return std::nullopt;
    if (!is_client_name(**name) || is_open_group(all, **name))
        return std::unexpected(bad("bad_client", "no client can be called so", all.client_header));
    auto made = std::make_shared<client_rights>();
    made->channels = default_rights(all.channels);
    if (!all.groups_header.empty()) {
        const auto groups = only_one(request, all.groups_header);
        if (!groups) return std::unexpected(groups.error());
        auto& to = made->groups.emplace();
        for (const std::string_view one : split(groups->value_or(""))) to.emplace_back(one);
        if (to.size() > groups_max)
            return std::unexpected(bad("bad_header", "there are more than 256 groups", all.groups_header));
        std::ranges::sort(to);
    }
    for (const std::string& header : all.meta_headers) {
        const auto text = only_one(request, header);
        if (!text) return std::unexpected(text.error());
        if (*text) made->meta += (made->meta.empty() ? "{" : ",") + json_string(header) + ":" + json_string(**text);
    }
    if (!made->meta.empty()) made->meta += '}';
    if (made->meta.size() > meta_octets_max)
        return std::unexpected(bad("bad_header", "what the proxy tells of the client is longer than 4 KiB", ""));
    return known_client{client_id(**name), std::move(made)};
}

}  // namespace foz::aggregator
