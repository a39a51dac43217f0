#include "arguments.hpp"

#include <cmath>
#include <cstdio>
#include <sstream>

#include <fmt/format.h>

namespace foz::load {
namespace {

std::vector<std::string> words_of(const std::string& line) {
    std::istringstream from(line);
    std::vector<std::string> out;
    for (std::string word; from >> word;) out.push_back(word);
    return out;
}

}  // namespace

arguments::arguments(const std::vector<std::string>& pairs) {
    for (const std::string& pair : pairs) {
        const std::size_t middle = pair.find('=');
        if (middle == std::string::npos) throw wrong_usage(pair + " isn't key=value");
        values_[pair.substr(0, middle)] = pair.substr(middle + 1);
    }
}

arguments::arguments(const std::string& line) : arguments(words_of(line)) {}

const std::string* arguments::find(const std::string& key) const {
    used_.insert(key);
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
}

std::string arguments::text(const std::string& key, const std::string& otherwise) const {
    const std::string* const found = find(key);
    return found ? *found : otherwise;
}

double arguments::number(const std::string& key, double otherwise) const {
    const std::string* const found = find(key);
    if (!found) return otherwise;
    std::size_t end = 0;
    double value = -1;
    try {
        value = std::stod(*found, &end);
    } catch (const std::logic_error&) {
        end = 0;
    }
    if (end == 0 || end != found->size() || !std::isfinite(value) || value < 0)
        throw wrong_usage(key + "=" + *found + " isn't a number from 0 on");
    return value;
}

std::size_t arguments::count(const std::string& key, std::size_t otherwise) const {
    const double value = number(key, static_cast<double>(otherwise));
    if (value != std::floor(value) || value > 1e15) throw wrong_usage(key + " isn't a whole number");
    return static_cast<std::size_t>(value);
}

void arguments::all_used() const {
    for (const auto& [key, value] : values_)
        if (!used_.contains(key)) throw wrong_usage("unknown key " + key);
}

json_line& json_line::add(std::string_view name, double value) {
    return add_raw(name, std::isfinite(value) ? fmt::format("{:.9g}", value) : "null");
}

json_line& json_line::add(std::string_view name, std::string_view text) {
    return add_raw(name, fmt::format("\"{}\"", text));
}

json_line& json_line::add_raw(std::string_view name, std::string_view octets) {
    text_ += fmt::format("{}\"{}\":{}", text_.empty() ? "" : ",", name, octets);
    return *this;
}

void json_line::print() const {
    fmt::print("{{{}}}\n", text_);
    std::fflush(stdout);
}

}  // namespace foz::load
