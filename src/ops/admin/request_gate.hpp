// What keeps pages of other sites from using a browser that is logged in. Pure.
#pragma once

#include "ws/conn/http.hpp"

namespace foz::ops {

// A page of another origin, or of another port, has made the request: its Origin is not ours (RFC 6454 §7), or the
// browser says so itself (Sec-Fetch-Site). A link that leads here is not meant: a page can't read what it opens.
// `secure`: the request came over TLS.
bool is_foreign(const ws::http_request& request, bool secure);

// The request has what a form, a link or an image can't send without being asked first (CORS): Content-Type
// application/json, or X-Requested-With.
bool is_deliberate(const ws::http_request& request);

// The answer with what browsers are told: not to keep it, to guess no type, and to show it to no other site.
ws::http_response guarded(ws::http_response response);

}  // namespace foz::ops
