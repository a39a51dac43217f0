#include "service/connect.hpp"

#include "base/json.hpp"
#include "base/utf8.hpp"
#include "service/connect_json.hpp"

#include <cstddef>
#include <stdexcept>

#include <simdjson.h>

namespace foz::service {
namespace {

using simdjson::dom::object;

std::string text_of(object from, const char* name) {
    std::string_view text;
    return from.at_key(name).get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

std::map<std::string, std::string> texts_of(object from, const char* name) {
    std::map<std::string, std::string> out;
    object inner;
    if (from.at_key(name).get(inner) != simdjson::SUCCESS) return out;
    for (const auto& [key, value] : inner)
        if (std::string_view text; value.get(text) == simdjson::SUCCESS) out.emplace(key, text);
    return out;
}

// Beyond these an aggregator takes the decision for none, and the client comes again and again.
constexpr std::size_t text_octets_max = 1'024;
constexpr std::size_t code_octets_max = 64;

std::string json_of(std::string_view text) {
    if (!is_utf8(text)) throw std::invalid_argument("a decision's text is not UTF-8");
    return json_string(text);
}

}  // namespace

std::optional<connect_question> parse_connect_question(std::string_view json) {
    simdjson::dom::parser parser;
    object all;
    if (parser.parse(json.data(), json.size()).get(all) != simdjson::SUCCESS) return std::nullopt;
    connect_question made{.path = text_of(all, "path"),
                          .query = texts_of(all, "query"),
                          .host = text_of(all, "host"),
                          .address = text_of(all, "address"),
                          .origin = text_of(all, "origin"),
                          .language = text_of(all, "language"),
                          .protocols = {},
                          .headers = texts_of(all, "headers"),
                          .cookies = texts_of(all, "cookies")};
    if (simdjson::dom::array list; all.at_key("protocols").get(list) == simdjson::SUCCESS)
        for (const auto one : list)
            if (std::string_view text; one.get(text) == simdjson::SUCCESS) made.protocols.emplace_back(text);
    return made;
}

connect_decision connect_decision::allow(std::string_view claims) {
    if (!is_json(claims)) throw std::invalid_argument("the claims of a client are not JSON");
    return connect_decision("{\"allow\":true,\"claims\":" + std::string(claims) + "}");
}

connect_decision connect_decision::deny(std::string_view text, std::string_view code) {
    if (text.size() > text_octets_max) throw std::invalid_argument("a decision's text is longer than 1024 octets");
    if (code.size() > code_octets_max) throw std::invalid_argument("a decision's code is longer than 64 octets");
    std::string json = "{\"allow\":false";
    if (!code.empty()) json += ",\"code\":" + json_of(code);
    json += ",\"text\":" + json_of(text) + "}";
    return connect_decision(std::move(json));
}

}  // namespace foz::service
