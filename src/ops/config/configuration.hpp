// What `foz` is told: a TOML file, FOZ_* variables and flags, from weak to strong.
#pragma once

#include "aggregator/settings.hpp"
#include "identity/settings.hpp"
#include "ops/admin/settings.hpp"
#include "ops/config/toml_file.hpp"

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace foz::ops {

struct key;

// The broker inside the process, which is used when no other one is named.
struct embedded_settings {
    std::string data = "foz-data";
    std::string listen = "127.0.0.1:5672";
    std::string tls_listen;  // empty: no amqps
    std::string tls_certificate;
    std::string tls_key;
    std::string tls_ca;
    std::vector<std::string> proxy_protocol;
    std::vector<std::string> vhosts{"/"};
    std::string definitions;         // a file
    std::uint64_t memory_bytes = 0;  // 0: two fifths of the machine's
    std::uint64_t disk_free_bytes = 50'000'000;
};

// Everything, checked. Defaults stand here and in aggregator::settings, contract::channel_settings and
// identity::issuer_settings, nowhere else.
struct configuration {
    aggregator::settings server;  // complete: URLs and TLS come from the texts below

    embedded_settings embedded;
    std::vector<std::string> urls;          // empty: of the embedded broker
    std::vector<std::string> consume_urls;  // empty: urls
    std::vector<std::string> publish_urls;  // empty: urls
    std::string tls_certificate;
    std::string tls_key;
    std::vector<std::string> tls_more;  // CERTIFICATE:KEY
    std::string tls_client_ca;
    std::string tls_client_certificates = "off";
    net::peer_name tls_client_name = net::peer_name::common_name;
    bool allow_anonymous = false;
    std::vector<identity::issuer_settings> issuers;  // of tokens; no secret stands in them
    std::uint32_t threads = 0;                       // 0: one for each core
    admin_settings admin;
    std::string log_format = "text";
    std::string log_level = "info";

    // No other broker is named.
    bool uses_embedded() const { return urls.empty() && consume_urls.empty() && publish_urls.empty(); }
};

struct endpoint {
    std::string address;  // of IPv6 without brackets
    std::uint16_t port = 0;
};

// ADDRESS:PORT, the address an IP address. The error says what is expected.
std::expected<endpoint, std::string> parse_endpoint(std::string_view text);

// CERTIFICATE:KEY, two files; nothing when there aren't exactly two.
std::optional<net::tls_files> parse_pair(std::string_view text);

// How clients on this machine reach the embedded broker that listens there.
amqp::url embedded_url(const endpoint& where, const std::string& vhost);

// Reads the layers one after the other, then finish(). Problems are collected, not thrown: each is one line that says
// where, what, and what would be right. With problems, the configuration must not be used.
class configuration_reader {
public:
    void read_file(const std::string& path);
    // "NAME=value" each. Names that begin with FOZ_ and are nearly right are warnings: a cluster's tools may set such
    // variables too.
    void read_variables(std::span<const std::string_view> environment);
    // `name`: as it was typed, when that is not the table's name.
    void read_flag(const key& what, const std::vector<std::string>& texts, const std::string& name = "");

    configuration finish();

    const std::vector<std::string>& problems() const noexcept { return problems_; }
    const std::vector<std::string>& warnings() const noexcept { return warnings_; }
    // After finish(): what was said of the embedded broker while another one is used, as one warning; else empty. Only
    // for who would start either.
    std::string embedded_in_vain(const configuration& all) const;
    // Of the problems, whether one is a flag's: that is wrong usage.
    bool flag_is_wrong() const noexcept { return flag_is_wrong_; }
    // Where the value of a key was said ("foz.toml:12", "FOZ_LISTEN", "--listen"), or empty for a default. `path` is
    // "limits.queue_bytes" or "channels.chat.order".
    std::string origin(const std::string& path) const;

private:
    struct setting {
        const key* what = nullptr;
        std::string owner;  // the channel, issuer or user
        value content;
        std::string where;
    };

    void read_entry(const std::string& file, const toml_entry& entry);
    // [channels.NAME], [issuers.NAME], [admin_users.NAME].
    void read_named_section(const toml_entry& entry, const std::string& where, const std::string& about);
    // FOZ_CHANNELS_NAME_KEY, FOZ_ISSUERS_NAME_KEY, FOZ_ADMIN_USERS_NAME_KEY.
    void read_named_variable(const std::string& section_name, std::string_view name, std::string_view text);
    std::vector<std::string> names_said(const std::string& section_name);
    void add_text(const key& what, const std::string& owner, const std::vector<std::string>& texts,
                  const std::string& where, const std::string& about);
    void add(const key& what, const std::string& owner, value content, const std::string& where,
             const std::string& about);
    void make_channels(configuration& all);
    void check_channel(const contract::channel_settings& channel);
    void check_issuers(const configuration& all);
    void check_admin(const configuration& all);
    void check_together(configuration& all);
    void check_revokers(const aggregator::settings& all);
    void check_tls(const configuration& all);
    void check_web_folder(const configuration& all);
    void check_who_comes_in(configuration& all);
    void check_connect_service(const configuration& all);
    void check_what_is_told(const configuration& all);
    void problem(const std::string& about, const std::string& what) { problems_.push_back(about + ": " + what); }
    // "foz.toml:12: limits.queue_bytes": where a complaint about a key belongs.
    std::string about(const std::string& path) const;

    std::vector<setting> settings_;  // weak to strong
    std::vector<std::string> files_;
    using named_section = std::pair<std::string, std::string>;  // name, where
    std::vector<named_section>& sections_of(std::string_view section_name);

    std::vector<named_section> channels_;  // of the file
    std::vector<named_section> issuers_;
    std::vector<named_section> admin_users_;
    std::map<std::string, std::string> origins_;
    std::vector<std::string> problems_;
    std::vector<std::string> warnings_;
    bool channels_said_ = false;
    bool flag_is_wrong_ = false;
};

}  // namespace foz::ops
