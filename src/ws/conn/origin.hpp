// Whom a request is for, and which page made it: what keeps other sites' pages out of a browser's reach. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace foz::ws {

// A page of this origin comes from where its request went (RFC 6454 §5): same scheme, same host, same port.
// `origin`: an Origin header, "SCHEME://HOST[:PORT]". `secure`: the request came over TLS. `host`: as
// http_request::host. Hosts don't depend on case, and a scheme's port may be left out (RFC 3986 §6.2.3).
bool same_origin(std::string_view origin, bool secure, std::string_view host);

// The names that a server answers to. A page whose name is bound to our address later on (DNS rebinding) has our origin
// as far as its browser knows, but its requests carry its own name.
//
// Always answered to: "localhost" and names below it (RFC 6761 §6.3), since browsers ask nobody about them; IP
// addresses, which no name can be bound to; and requests of HTTP/1.0 without a host, which browsers don't make.
class host_list {
public:
    // Names without ports; "*.example.org" is every name below example.org, "*" is all.
    explicit host_list(const std::vector<std::string>& names = {});

    // `host`: as http_request::host.
    bool answers(std::string_view host) const;

    // What is wrong with an entry, or empty.
    static std::string flaw(std::string_view name);

private:
    std::vector<std::string> names_;  // in lower case
};

}  // namespace foz::ws
