// Octets from hexadecimal text with quoted runs: octets("01 0003 'abc' ce").
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace foz::amqp {

inline std::string octets(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
        if (text[i] == ' ') {
            ++i;
        } else if (text[i] == '\'') {
            const std::size_t end = text.find('\'', i + 1);
            out.append(text.substr(i + 1, end - i - 1));
            i = end + 1;
        } else {
            out += static_cast<char>(digits.find(text[i]) << 4 | digits.find(text[i + 1]));
            i += 2;
        }
    }
    return out;
}

}  // namespace foz::amqp
