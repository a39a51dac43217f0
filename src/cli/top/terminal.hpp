// A terminal as a screen: the alternate one, without echo and cursor, and as it was when this is gone.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace foz::cli::top {

// Colours are wanted: NO_COLOR is not set and TERM not "dumb" (https://no-color.org).
bool wants_colours();

// Lives on the stack of whoever draws. Does its own opening of the terminal, so that reading without waiting does not
// change what the shell has.
class terminal {
public:
    // Whether standard output is one that can be drawn on.
    static bool there();
    // Columns of standard output, which is one.
    static std::size_t width_of_output();

    // Throws std::runtime_error.
    terminal();
    ~terminal();
    terminal(const terminal&) = delete;
    terminal& operator=(const terminal&) = delete;

    // For the keys: readable and without waiting. Its owner is this.
    int descriptor() const noexcept { return descriptor_; }

    struct dimensions {
        std::size_t width;
        std::size_t height;
    };
    dimensions size() const;

    // As many lines as the screen has. A terminal that takes nothing for a second misses them.
    void show(const std::vector<std::string>& lines);

    // To the shell and back: around a stop by Ctrl+Z. Leaving is done once, however often it is asked for.
    void enter();
    void leave();

private:
    struct saved_modes;

    void write_all(std::string_view octets);

    int descriptor_ = -1;
    std::unique_ptr<saved_modes> saved_;
    bool entered_ = false;
};

}  // namespace foz::cli::top
