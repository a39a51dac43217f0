#include "base/json_writer.hpp"

#include <charconv>
#include <cmath>

namespace foz {

json_writer& json_writer::value(double number) {
    if (!std::isfinite(number)) return raw("null");
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    return raw({digits, end});
}

}  // namespace foz
