// The lines of a program's input, read while other things go on.
#pragma once

#include "net/shard.hpp"

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace foz::cli {

// A thread reads, because a file that is redirected can't be waited for as a socket can. It holds a few lines at most.
// Lives on a shard.
class line_source {
public:
    line_source(net::shard& home, int descriptor);
    ~line_source();

    // `more` is called on the shard when there may be a line, or the input has ended.
    void start(std::function<void()> more);
    // The next line without its end; nothing when there is none now.
    std::optional<std::string> take();
    bool ended() const;

private:
    struct shared;
    std::shared_ptr<shared> shared_;
};

}  // namespace foz::cli
