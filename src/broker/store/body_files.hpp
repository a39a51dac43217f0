// Large bodies, each in a file of its own beside the records: "body.<number>", the octets and a checksum behind them.
// It is written before anything refers to it and never changed.
#pragma once

#include "broker/store/engine.hpp"

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foz::broker {

// read() on one thread; the rest on any, two of them not about the same number.
class body_files {
public:
    // An existing folder.
    explicit body_files(std::string folder);
    ~body_files();
    body_files(body_files&& other) noexcept;
    body_files& operator=(body_files&&) = delete;

    std::vector<body_number> found() const;
    // On disk when it returns; after an error it is not there. There is none of that number. The disk is never given
    // more than a piece at a time, so that a commit which comes in between waits for a piece alone.
    std::expected<void, disk_error> write(body_number number, std::string_view body) const;
    // Nothing when it is damaged, has another size or is not there. An error says nothing about it.
    std::expected<std::optional<std::string>, disk_error> read(body_number number, std::size_t size) const;
    void remove(body_number number) const;

private:
    std::string path_of(body_number number) const;

    const std::string folder_;
    mutable int spare_ = -1;  // given up for a moment when a process has no descriptor left; of read()'s thread
};

}  // namespace foz::broker
