#include "ws/conn/origin.hpp"

#include "base/ascii.hpp"
#include "ws/conn/request_target.hpp"

#include <algorithm>

#include <boost/asio/ip/address.hpp>

namespace foz::ws {
namespace {

struct host_and_port {
    std::string host;  // in lower case; of an IPv6 address with its brackets
    std::string port;  // empty: the scheme's
    bool operator==(const host_and_port&) const = default;
};

host_and_port taken_apart(std::string_view authority) {
    const std::size_t bracket = authority.rfind(']');
    const std::size_t colon = authority.rfind(':');
    const bool has_port = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
    return {ascii_lower(authority.substr(0, has_port ? colon : authority.size())),
            std::string(has_port ? authority.substr(colon + 1) : std::string_view())};
}

host_and_port with_port(std::string_view authority, bool secure) {
    host_and_port parts = taken_apart(authority);
    if (parts.port.empty()) parts.port = secure ? "443" : "80";
    return parts;
}

bool is_ip_address(std::string_view host) {
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    boost::system::error_code error;
    boost::asio::ip::make_address(std::string(host), error);
    return !error;
}

}  // namespace

bool same_origin(std::string_view origin, bool secure, std::string_view host) {
    const std::size_t end = origin.find("://");
    if (end == std::string_view::npos || !ascii_iequals(origin.substr(0, end), secure ? "https" : "http")) return false;
    const std::string_view authority = origin.substr(end + 3);
    if (!is_authority(authority) || !is_authority(host)) return false;
    return with_port(authority, secure) == with_port(host, secure);
}

host_list::host_list(const std::vector<std::string>& names) {
    for (const std::string& name : names) names_.push_back(ascii_lower(name));
}

bool host_list::answers(std::string_view host) const {
    if (host.empty()) return true;
    std::string name = taken_apart(host).host;
    if (name.size() > 1 && name.ends_with('.')) name.pop_back();  // the root's (RFC 3986 §3.2.2)
    if (name == "localhost" || name.ends_with(".localhost") || is_ip_address(name)) return true;
    return std::any_of(names_.begin(), names_.end(), [&](const std::string& one) {
        return one == "*" || one == name || (one.starts_with("*.") && name.ends_with(std::string_view(one).substr(1)));
    });
}

std::string host_list::flaw(std::string_view name) {
    const std::string_view rest = name.starts_with("*.") ? name.substr(2) : name;
    if (name == "*" || (is_authority(rest) && taken_apart(rest).port.empty() && rest.find_first_of("*:") == rest.npos))
        return {};
    return "a host's name without a port is expected, or *.NAME, not " + std::string(name);
}

}  // namespace foz::ws
