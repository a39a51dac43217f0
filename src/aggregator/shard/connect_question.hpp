// What a connect service is told of a client that wants to come in. Pure.
#pragma once

#include "aggregator/session/client_error.hpp"
#include "aggregator/settings.hpp"
#include "ws/conn/http.hpp"

#include <expected>
#include <string>

namespace foz::aggregator {

struct connect_circumstances {
    std::string address;  // the client's, as far as proxies are believed
    std::string host;     // that it came to, likewise
    // The page that asks is the same origin's, or listen.origins names its origin: what a browser adds by itself is
    // meant for us. Or it is no page that asks: browsers tell their page's origin (RFC 6455 §4.1).
    bool trusted_page = false;
};

// JSON: path, query, host, address, origin, language, protocols, headers, cookies. Of the query no `resume` and no
// `token`, of the protocols no token, and of headers and cookies those of the settings alone. Cookies and Authorization
// only of a trusted page. bad_query: something of it is not UTF-8.
std::expected<std::string, client_error> connect_question(const ws::http_request& request,
                                                          const connect_circumstances& how,
                                                          const connect_settings& all);

}  // namespace foz::aggregator
