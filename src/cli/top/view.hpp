// The layout of `foz top`: a picture in, lines of text out. Nothing here knows a terminal.
#pragma once

#include "cli/top/picture.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::cli::top {

enum class sort_key : std::uint8_t {
    name,
    ready,
    unacked,
    consumers,
    publish,
    deliver,
    ack,
    redeliver,
    dead,
    bytes,
};
std::string_view word(sort_key key);
std::optional<sort_key> parse_sort_key(std::string_view word);
// For people: "name, ready, …".
std::string sort_keys();

// What whoever looks has chosen.
struct choices {
    sort_key sort = sort_key::ready;
    bool reversed = false;      // names begin with the first, numbers with the largest; this turns it around
    std::size_t first_row = 0;  // of the queues, by which one has scrolled
};

enum class key : std::uint8_t { none, quit, sort_left, sort_right, reverse, up, down, page_up, page_down, home, end };

// The keys that a terminal's input says; what is none of ours is passed over. `pending` keeps an escape sequence that
// is cut at the end of the input for the next time.
std::vector<key> read_keys(std::string_view input, std::string& pending);
// `page` is how many rows are shown. Scrolling too far is put right by draw().
void apply(key pressed, choices& to, std::size_t page);

struct frame {
    std::size_t width = 80;
    std::optional<std::size_t> height;  // none: a snapshot, with all queues and without the footer
    bool colours = false;               // with SGR sequences, which take no columns
};

// What is shown besides the picture.
struct surroundings {
    std::optional<double> cpu_share;  // of one core, 0 … ; none: the mean since the start is told instead
    std::string lost;                 // why the picture is old, or empty
    double age_s = 0;                 // of the picture, when lost
};

struct drawn {
    std::vector<std::string> lines;  // none is wider than the frame; with a height exactly so many
    std::size_t rows = 0;            // of queues that are shown
};

// Scrolling in `chosen` is put right for what there is.
drawn draw(const picture& now, const surroundings& around, choices& chosen, const frame& within);

}  // namespace foz::cli::top
