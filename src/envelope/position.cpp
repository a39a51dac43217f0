#include "envelope/position.hpp"

#include "base/content_check.hpp"

#include <charconv>
#include <optional>

namespace foz::envelope {
namespace {

// One spelling for one number, so that positions compare as text too.
template <class Number>
std::optional<Number> decimal(std::string_view text) noexcept {
    if (text.empty() || (text.front() == '0' && text.size() > 1)) return std::nullopt;
    Number value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<std::uint32_t> hexadecimal(std::string_view text) noexcept {
    if (text.size() != 8 || text.find_first_not_of("0123456789abcdef") != std::string_view::npos) return std::nullopt;
    std::uint32_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value, 16);
    return value;
}

}  // namespace

std::string_view to_text(position_errc code) noexcept {
    switch (code) {
        case position_errc::not_three_parts:
            return "a position has three parts, separated by dots";
        case position_errc::bad_partition:
            return "the first part of a position is a decimal number of 32 bits";
        case position_errc::bad_offset:
            return "the second part of a position is a decimal number of 64 bits";
        case position_errc::bad_check:
            return "the third part of a position is eight lower-case hexadecimal digits";
    }
    return {};
}

std::expected<position, position_errc> parse_position(std::string_view text) noexcept {
    const std::size_t first = text.find('.');
    const std::size_t second = first == std::string_view::npos ? first : text.find('.', first + 1);
    if (second == std::string_view::npos) return std::unexpected(position_errc::not_three_parts);
    const auto partition = decimal<std::uint32_t>(text.substr(0, first));
    if (!partition) return std::unexpected(position_errc::bad_partition);
    const auto offset = decimal<std::uint64_t>(text.substr(first + 1, second - first - 1));
    if (!offset) return std::unexpected(position_errc::bad_offset);
    const auto check = hexadecimal(text.substr(second + 1));
    if (!check) return std::unexpected(position_errc::bad_check);
    return position{.partition = *partition, .offset = *offset, .check = *check};
}

void append(std::string& out, const position& where) {
    char digits[20];
    const auto decimal_digits = [&](auto value) {
        out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
        out += '.';
    };
    decimal_digits(where.partition);
    decimal_digits(where.offset);
    const auto end = std::to_chars(digits, digits + sizeof digits, where.check, 16).ptr;
    out.append(8 - static_cast<std::size_t>(end - digits), '0');
    out.append(digits, end);
}

std::string to_string(const position& where) {
    std::string out;
    append(out, where);
    return out;
}

std::uint32_t check_of(std::string_view message_id, std::string_view body) noexcept {
    return content_check_of(message_id, body);
}

}  // namespace foz::envelope
