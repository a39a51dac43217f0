#include "dialect.hpp"

#include "arguments.hpp"
#include "websocket.hpp"

#include <charconv>

#include <fmt/format.h>

namespace foz::load {
namespace {

constexpr std::string_view everybody = "all";  // the topic, where there are only topics

std::string list_of(const std::vector<std::string>& names, std::string_view quote, std::string_view between) {
    std::string out;
    for (const std::string& name : names) {
        if (!out.empty()) out += between;
        out.append(quote).append(name).append(quote);
    }
    return out;
}

}  // namespace

server_kind kind_of(const std::string& name) {
    if (name == "foz") return server_kind::foz;
    if (name == "bun") return server_kind::bun;
    if (name == "bare") return server_kind::bare;
    throw wrong_usage("kind=" + name + " is none of foz, bun, bare");
}

std::string dialect::hear_all() const {
    if (kind_ != server_kind::foz) return fmt::format("s{}", everybody);
    return fmt::format(R"({{"packet_action":"consume","channel":"{}","distribution":{{"broadcast":true}}}})", channel_);
}

std::string dialect::hear_topics(const std::vector<std::string>& topics) const {
    if (kind_ != server_kind::foz) return "s" + list_of(topics, "", " ");
    return fmt::format(
        R"({{"packet_action":"consume","channel":"{}","distribution":{{"broadcast":true}},"consume_target":[{}]}})",
        channel_, list_of(topics, "\"", ","));
}

std::string dialect::join_groups(const std::vector<std::string>& groups) const {
    if (kind_ != server_kind::foz) return hear_topics(groups);
    return fmt::format(R"({{"packet_action":"consume","channel":"{}","distribution":{{"multicast":[{}]}}}})", channel_,
                       list_of(groups, "\"", ","));
}

std::string dialect::publish(const std::string& topic, std::string_view body) const {
    return fmt::format("p{} {}", topic.empty() ? everybody : topic, body);
}

std::string_view quoted_after(std::string_view payload, std::string_view name) {
    const std::size_t found = payload.find(name);
    if (found == std::string_view::npos) return {};
    payload.remove_prefix(found + name.size());
    if (!payload.starts_with("\"")) return {};
    payload.remove_prefix(1);
    return payload.substr(0, payload.find('"'));
}

std::int64_t mark_of(std::string_view payload) {
    const std::string_view body = quoted_after(payload, R"("message":)");
    std::int64_t out = -1;
    std::from_chars(body.data(), body.data() + body.size(), out);
    return out;
}

std::string text_frame(std::string_view payload) {
    std::string out;
    append_frame(out, opcode::text, payload);
    return out;
}

}  // namespace foz::load
