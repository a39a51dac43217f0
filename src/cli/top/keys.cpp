#include "cli/top/view.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace foz::cli::top {
namespace {

constexpr std::size_t sequence_octets_max = 32;

// ECMA-48's cursor keys as terminals send them, with "\x1b[" or (application mode) "\x1bO" before.
key after_introducer(std::string_view sequence) {
    constexpr std::array<std::pair<std::string_view, key>, 12> known{{{"A", key::up},
                                                                      {"B", key::down},
                                                                      {"C", key::sort_right},
                                                                      {"D", key::sort_left},
                                                                      {"5~", key::page_up},
                                                                      {"6~", key::page_down},
                                                                      {"H", key::home},
                                                                      {"F", key::end},
                                                                      {"1~", key::home},
                                                                      {"4~", key::end},
                                                                      {"7~", key::home},
                                                                      {"8~", key::end}}};
    for (const auto& [text, meaning] : known)
        if (text == sequence) return meaning;
    return key::none;
}

key letter(char c) {
    switch (c) {
        case 'q':
        case 'Q':
        case '\x03':  // Ctrl+C, where the terminal does not make a signal of it
            return key::quit;
        case 's':
        case '>':
            return key::sort_right;
        case 'S':
        case '<':
            return key::sort_left;
        case 'r':
            return key::reverse;
        case 'k':
            return key::up;
        case 'j':
            return key::down;
        case 'b':
            return key::page_up;
        case ' ':
            return key::page_down;
        case 'g':
            return key::home;
        case 'G':
            return key::end;
        default:
            return key::none;
    }
}

// Octets of the sequence that begins with ESC; 0: its end has not come.
std::size_t sequence_length(std::string_view input) {
    if (input.size() < 2) return 0;
    if (input[1] != '[' && input[1] != 'O') return 1;
    for (std::size_t i = 2; i < input.size() && i < sequence_octets_max; ++i)
        if (input[i] >= '@' && input[i] <= '~') return i + 1;
    return input.size() < sequence_octets_max ? 0 : 1;
}

}  // namespace

std::vector<key> read_keys(std::string_view input, std::string& pending) {
    const std::string all = std::exchange(pending, {}) + std::string(input);
    std::vector<key> out;
    for (std::string_view rest = all; !rest.empty();) {
        std::size_t octets = 1;
        key pressed = key::none;
        if (rest.front() != '\x1b') {
            pressed = letter(rest.front());
        } else {
            octets = sequence_length(rest);
            if (octets == 0) {
                pending = rest;
                break;
            }
            if (octets > 2) pressed = after_introducer(rest.substr(2, octets - 2));
        }
        if (pressed != key::none) out.push_back(pressed);
        rest.remove_prefix(octets);
    }
    return out;
}

void apply(key pressed, choices& to, std::size_t page) {
    constexpr std::size_t keys = static_cast<std::size_t>(sort_key::bytes) + 1;
    const auto sort_by = [&](std::size_t step) {
        to.sort = static_cast<sort_key>((static_cast<std::size_t>(to.sort) + step) % keys);
        to.first_row = 0;
    };
    const auto back = [&](std::size_t rows) { to.first_row -= std::min(rows, to.first_row); };
    constexpr std::size_t far = 1'000'000'000;
    switch (pressed) {
        case key::sort_right:
            return sort_by(1);
        case key::sort_left:
            return sort_by(keys - 1);
        case key::reverse:
            to.reversed = !to.reversed;
            to.first_row = 0;
            return;
        case key::up:
            return back(1);
        case key::down:
            to.first_row += 1;
            return;
        case key::page_up:
            return back(page);
        case key::page_down:
            to.first_row += page;
            return;
        case key::home:
            to.first_row = 0;
            return;
        case key::end:
            to.first_row = far;
            return;
        case key::none:
        case key::quit:
            return;
    }
}

}  // namespace foz::cli::top
