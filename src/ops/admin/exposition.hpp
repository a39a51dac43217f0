// Prometheus' text format, version 0.0.4.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace foz::ops {

using labels = std::vector<std::pair<std::string_view, std::string>>;

// Families one after the other, each followed by its samples.
class exposition {
public:
    // `type` is counter or gauge. Names and label names are the program's own and not checked.
    void family(std::string_view name, std::string_view type, std::string_view help);
    void sample(const labels& of, std::integral auto number) { line(of, std::to_string(number)); }
    void sample(const labels& of, double number);

    const std::string& text() const noexcept { return text_; }

private:
    void line(const labels& of, std::string_view number);

    std::string text_;
    std::string name_;
};

}  // namespace foz::ops
