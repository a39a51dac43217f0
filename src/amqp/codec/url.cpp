#include "amqp/codec/url.hpp"

#include "amqp/codec/constants.hpp"
#include "base/ascii.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace foz::amqp {
namespace {

// User, password and vhost travel in AMQP strings of at most this many octets (the password in a longer one).
constexpr std::size_t name_size_max = 255;
constexpr std::string_view encode_hint =
    "; percent-encode special characters in the user and password (@ is %40, / is %2f, # is %23)";

std::unexpected<url_error> wrong(url_errc part, std::string text) {
    return std::unexpected(url_error{part, std::move(text)});
}

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// RFC 3986 §2.1. Nothing for a broken escape or a NUL, which separates the fields of SASL PLAIN (RFC 4616).
std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char octet = text[i];
        if (octet == '%') {
            if (text.size() - i < 3) return std::nullopt;
            const int high = hex_digit(text[i + 1]);
            const int low = hex_digit(text[i + 2]);
            if (high < 0 || low < 0) return std::nullopt;
            octet = static_cast<char>(high << 4 | low);
            i += 2;
        }
        if (octet == '\0') return std::nullopt;
        out += octet;
    }
    return out;
}

void append_percent_encoded(std::string& out, std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    for (const char c : text) {
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           std::string_view("-._~").find(c) != std::string_view::npos;
        if (plain) {
            out += c;
            continue;
        }
        const auto octet = static_cast<std::uint8_t>(c);
        out += '%';
        out += digits[octet >> 4];
        out += digits[octet & 15];
    }
}

template <class T>
std::optional<T> number(std::string_view text) noexcept {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// Splits at the first `mark`; the second part is absent when there is none.
std::pair<std::string_view, std::optional<std::string_view>> split(std::string_view text, char mark) noexcept {
    const std::size_t at = text.find(mark);
    if (at == std::string_view::npos) return {text, std::nullopt};
    return {text.substr(0, at), text.substr(at + 1)};
}

using outcome = std::expected<void, url_error>;

outcome parse_credentials(std::string_view text, url& out) {
    const auto [user, password] = split(text, ':');
    const auto decoded_user = percent_decode(user);
    if (!decoded_user || decoded_user->size() > name_size_max) {
        return wrong(url_errc::credentials, "the user name has a broken percent escape or is longer than 255 octets");
    }
    out.user = *decoded_user;
    if (!password) return {};
    const auto decoded_password = percent_decode(*password);
    if (!decoded_password) return wrong(url_errc::credentials, "the password has a broken percent escape");
    out.password = *decoded_password;
    return {};
}

outcome parse_port(std::string_view text, url& out) {
    const auto port = number<std::uint16_t>(text);
    if (!port || *port == 0) {
        return wrong(url_errc::port, std::string("the port is not a number from 1 to 65535").append(encode_hint));
    }
    out.port = *port;
    return {};
}

bool is_host_octet(char c) noexcept {
    return static_cast<std::uint8_t>(c) > ' ' && c != '/' && c != 0x7f;
}

outcome parse_host_and_port(std::string_view text, url& out) {
    if (text.starts_with('[')) {  // RFC 3986 §3.2.2: an IPv6 address
        const std::size_t end = text.find(']');
        const std::string_view address = text.substr(1, end == std::string_view::npos ? end : end - 1);
        const bool valid = end != std::string_view::npos && address.find(':') != std::string_view::npos &&
                           std::ranges::all_of(address.substr(0, address.find('%')),
                                               [](char c) { return hex_digit(c) >= 0 || c == ':' || c == '.'; });
        const auto decoded = percent_decode(address);  // "%25eth0", a zone (RFC 6874)
        if (!valid || !decoded) return wrong(url_errc::host, "the IPv6 address in brackets is not valid");
        out.host = *decoded;
        text.remove_prefix(end + 1);
        if (text.empty()) return {};
        if (!text.starts_with(':')) return wrong(url_errc::port, "only a port may follow the IPv6 address");
        return text.size() == 1 ? outcome() : parse_port(text.substr(1), out);
    }
    const auto [host, port] = split(text, ':');
    const auto decoded = percent_decode(host);
    if (!decoded || !std::ranges::all_of(*decoded, is_host_octet)) {
        return wrong(url_errc::host, std::string("the host name is not valid").append(encode_hint));
    }
    if (!decoded->empty()) out.host = *decoded;
    return port && !port->empty() ? parse_port(*port, out) : outcome();
}

outcome parse_vhost(std::string_view text, url& out) {
    if (text.find('/') != std::string_view::npos) {
        return wrong(url_errc::vhost, "the virtual host contains a slash: write it as %2f");
    }
    const auto decoded = percent_decode(text);
    if (!decoded || decoded->size() > name_size_max) {
        return wrong(url_errc::vhost, "the virtual host has a broken percent escape or is longer than 255 octets");
    }
    out.vhost = *decoded;
    return {};
}

struct parameter {
    std::string_view name;
    std::string_view expects;
    bool (*set)(url& out, const std::string& value);
};

template <auto Member, class T>
bool set_number(url& out, const std::string& value) {
    const auto parsed = number<T>(value);
    if (parsed) out.*Member = typename std::remove_reference_t<decltype(out.*Member)>::value_type(*parsed);
    return parsed.has_value();
}

template <auto Member>
bool set_text(url& out, const std::string& value) {
    out.*Member = value;
    return !value.empty();
}

bool set_verify(url& out, const std::string& value) {
    out.verify = value == "verify_peer";
    return *out.verify || value == "verify_none";
}

// In any case, as RabbitMQ's clients take them.
bool set_mechanism(url& out, const std::string& value) {
    std::string upper = value;
    for (char& c : upper)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    out.auth_mechanism = upper;
    return upper == "PLAIN" || upper == "EXTERNAL";
}

constexpr std::array parameters{
    parameter{"heartbeat", "seconds from 0 to 65535", set_number<&url::heartbeat, std::uint16_t>},
    parameter{"connection_timeout", "milliseconds", set_number<&url::connection_timeout, std::uint32_t>},
    parameter{"channel_max", "a number from 0 to 65535", set_number<&url::channel_max, std::uint16_t>},
    parameter{"frame_max", "a number of octets", set_number<&url::frame_max, std::uint32_t>},
    parameter{"cacertfile", "a file", set_text<&url::cacertfile>},
    parameter{"certfile", "a file", set_text<&url::certfile>},
    parameter{"keyfile", "a file", set_text<&url::keyfile>},
    parameter{"verify", "verify_peer or verify_none", set_verify},
    parameter{"server_name_indication", "a host name", set_text<&url::server_name_indication>},
    parameter{"auth_mechanism", "plain or external", set_mechanism},
};

std::string known_parameters() {
    std::string names;
    for (const parameter& known : parameters) names.append(names.empty() ? "" : ", ").append(known.name);
    return names;
}

outcome parse_query(std::string_view text, url& out) {
    std::optional<std::string_view> rest = text;
    std::vector<std::string_view> said;
    while (rest) {
        const auto [item, following] = split(*rest, '&');
        rest = following;
        if (item.empty()) continue;
        const auto [name, value] = split(item, '=');
        const auto known = std::ranges::find(parameters, name, &parameter::name);
        if (known == parameters.end()) {
            return wrong(url_errc::parameter,
                         "unknown parameter " + std::string(name) + "; known are " + known_parameters());
        }
        if (std::ranges::find(said, name) != said.end())
            return wrong(url_errc::parameter, "parameter " + std::string(known->name) + " is said twice");
        said.push_back(name);
        const auto decoded = percent_decode(value.value_or(""));
        if (!decoded || !known->set(out, *decoded)) {
            return wrong(url_errc::parameter,
                         "parameter " + std::string(known->name) + " must be " + std::string(known->expects));
        }
    }
    return {};
}

// What is said and could have no effect.
outcome check_parameters(const url& is) {
    const auto refuse = [](const std::string& text) { return wrong(url_errc::parameter, "parameter " + text); };
    if (!is.tls) {
        for (const auto& [name, there] :
             {std::pair("cacertfile", is.cacertfile.has_value()), std::pair("certfile", is.certfile.has_value()),
              std::pair("keyfile", is.keyfile.has_value()), std::pair("verify", is.verify.has_value()),
              std::pair("server_name_indication", is.server_name_indication.has_value())})
            if (there) return refuse(std::string(name) + " needs amqps://");
    }
    if (is.certfile.has_value() != is.keyfile.has_value())
        return refuse(is.certfile ? "certfile needs keyfile" : "keyfile needs certfile");
    if (is.auth_mechanism == "EXTERNAL" && !is.certfile)
        return refuse("auth_mechanism external needs certfile and keyfile: the certificate says who one is");
    if (is.frame_max && *is.frame_max != 0 && *is.frame_max < frame_min_size)
        return refuse("frame_max must be 0 or at least " + std::to_string(frame_min_size));
    return {};
}

}  // namespace

std::expected<url, url_error> parse_url(std::string_view text) {
    url out;
    if (ascii_istarts_with(text, "amqps://")) {
        out.tls = true;
        out.port = 5671;
    } else if (!ascii_istarts_with(text, "amqp://")) {
        return wrong(url_errc::scheme, "a broker's URL begins with amqp:// or amqps://");
    }
    text.remove_prefix(text.find("//") + 2);

    const std::string_view authority = text.substr(0, text.find_first_of("/?#"));
    const std::string_view after = text.substr(authority.size());
    // Nothing after the authority needs these: most likely a password holds one that is not encoded, and what follows
    // would be taken for a host, vhost or parameter, and be logged.
    if (after.find_first_of("@#") != std::string_view::npos || std::ranges::count(authority, '@') > 1) {
        return wrong(url_errc::authority, std::string("an @ or # where none may be").append(encode_hint));
    }
    std::string_view host = authority;
    if (const std::size_t at = authority.find('@'); at != std::string_view::npos) {
        if (const auto done = parse_credentials(authority.substr(0, at), out); !done)
            return std::unexpected(done.error());
        host.remove_prefix(at + 1);
    }
    outcome done = parse_host_and_port(host, out);
    const auto [path, query] = split(after, '?');
    if (done && !path.empty()) done = parse_vhost(path.substr(1), out);
    if (done && query) done = parse_query(*query, out);
    if (done) done = check_parameters(out);
    if (!done) return std::unexpected(std::move(done).error());
    return out;
}

namespace {

const char* scheme_of(const url& u) {
    return u.tls ? "amqps://" : "amqp://";
}

void append_place(std::string& out, const url& u) {
    if (u.host.find(':') != std::string::npos) {
        out.append("[").append(u.host).append("]");
    } else {
        append_percent_encoded(out, u.host);
    }
    out.append(":").append(std::to_string(u.port)).append("/");
    append_percent_encoded(out, u.vhost);
}

}  // namespace

std::string url::redacted() const {
    std::string text = scheme_of(*this);
    append_percent_encoded(text, user);
    text += ":***@";
    append_place(text, *this);
    return text;
}

std::string url::without_user() const {
    std::string text = scheme_of(*this);
    append_place(text, *this);
    return text;
}

}  // namespace foz::amqp
