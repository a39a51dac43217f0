// Regular expressions of operators: permissions and policies.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>

namespace foz::broker {

// Perl's syntax, searched for anywhere in a name, as RabbitMQ does. Copies share what was compiled.
class pattern {
public:
    // The error says what is wrong with the expression.
    static std::expected<pattern, std::string> compile(const std::string& text);

    // False too when the search would take too long: its steps are bounded.
    bool matches(std::string_view name) const;

private:
    struct compiled;
    explicit pattern(std::shared_ptr<const compiled> expression) noexcept : expression_(std::move(expression)) {}

    std::shared_ptr<const compiled> expression_;
};

}  // namespace foz::broker
