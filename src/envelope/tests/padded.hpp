// Octets with simdjson's padding behind them and not one more, so that a sanitizer sees every read beyond.
#pragma once

#include <string_view>
#include <vector>

namespace foz::envelope {

class padded {
public:
    explicit padded(std::string_view text) : octets_(text.begin(), text.end()), size_(text.size()) {
        octets_.resize(size_ + 64);
        octets_.shrink_to_fit();
    }
    operator std::string_view() const { return {octets_.data(), size_}; }

private:
    std::vector<char> octets_;
    std::size_t size_;
};

}  // namespace foz::envelope
