// Whatever the octets are: the parser answers, calls exactly JSON JSON, and gives views that are JSON with the padding
// behind them; what is written from them is understood as the same.
#include "base/json.hpp"
#include "base/utf8.hpp"
#include "primus/packet.hpp"

#include <cstdint>
#include <cstdlib>

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void check(const foz::primus::packet& found, std::string_view octets) {
    using kind = foz::primus::packet_kind;
    const bool responder = found.kind == kind::request || found.kind == kind::response;
    require(foz::is_utf8(found.id) && foz::is_utf8(found.control));
    require(responder == !found.id.empty() && found.id.size() <= foz::primus::request_id_bytes_max);
    require((found.kind == kind::unknown_control) == found.control.starts_with("primus::"));
    if (!responder && found.kind != kind::data) return require(found.data.empty());

    require(foz::is_json(found.data));
    require(octets.find(found.data) != std::string_view::npos || found.data == "null");
    unsigned sum = 0;
    for (std::size_t i = 0; i < found.data.size() + 64; ++i) sum += static_cast<unsigned char>(found.data.data()[i]);
    require(sum != 0);
    if (!responder) return;

    static foz::primus::parser again;
    std::string out;
    (found.kind == kind::request ? foz::primus::append_request : foz::primus::append_response)(out, found.id,
                                                                                               found.data);
    const auto second = again.parse(out);
    require(second && second->kind == found.kind && second->id == found.id && second->data == found.data);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static foz::primus::parser parser;
    const std::string_view octets(reinterpret_cast<const char*>(data), size);
    const auto found = parser.parse(octets);
    require(foz::is_json(octets) == (found || found.error().code != foz::primus::packet_errc::bad_json));
    if (found) check(*found, octets);
    return 0;
}
