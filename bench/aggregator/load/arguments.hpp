// What the driver tells the load, as key=value, and what the load answers, as one line of JSON.
#pragma once

#include <concepts>
#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace foz::load {

struct wrong_usage : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class arguments {
public:
    explicit arguments(const std::vector<std::string>& pairs);
    explicit arguments(const std::string& line);

    std::string text(const std::string& key, const std::string& otherwise) const;
    double number(const std::string& key, double otherwise) const;
    std::size_t count(const std::string& key, std::size_t otherwise) const;
    // Throws wrong_usage for a key that nobody has asked for.
    void all_used() const;

private:
    const std::string* find(const std::string& key) const;

    std::map<std::string, std::string> values_;
    mutable std::set<std::string> used_;
};

// An object of names and numbers or texts.
class json_line {
public:
    json_line& add(std::string_view name, double value);
    json_line& add(std::string_view name, std::integral auto value) { return add_raw(name, std::to_string(value)); }
    json_line& add(std::string_view name, std::string_view text);  // of letters, digits and punctuation without quotes
    void print() const;

private:
    json_line& add_raw(std::string_view name, std::string_view octets);

    std::string text_;
};

}  // namespace foz::load
