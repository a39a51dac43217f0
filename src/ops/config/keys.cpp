#include "ops/config/keys.hpp"

#include "ops/config/key_table.hpp"
#include "ops/config/nearest.hpp"

#include <algorithm>
#include <utility>

namespace foz::ops {
namespace {

std::string upper(std::string text) {
    for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return text;
}

std::string type_name(const value& content) {
    constexpr const char* names[] = {"a boolean", "an integer", "a string", "a list"};
    return names[content.index()];
}

std::string quoted(const std::string& text) {
    // The password of a URL is nobody's business.
    const auto parsed = amqp::parse_url(text);
    const bool secret = parsed && text.find('@') != std::string::npos;
    std::string out = "\"";
    for (const char c : secret ? parsed->redacted() : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

}  // namespace

std::string key::path(std::string_view owner) const {
    std::string all = section;
    if (of_named()) all.append(".").append(owner);
    return all + (all.empty() || name.empty() ? "" : ".") + name;
}

const std::vector<key>& keys() {
    static const std::vector<key> all = [] {
        std::vector<key> made = key_table();
        for (key& one : made) {
            one.variable = "FOZ";
            for (const std::string& part : {one.section, std::string(one.of_named() ? "name" : ""), one.name})
                if (!part.empty()) one.variable += "_" + upper(part);
        }
        return made;
    }();
    return all;
}

std::string expectation(const key& what) {
    std::vector<std::string> quoted;
    for (const std::string& word : what.words) quoted.push_back('"' + word + '"');
    switch (what.type) {
        case value_type::boolean:
            return "true or false";
        case value_type::integer:
            quoted.insert(quoted.begin(), std::to_string(what.min) + " to " + std::to_string(what.max));
            return join(quoted);
        case value_type::list:
            return "a list of strings";
        case value_type::text:
            return quoted.empty() ? "a string" : join(quoted);
    }
    return {};
}

std::expected<value, std::string> check(const key& what, value content) {
    const auto wrong = [&](const std::string& text) {
        return std::unexpected(expectation(what) + " expected, not " + text);
    };
    if (const auto* word = std::get_if<std::string>(&content); word && !what.words.empty()) {
        if (std::find(what.words.begin(), what.words.end(), *word) != what.words.end()) return content;
        key sorted = what;
        sorted.words = nearest_first(*word, what.words);
        return std::unexpected(expectation(sorted) + " expected, not \"" + *word + "\"");
    }
    // One URL instead of a list of one is what is meant.
    if (what.type == value_type::list && std::holds_alternative<std::string>(content))
        content = std::vector<std::string>{std::get<std::string>(content)};
    if (content.index() != static_cast<std::size_t>(what.type)) return wrong(type_name(content));
    if (const auto* n = std::get_if<std::int64_t>(&content); n && (*n < what.min || *n > what.max))
        return wrong(std::to_string(*n));
    if (what.flaw)
        if (std::string flaw = what.flaw(content); !flaw.empty()) return std::unexpected(std::move(flaw));
    return content;
}

std::expected<value, std::string> parse_text(const key& what, const std::vector<std::string>& texts) {
    if (what.type == value_type::list) return check(what, texts);
    const std::string& text = texts.back();
    if (what.type == value_type::boolean) {
        if (text == "true" || text == "1") return check(what, true);
        if (text == "false" || text == "0") return check(what, false);
        return std::unexpected(expectation(what) + " expected, not " + text);
    }
    if (what.type == value_type::text) return check(what, text);
    const bool word = std::find(what.words.begin(), what.words.end(), text) != what.words.end();
    if (word) return check(what, text);
    const bool number =
        !text.empty() && text.size() <= 18 &&
        text.find_first_not_of("0123456789", text[0] == '-' && text.size() > 1 ? 1 : 0) == std::string::npos;
    if (!number) return std::unexpected(expectation(what) + " expected, not " + text);
    return check(what, std::int64_t(std::stoll(text)));
}

std::string to_toml(const value& content) {
    if (const auto* flag = std::get_if<bool>(&content)) return *flag ? "true" : "false";
    if (const auto* number = std::get_if<std::int64_t>(&content)) return std::to_string(*number);
    if (const auto* text = std::get_if<std::string>(&content)) return quoted(*text);
    std::string all;
    for (const std::string& text : std::get<std::vector<std::string>>(content))
        all += (all.empty() ? "" : ", ") + quoted(text);
    return "[" + all + "]";
}

}  // namespace foz::ops
