// A short name that costs one pointer where it is kept. No I/O.
#pragma once

#include <cassert>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace foz::aggregator {

// Immutable octets behind their length; a std::string costs 32 octets more. For tables with a name in each row.
class packed_name {
public:
    packed_name() noexcept = default;
    explicit packed_name(std::string_view name) : octets_(new char[sizeof(length) + name.size()]) {
        assert(name.size() <= UINT16_MAX);
        const auto size = static_cast<length>(name.size());
        std::memcpy(octets_.get(), &size, sizeof size);
        if (!name.empty()) std::memcpy(octets_.get() + sizeof size, name.data(), name.size());
    }

    std::string_view view() const noexcept {
        if (!octets_) return {};
        length size = 0;
        std::memcpy(&size, octets_.get(), sizeof size);
        return {octets_.get() + sizeof size, size};
    }

private:
    using length = std::uint16_t;
    std::unique_ptr<char[]> octets_;
};

}  // namespace foz::aggregator
