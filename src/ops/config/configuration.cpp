#include "ops/config/configuration.hpp"

#include "contract/names.hpp"
#include "ops/config/keys.hpp"
#include "ops/config/nearest.hpp"

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

std::string flaw_of_channel(const std::string& name) {
    if (std::string flaw = contract::check_channel_name(name); !flaw.empty()) return flaw;
    const std::string queue = contract::channel_settings{.name = name}.in_queue();
    return queue == contract::dead_queue ? queue + " is the queue of dead letters; another name is needed" : "";
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
    const auto entries = parse_toml(text);
    if (!entries) return problem(path + ":" + std::to_string(entries.error().line), entries.error().text);
    for (const toml_entry& entry : *entries) read_entry(path, entry);
}

void configuration_reader::read_entry(const std::string& file, const toml_entry& entry) {
    const std::vector<std::string>& path = entry.path;
    const std::string where = file + ":" + std::to_string(entry.line);
    const std::string named = where + ": " + joined(path);
    const bool in_channel = path[0] == "channels";
    const std::string wanted = path.size() == 1 ? "a section" : "a key";
    if (path.size() == 1 && is_section(path[0])) {
        if (entry.kind != "a section") return problem(named, "a section expected, [" + path[0] + "]");
        channels_said_ |= in_channel;
        return;
    }
    if (path.size() == 2 && in_channel) {
        if (entry.kind != "a section") return problem(named, "a section expected, [channels." + path[1] + "]");
        if (const std::string flaw = flaw_of_channel(path[1]); !flaw.empty()) return problem(named, flaw);
        channels_.emplace_back(path[1], where);
        return;
    }
    // What is inside something unknown was told with it.
    if (path.size() > 1 && !is_section(path[0])) return;
    const std::size_t depth = path.size() == 1 ? 1 : in_channel ? 3 : 2;
    if (path.size() > depth) return;
    if (in_channel && !flaw_of_channel(path[1]).empty()) return;
    const std::string owner = path.size() == 1 ? "" : path[0];
    const key* const what = find_key(owner, path.back());
    if (!what) {
        const auto names = path.size() == 1 ? top_names() : names_in(owner);
        return problem(named, (entry.kind == "a section" ? "no such section; " : "no such key; ") +
                                  suggestion(path.back(), names));
    }
    if (!entry.content) return problem(named, expectation(*what) + " expected, not " + entry.kind);
    add(*what, in_channel ? path[1] : "", *entry.content, where, named);
}

void configuration_reader::read_variables(std::span<const std::string_view> environment) {
    std::map<std::string_view, std::string_view> said;
    for (const std::string_view one : environment)
        if (const std::size_t mark = one.find('='); one.starts_with("FOZ_") && mark != std::string_view::npos)
            said.emplace(one.substr(0, mark), one.substr(mark + 1));
    std::vector<std::string> known{"FOZ_CONFIG"};
    // In the table's order, so that FOZ_LISTEN_PORT is stronger than FOZ_LISTEN.
    for (const key& one : keys()) {
        if (one.of_channel()) continue;
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
            read_channel_variable(name, text);
        } else if (const std::string near = nearest_first(name, known).front(); edit_distance(name, near) <= 2) {
            if (near != name) warnings_.push_back(std::string(name) + ": no such variable; did you mean " + near + "?");
        }
    }
}

// FOZ_CHANNELS_CHAT_ORDER, for a channel of the file or a default one.
void configuration_reader::read_channel_variable(std::string_view name, std::string_view text) {
    std::vector<std::string> channels;
    for (const auto& [channel, where] : channels_) channels.push_back(channel);
    if (!channels_said_)
        for (const auto& one : contract::default_channels()) channels.push_back(one.name);
    for (const std::string& channel : channels) {
        const std::string prefix = "FOZ_CHANNELS_" + in_variable(channel) + "_";
        if (!name.starts_with(prefix)) continue;
        for (const key& one : keys())
            if (one.of_channel() && in_variable(one.name) == name.substr(prefix.size()))
                return add_text(one, channel, {std::string(text)}, std::string(name), std::string(name));
    }
    std::vector<std::string> known;
    for (const std::string& channel : channels)
        for (const std::string& key_name : names_in("channels"))
            known.push_back("FOZ_CHANNELS_" + in_variable(channel) + "_" + in_variable(key_name));
    problem(std::string(name), "no such channel or key; did you mean " + nearest_first(name, known).front() + "?");
}

void configuration_reader::read_flag(const key& what, const std::vector<std::string>& texts, const std::string& name) {
    const std::size_t before = problems_.size();
    const std::string& typed = name.empty() ? what.flag : name;
    add_text(what, "", texts, typed, typed);
    flag_is_wrong_ |= problems_.size() > before;
}

void configuration_reader::add_text(const key& what, const std::string& channel, const std::vector<std::string>& texts,
                                    const std::string& where, const std::string& named) {
    auto content = parse_text(what, texts);
    if (!content) return problem(named, content.error());
    add(what, channel, std::move(*content), where, named);
}

void configuration_reader::add(const key& what, const std::string& channel, value content, const std::string& where,
                               const std::string& named) {
    auto checked = check(what, std::move(content));
    if (!checked) return problem(named, checked.error());
    settings_.push_back({&what, channel, std::move(*checked), where});
    if (what.name.empty()) {  // FOZ_LISTEN and --listen are two keys at once
        origins_["listen.address"] = origins_["listen.port"] = where;
    } else {
        origins_[what.path(channel)] = where;
    }
}

configuration configuration_reader::finish() {
    configuration all;
    make_channels(all);
    for (const setting& one : settings_) {
        contract::channel_settings* channel = nullptr;
        for (auto& candidate : all.server.channels)
            if (candidate.name == one.channel) channel = &candidate;
        one.what->set({all, channel}, one.content);
    }
    for (const auto& channel : all.server.channels) check_channel(channel);
    check_together(all);
    if (!problems_.empty()) return all;
    if (all.uses_embedded()) {
        all.server.publish_urls = {embedded_url(*parse_endpoint(all.embedded.listen), all.embedded.vhosts.front())};
        all.server.consume_urls = all.server.publish_urls;
    } else {
        all.server.consume_urls = parse_urls(all.consume_urls.empty() ? all.urls : all.consume_urls);
        all.server.publish_urls = parse_urls(all.publish_urls.empty() ? all.urls : all.publish_urls);
    }
    if (!all.tls_certificate.empty()) all.server.tls = net::tls_server_options{all.tls_certificate, all.tls_key};
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
    if (all.tls_certificate.empty() != all.tls_key.empty()) {
        const bool key_missing = all.tls_key.empty();
        problem(about(key_missing ? "listen.tls_certificate" : "listen.tls_key"),
                std::string(key_missing ? "tls_key" : "tls_certificate") + " is missing; they go together");
    }
    const auto address = boost::asio::ip::make_address(all.server.listen_address);
    if (!address.is_loopback() && !all.allow_anonymous)
        problem(about("listen.address"),
                "anyone who reaches " + all.server.listen_address +
                    " would be let in; say allow_anonymous (--allow-anonymous) if that is meant");
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
