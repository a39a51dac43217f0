#include "ops/config/configuration.hpp"

#include "contract/names.hpp"
#include "contract/revocation.hpp"
#include "net/loopback.hpp"
#include "net/machine_memory.hpp"
#include "net/runtime.hpp"
#include "ops/config/keys.hpp"
#include "ops/config/memory_budget.hpp"
#include "ops/config/nearest.hpp"
#include "ops/config/tls_keys.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include <boost/asio/ip/address.hpp>

namespace foz::ops {
namespace {

const key* find_key(std::string_view section_name, std::string_view name) {
    for (const key& one : keys())
        if (!one.name.empty() && one.section == section_name && one.name == name) return &one;
    return nullptr;
}

std::vector<std::string> names_in(std::string_view section_name) {
    std::vector<std::string> names;
    for (const key& one : keys())
        if (one.section == section_name && !one.name.empty()) names.push_back(one.name);
    return names;
}

// What may stand at the top of a file.
std::vector<std::string> top_names() {
    std::vector<std::string> names = names_in("");
    for (const section& one : sections())
        if (!one.name.empty()) names.push_back(one.name);
    return names;
}

bool is_named_section(std::string_view name) {
    return name == "channels" || name == "issuers" || name == "admin_users";
}

bool is_section(std::string_view name) {
    return std::any_of(sections().begin(), sections().end(), [&](const section& one) { return one.name == name; });
}

std::string joined(const std::vector<std::string>& path) {
    std::string all;
    for (const std::string& part : path) all += (all.empty() ? "" : ".") + part;
    return all;
}

// A list in a variable: at white space and commas.
std::vector<std::string> split(std::string_view text) {
    constexpr std::string_view marks = " \t\n,";
    std::vector<std::string> parts;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_of(marks), text.size());
        if (end > 0) parts.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

// my-channel in the name of a variable: MY_CHANNEL.
std::string in_variable(std::string name) {
    for (char& c : name) c = c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return name;
}

// Of what a named section is called.
std::string flaw_of_name(std::string_view section_name, const std::string& name) {
    if (section_name != "channels")
        return contract::check_channel_name(name).empty()
                   ? ""
                   : std::string(section_name == "issuers" ? "an issuer's" : "a user's") +
                         " name has 1 to 32 of a-z, 0-9 and '-', and begins with a letter";
    if (std::string flaw = contract::check_channel_name(name); !flaw.empty()) return flaw;
    const std::string queue = contract::channel_settings{.name = name}.in_queue();
    return queue == contract::dead_queue ? queue + " is the queue of dead letters; another name is needed" : "";
}

// Also what does not exist yet, and what symbolic links lead to.
bool lies_in(const std::string& path, const std::string& folder) {
    namespace fs = std::filesystem;
    std::error_code error;
    const fs::path outer = fs::weakly_canonical(fs::absolute(folder, error), error);
    const fs::path inner = fs::weakly_canonical(fs::absolute(path, error), error);
    const fs::path way = inner.lexically_relative(outer);
    return !way.empty() && *way.begin() != "..";
}

std::vector<amqp::url> parse_urls(const std::vector<std::string>& texts) {
    std::vector<amqp::url> all;
    for (const std::string& text : texts) all.push_back(*amqp::parse_url(text));
    return all;
}

}  // namespace

std::expected<endpoint, std::string> parse_endpoint(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    const std::string_view port = colon == std::string_view::npos ? "" : text.substr(colon + 1);
    unsigned long number = 65'536;
    if (!port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string_view::npos)
        number = std::stoul(std::string(port));
    if (number > 65'535) return std::unexpected("ADDRESS:PORT is expected, not " + std::string(text));
    std::string address(text.substr(0, colon));
    if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
    boost::system::error_code error;
    boost::asio::ip::make_address(address, error);
    if (error) return std::unexpected(address + " is not an IP address");
    return endpoint{std::move(address), static_cast<std::uint16_t>(number)};
}

amqp::url embedded_url(const endpoint& where, const std::string& vhost) {
    amqp::url to;
    // An address that stands for all of them is reached through the loopback.
    const auto address = boost::asio::ip::make_address(where.address);
    to.host = !address.is_unspecified() ? where.address : address.is_v6() ? "::1" : "127.0.0.1";
    to.port = where.port;
    to.vhost = vhost;
    return to;
}

void configuration_reader::read_file(const std::string& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) return problem(path, "can't be read: it is a folder");
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in.good() && !in.eof()) return problem(path, "can't be read");
    files_.push_back(path);
    const auto entries = parse_toml(text);
    if (!entries) return problem(path + ":" + std::to_string(entries.error().line), entries.error().text);
    for (const toml_entry& entry : *entries) read_entry(path, entry);
}

void configuration_reader::read_entry(const std::string& file, const toml_entry& entry) {
    const std::vector<std::string>& path = entry.path;
    const std::string where = file + ":" + std::to_string(entry.line);
    const std::string named = where + ": " + joined(path);
    const bool in_named = is_named_section(path[0]);
    const std::string wanted = path.size() == 1 ? "a section" : "a key";
    if (path.size() == 1 && is_section(path[0])) {
        if (entry.kind != "a section") return problem(named, "a section expected, [" + path[0] + "]");
        channels_said_ |= path[0] == "channels";
        return;
    }
    if (path.size() == 2 && in_named) return read_named_section(entry, where, named);
    // What is inside something unknown was told with it.
    if (path.size() > 1 && !is_section(path[0])) return;
    const std::size_t depth = path.size() == 1 ? 1 : in_named ? 3 : 2;
    if (path.size() > depth) return;
    if (in_named && !flaw_of_name(path[0], path[1]).empty()) return;
    const std::string owner = path.size() == 1 ? "" : path[0];
    const key* const what = find_key(owner, path.back());
    if (!what) {
        const auto names = path.size() == 1 ? top_names() : names_in(owner);
        return problem(named, (entry.kind == "a section" ? "no such section; " : "no such key; ") +
                                  suggestion(path.back(), names));
    }
    if (!entry.content) return problem(named, expectation(*what) + " expected, not " + entry.kind);
    add(*what, in_named ? path[1] : "", *entry.content, where, named);
}

void configuration_reader::read_named_section(const toml_entry& entry, const std::string& where,
                                              const std::string& named) {
    const std::string& owner = entry.path[0];
    const std::string& name = entry.path[1];
    if (entry.kind != "a section") return problem(named, "a section expected, [" + owner + "." + name + "]");
    if (const std::string flaw = flaw_of_name(owner, name); !flaw.empty()) return problem(named, flaw);
    sections_of(owner).emplace_back(name, where);
}

std::vector<configuration_reader::named_section>& configuration_reader::sections_of(std::string_view section_name) {
    return section_name == "channels" ? channels_ : section_name == "issuers" ? issuers_ : admin_users_;
}

void configuration_reader::read_variables(std::span<const std::string_view> environment) {
    std::map<std::string_view, std::string_view> said;
    for (const std::string_view one : environment)
        if (const std::size_t mark = one.find('='); one.starts_with("FOZ_") && mark != std::string_view::npos)
            said.emplace(one.substr(0, mark), one.substr(mark + 1));
    std::vector<std::string> known{"FOZ_CONFIG"};
    // In the table's order, so that FOZ_LISTEN_PORT is stronger than FOZ_LISTEN.
    for (const key& one : keys()) {
        if (one.of_named()) continue;
        for (const std::string& name : {one.alias, one.variable}) {
            if (name.empty()) continue;
            known.push_back(name);
            const auto at = said.find(name);
            if (at == said.end()) continue;
            const bool list = one.type == value_type::list;
            add_text(one, "", list ? split(at->second) : std::vector{std::string(at->second)}, name, name);
            said.erase(at);
        }
    }
    for (const auto& [name, text] : said) {
        if (name.starts_with("FOZ_CHANNELS_")) {
            read_named_variable("channels", name, text);
        } else if (name.starts_with("FOZ_ISSUERS_")) {
            read_named_variable("issuers", name, text);
        } else if (name.starts_with("FOZ_ADMIN_USERS_")) {
            read_named_variable("admin_users", name, text);
        } else if (const std::string near = nearest_first(name, known).front(); edit_distance(name, near) <= 2) {
            if (near != name) warnings_.push_back(std::string(name) + ": no such variable; did you mean " + near + "?");
        }
    }
}

// Those of the file; of channels the default ones when it has none.
std::vector<std::string> configuration_reader::names_said(const std::string& section_name) {
    std::vector<std::string> names;
    for (const auto& [name, where] : sections_of(section_name)) names.push_back(name);
    if (section_name == "channels" && !channels_said_)
        for (const auto& one : contract::default_channels()) names.push_back(one.name);
    return names;
}

void configuration_reader::read_named_variable(const std::string& section_name, std::string_view name,
                                               std::string_view text) {
    std::vector<std::string> known;
    for (const std::string& owner : names_said(section_name)) {
        const std::string prefix = "FOZ_" + in_variable(section_name) + "_" + in_variable(owner) + "_";
        for (const key& one : keys()) {
            if (one.section != section_name) continue;
            known.push_back(prefix + in_variable(one.name));
            if (known.back() != name) continue;
            const bool list = one.type == value_type::list;
            return add_text(one, owner, list ? split(text) : std::vector{std::string(text)}, std::string(name),
                            std::string(name));
        }
    }
    const std::string what = section_name == "channels" ? "channel" : section_name == "issuers" ? "issuer" : "user";
    problem(std::string(name), "no such " + what + " or key; " +
                                   (known.empty() ? "the configuration has no [" + section_name + ".NAME]"
                                                  : "did you mean " + nearest_first(name, known).front() + "?"));
}

void configuration_reader::read_flag(const key& what, const std::vector<std::string>& texts, const std::string& name) {
    const std::size_t before = problems_.size();
    const std::string& typed = name.empty() ? what.flag : name;
    add_text(what, "", texts, typed, typed);
    flag_is_wrong_ |= problems_.size() > before;
}

void configuration_reader::add_text(const key& what, const std::string& owner, const std::vector<std::string>& texts,
                                    const std::string& where, const std::string& named) {
    auto content = parse_text(what, texts);
    if (!content) return problem(named, content.error());
    add(what, owner, std::move(*content), where, named);
}

void configuration_reader::add(const key& what, const std::string& owner, value content, const std::string& where,
                               const std::string& named) {
    auto checked = check(what, std::move(content));
    if (!checked) return problem(named, checked.error());
    settings_.push_back({&what, owner, std::move(*checked), where});
    if (what.name.empty()) {  // FOZ_LISTEN and --listen are two keys at once
        origins_["listen.address"] = origins_["listen.port"] = where;
    } else {
        origins_[what.path(owner)] = where;
    }
}

configuration configuration_reader::finish() {
    configuration all;
    make_channels(all);
    for (const auto& [name, where] : issuers_) all.issuers.push_back({.name = name});
    for (const auto& [name, where] : admin_users_) all.admin.users.push_back({.name = name});
    for (const setting& one : settings_) {
        const auto owner = [&](auto& list) {
            return std::ranges::find_if(list, [&](const auto& candidate) { return candidate.name == one.owner; });
        };
        target to{all};
        if (one.what->of_channel()) to.channel = &*owner(all.server.channels);
        if (one.what->of_issuer()) to.issuer = &*owner(all.issuers);
        if (one.what->of_user()) to.user = &*owner(all.admin.users);
        one.what->set(to, one.content);
    }
    for (const auto& channel : all.server.channels) check_channel(channel);
    check_issuers(all);
    check_admin(all);
    check_together(all);
    if (!problems_.empty()) return all;
    if (all.uses_embedded()) {
        all.server.publish_urls = {embedded_url(*parse_endpoint(all.embedded.listen), all.embedded.vhosts.front())};
        all.server.consume_urls = all.server.publish_urls;
    } else {
        all.server.consume_urls = parse_urls(all.consume_urls.empty() ? all.urls : all.consume_urls);
        all.server.publish_urls = parse_urls(all.publish_urls.empty() ? all.urls : all.publish_urls);
        check_revokers(all.server);
        if (!problems_.empty()) return all;
    }
    const budget_terms terms{.memory = net::memory_for_us(), .loops = net::runtime::threads_of(all.threads)};
    std::string warning =
        divide_memory(all, terms, [this](const std::string& path) { return origins_.contains(path); });
    if (!warning.empty()) warnings_.push_back(std::move(warning));
    if (!all.tls_certificate.empty()) all.server.tls = tls_of(all);
    if (all.tls_client_certificates != "off") all.server.client_name = all.tls_client_name;
    return all;
}

void configuration_reader::make_channels(configuration& all) {
    if (!channels_said_) return;
    all.server.channels.clear();
    for (const auto& [name, where] : channels_) all.server.channels.push_back({.name = name});
    if (channels_.empty() && problems_.empty()) problem("channels", "at least one [channels.NAME] expected");
}

void configuration_reader::check_channel(const contract::channel_settings& channel) {
    const std::string path = "channels." + channel.name + ".";
    const auto said = [&](const char* name) { return origins_.contains(path + name); };
    const bool durable = channel.delivery == contract::delivery_kind::durable;
    if (!durable) {
        if (channel.retention_bytes != 0)
            problem(about(path + "retention_bytes"), "a volatile channel keeps nothing; leave it out");
        if (channel.retention_age.count() != 0)
            problem(about(path + "retention_hours"), "a volatile channel keeps nothing; leave it out");
    }
    if (durable && said("volatile_max_length"))
        problem(about(path + "volatile_max_length"), "only a volatile channel has such a queue; leave it out");
    if (channel.order == contract::order_kind::client && channel.consumers == contract::consumer_kind::competing &&
        said("consumers"))
        problem(about(path + "consumers"), "order = \"client\" needs \"single_active\"; leave it out");
}

void configuration_reader::check_issuers(const configuration& all) {
    if (all.issuers.size() > identity::issuers_max)
        problem("issuers", "at most " + std::to_string(identity::issuers_max) + " issuers expected");
    std::set<std::string> known, prefixes;
    for (const auto& [name, where] : issuers_) {
        const auto issuer = std::ranges::find(all.issuers, name, &identity::issuer_settings::name);
        const auto tell = [&](const std::string& key_name, const std::string& text) {
            const std::string path = "issuers." + name + "." + key_name;
            problem(origins_.contains(path) ? about(path) : where + ": " + path, text);
        };
        for (const identity::settings_flaw& flaw : identity::flaws_of(*issuer)) tell(flaw.key, flaw.text);
        if (!issuer->issuer.empty() && !known.insert(issuer->issuer).second)
            tell("issuer", "another issuer has the same; their keys can't be told apart");
        if (!prefixes.insert(issuer->client_prefix).second)
            tell("client_prefix", "another issuer has the same; their clients could not be told apart");
    }
}

// Whoever reads what the port tells knows the topology and who is connected; whoever acts closes clients.
void configuration_reader::check_admin(const configuration& all) {
    const admin_settings& admin = all.admin;
    for (const auto& [name, where] : admin_users_) {
        const auto user = std::ranges::find(admin.users, name, &admin_user::name);
        const bool file = !user->token_file.empty();
        const bool variable = !user->token_variable.empty();
        if (user->password_hash.empty() && !file && !variable)
            problem(where + ": admin_users." + name, "password_hash, token_file or token_variable is missing");
        if (file && variable) problem(where + ": admin_users." + name, "token_file or token_variable, not both");
    }
    if (admin.tls_certificate.empty() != admin.tls_key.empty()) {
        const bool key_missing = admin.tls_key.empty();
        problem(about(key_missing ? "admin.tls_certificate" : "admin.tls_key"),
                std::string(key_missing ? "tls_key" : "tls_certificate") + " is missing; they go together");
    }
    if (admin.listen.empty()) return;
    const std::string address = parse_endpoint(admin.listen)->address;
    if (net::is_loopback(boost::asio::ip::make_address(address))) return;
    if (admin.users.empty())
        problem(about("admin.listen"),
                "anyone who reaches " + address +
                    " would be shown everything; make a user, [admin_users.NAME] with a password_hash (foz admin hash) "
                    "or a token_file, or listen on 127.0.0.1");
    else if (admin.tls_certificate.empty() && !admin.allow_plain)
        problem(about("admin.listen"),
                "passwords would cross the network in the clear; say admin.tls_certificate and admin.tls_key, or "
                "admin.allow_plain when a proxy before it does TLS");
}

// What we revoke ourselves would not count either.
void configuration_reader::check_revokers(const aggregator::settings& all) {
    if (!all.revokers.empty() && contract::revoking_user(all.publish_urls).empty())
        problem(about("broker.revokers"),
                "foz serve must have one name of its own at the broker, too: one user in all publish_urls (or urls), "
                "and no "
                "auth_mechanism=EXTERNAL");
}

void configuration_reader::check_together(configuration& all) {
    if (all.urls.empty() && all.consume_urls.empty() != all.publish_urls.empty()) {
        const bool consume = all.publish_urls.empty();
        problem(about(consume ? "broker.consume_urls" : "broker.publish_urls"),
                std::string(consume ? "publish_urls" : "consume_urls") + " is missing; or say urls for both");
    }
    if (all.embedded.vhosts.empty()) problem(about("embedded.vhosts"), "at least one virtual host expected");
    const embedded_settings& inside = all.embedded;
    if (!inside.tls_listen.empty() && (inside.tls_certificate.empty() || inside.tls_key.empty()))
        problem(about("embedded.tls_listen"), "amqps needs embedded.tls_certificate and embedded.tls_key");
    if (inside.tls_listen.empty())
        for (const auto& [name, text] : {std::pair("tls_certificate", &inside.tls_certificate),
                                         std::pair("tls_key", &inside.tls_key), std::pair("tls_ca", &inside.tls_ca)})
            if (!text->empty())
                problem(about("embedded." + std::string(name)), "without embedded.tls_listen there is no amqps");
    check_tls(all);
    check_web_folder(all);
    check_who_comes_in(all);
    check_connect_service(all);
}

void configuration_reader::check_who_comes_in(configuration& all) {
    aggregator::settings& to = all.server;
    to.issuers = all.issuers;
    to.named_clients = !all.issuers.empty() || !to.client_header.empty() || all.tls_client_certificates != "off" ||
                       !to.connect.channel.empty();
    to.anonymous = all.allow_anonymous || !to.named_clients;
    const auto address = boost::asio::ip::make_address(to.listen_address);
    if (!net::is_loopback(address) && to.anonymous && !all.allow_anonymous)
        problem(about("listen.address"),
                "anyone who reaches " + to.listen_address +
                    " would be let in; name issuers of tokens ([issuers.NAME]), proxies that say who comes "
                    "(listen.proxies, listen.client_header) or a service that decides it (connect_service.channel), or "
                    "say allow_anonymous (--allow-anonymous) if that is "
                    "meant");
    for (const auto& [key, said] :
         {std::pair("client_header", !to.client_header.empty()), std::pair("groups_header", !to.groups_header.empty()),
          std::pair("meta_headers", !to.meta_headers.empty())})
        if (said && to.proxies.empty())
            problem(about("listen." + std::string(key)), "only a proxy of listen.proxies is believed; there is none");
    if (to.client_header.empty() && (!to.groups_header.empty() || !to.meta_headers.empty()))
        problem(about(to.groups_header.empty() ? "listen.meta_headers" : "listen.groups_header"),
                "is of a client that listen.client_header names; say that, too");
}

// Whatever lies in the folder is given to anyone who asks.
void configuration_reader::check_web_folder(const configuration& all) {
    const std::string& folder = all.server.web_folder;
    if (folder.empty()) return;
    std::vector<std::pair<const char*, std::string>> secrets{{"the key of listen.tls_key", all.tls_key},
                                                             {"the key of admin.tls_key", all.admin.tls_key},
                                                             {"the log of admin.audit_log", all.admin.audit_log}};
    for (const admin_user& one : all.admin.users) secrets.emplace_back("a token of admin_users", one.token_file);
    for (const std::string& pair : all.tls_more)
        secrets.emplace_back("the key of listen.tls_more", parse_pair(pair)->key_file);
    for (const std::string& file : files_) secrets.emplace_back("the configuration", file);
    if (all.uses_embedded()) {
        const embedded_settings& inside = all.embedded;
        secrets.insert(secrets.end(), {{"the data of embedded.data", inside.data},
                                       {"the key of embedded.tls_key", inside.tls_key},
                                       {"the users of embedded.definitions", inside.definitions}});
    }
    for (const auto& [what, path] : secrets)
        if (!path.empty() && lies_in(path, folder))
            return problem(about("web.folder"), std::string(what) + " (" + path +
                                                    ") would be served to anyone; use a " +
                                                    "folder that holds nothing but files for browsers");
}

std::string configuration_reader::embedded_in_vain(const configuration& all) const {
    if (all.uses_embedded()) return "";
    std::string said;
    for (const auto& [path, where] : origins_)
        if (path.starts_with("embedded.")) said += (said.empty() ? "" : ", ") + about(path);
    return said.empty() ? "" : said + ": without effect, a broker is named and the embedded one is not started";
}

std::string configuration_reader::origin(const std::string& path) const {
    const auto at = origins_.find(path);
    return at == origins_.end() ? std::string() : at->second;
}

std::string configuration_reader::about(const std::string& path) const {
    const std::string where = origin(path);
    // A variable or flag names its key already.
    return where.empty() ? path : where.find(':') == std::string::npos ? where : where + ": " + path;
}

}  // namespace foz::ops
