// A table that decodes also encodes, and that decodes to the same table. Octets are compared, not values: a NaN is not
// equal to itself.
#include "amqp/codec/field_table.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace foz::amqp;
    const auto require = [](bool condition) {
        if (!condition) std::abort();
    };

    reader in(std::string_view(reinterpret_cast<const char*>(data), size));
    table first;
    read_table(in, first);
    if (!in.finish()) return 0;

    std::string once;
    writer out(once);
    write_table(out, first);
    require(out.finish().has_value());
    require(once.size() == size);

    reader again(once);
    table second;
    read_table(again, second);
    require(again.finish().has_value());
    require(second.size() == first.size());
    std::string twice;
    writer out_again(twice);
    write_table(out_again, second);
    require(out_again.finish().has_value());
    require(once == twice);
    return 0;
}
