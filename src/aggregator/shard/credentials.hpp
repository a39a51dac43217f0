// What a request shows of who its client is. Pure.
#pragma once

#include "aggregator/session/client_error.hpp"
#include "aggregator/session/client_rights.hpp"
#include "aggregator/settings.hpp"
#include "ws/conn/http.hpp"

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::aggregator {

inline constexpr std::string_view token_protocol = "foz.token.";  // and the token, as a sub-protocol

// The names of Sec-WebSocket-Protocol (RFC 6455 §11.3.4): a list, in as many lines as the client likes.
std::vector<std::string_view> protocols_in(std::string_view joined_lines);

// The token: the parameter `token`, a sub-protocol, Authorization: Bearer (RFC 6750 §2.1), or, from a page of the same
// origin, the cookie. Nothing: there is none. bad_token: several that differ, or one line of Authorization too many.
// Where no tokens are taken, Authorization and the cookie are somebody else's affair.
struct token_places {
    bool own_page = false;
    bool taken = true;
    std::string_view cookie;  // its name; empty: none
};
std::expected<std::optional<std::string>, client_error> token_in(const ws::http_request& request,
                                                                 const token_places& where);

// A client that its TLS certificate names; the settings say what it may. bad_token: no client can be called so.
std::expected<known_client, client_error> client_certified(const std::string& name, const settings& all);

// What a trusted proxy says in the headers of the settings. Nothing: it names nobody, or says that it does not know the
// client (X-Anonymous-Consumer, Kong's). bad_token: a header is there twice, since one of them may be the client's own,
// or names what no client can be called.
std::expected<std::optional<known_client>, client_error> client_in(const ws::http_request& request,
                                                                   const settings& all);

}  // namespace foz::aggregator
