// A head whole and octet by octet must mean the same; what it needs is never beyond its bounds, and what is behind it
// changes nothing.
#include "net/proxy_protocol.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

using namespace foz::net;

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string octets(reinterpret_cast<const char*>(data), size);
    const auto whole = parse_proxy_head(octets);
    for (std::size_t i = 0; i <= size; ++i) {
        const std::string piece = octets.substr(0, i);  // of its own memory
        const auto head = parse_proxy_head(piece);
        if (head && !*head) {
            require(i < proxy_head_bytes_max);
            continue;
        }
        require(head.has_value() == whole.has_value());
        if (!head) {
            require(head.error() == whole.error());
            return 0;
        }
        require((*head)->size == (*whole)->size && (*head)->from == (*whole)->from);
        require((*head)->size == i && i <= proxy_head_bytes_max);
        return 0;
    }
    require(whole && !*whole);
    return 0;
}
