#include "net/proxy_protocol.hpp"

#include "net/awaited_socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <utility>

#include <boost/asio/error.hpp>

namespace foz::net {
namespace {

using parsed = std::expected<std::optional<proxy_head>, proxy_error>;

constexpr std::string_view line_begin = "PROXY ";
constexpr std::size_t line_bytes_max = 107;  // §2.1, with CR LF
constexpr std::string_view signature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t fixed_bytes = 16;  // §2.2: signature, version and command, family, length

class category final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "proxy protocol"; }
    std::string message(int value) const override {
        switch (static_cast<proxy_error>(value)) {
            case proxy_error::missing:
                return "no PROXY header";
            case proxy_error::malformed:
                return "a malformed PROXY header";
            case proxy_error::unsupported:
                return "a PROXY header of an unknown version, command or family";
            case proxy_error::too_long:
                return "a PROXY header that is too long";
            case proxy_error::bad_checksum:
                return "a PROXY header whose checksum doesn't fit";
            case proxy_error::unexpected:
                return "a PROXY header that is not expected";
        }
        return "unknown";
    }
};

// One of two is the beginning of the other one.
bool may_become(std::string_view octets, std::string_view whole) {
    const std::size_t size = std::min(octets.size(), whole.size());
    return octets.substr(0, size) == whole.substr(0, size);
}

std::string_view next_word(std::string_view& text) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return word;
}

// Decimal, without a leading zero.
std::optional<std::uint16_t> read_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    return port;
}

// No scope: it says nothing on another machine.
std::optional<asio::ip::address> read_address(std::string_view text, bool six) {
    if (text.find('%') != std::string_view::npos) return std::nullopt;
    error_code error;
    const auto address = asio::ip::make_address(text, error);
    if (error || address.is_v6() != six) return std::nullopt;
    return address;
}

// §2.1: PROXY TCP4|TCP6 source destination port port, a space between each.
parsed parse_line(std::string_view octets) {
    const std::size_t end = octets.substr(0, line_bytes_max).find("\r\n");
    if (end == std::string_view::npos) {
        if (octets.size() >= line_bytes_max) return std::unexpected(proxy_error::too_long);
        return std::nullopt;
    }
    proxy_head head{.size = end + 2, .from = {}};
    std::string_view line = octets.substr(line_begin.size(), end - line_begin.size());
    const std::string_view family = next_word(line);
    if (family == "UNKNOWN") return head;  // whatever follows is ignored
    if (family != "TCP4" && family != "TCP6") return std::unexpected(proxy_error::malformed);
    if (std::ranges::count(line, ' ') != 3) return std::unexpected(proxy_error::malformed);
    const auto source = read_address(next_word(line), family == "TCP6");
    const auto destination = read_address(next_word(line), family == "TCP6");
    const auto source_port = read_port(next_word(line));
    const auto destination_port = read_port(next_word(line));
    if (!source || !destination || !source_port || !destination_port) return std::unexpected(proxy_error::malformed);
    head.from = tcp::endpoint(*source, *source_port);
    return head;
}

std::uint8_t octet_at(std::string_view octets, std::size_t at) {
    return static_cast<std::uint8_t>(octets[at]);
}

std::uint16_t short_at(std::string_view octets, std::size_t at) {
    return static_cast<std::uint16_t>(octet_at(octets, at) << 8 | octet_at(octets, at + 1));
}

// CRC-32C (Castagnoli, reflected), RFC 3720 appendix B.4.
constexpr auto crc_table = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) value = value & 1 ? value >> 1 ^ 0x82f63b78u : value >> 1;
        table[i] = value;
    }
    return table;
}();

std::uint32_t crc32c(std::string_view octets) {
    std::uint32_t value = ~0u;
    for (const char c : octets) value = value >> 8 ^ crc_table[(value ^ static_cast<std::uint8_t>(c)) & 0xff];
    return ~value;
}

// §2.2.3: with its own four octets at 0.
bool checksum_fits(std::string_view head, std::size_t at) {
    std::string zeroed(head);
    std::uint32_t said = 0;
    for (std::size_t i = at; i < at + 4; ++i) {
        said = said << 8 | octet_at(head, i);
        zeroed[i] = '\0';
    }
    return crc32c(zeroed) == said;
}

// §2.2.2: type, length, value. Others than the checksum are passed over.
std::optional<proxy_error> flaw_of_tlvs(std::string_view head, std::size_t at) {
    constexpr std::uint8_t type_crc32c = 0x03;
    while (at < head.size()) {
        if (head.size() - at < 3) return proxy_error::malformed;
        const std::size_t size = short_at(head, at + 1);
        if (head.size() - at - 3 < size) return proxy_error::malformed;
        if (octet_at(head, at) == type_crc32c) {
            if (size != 4) return proxy_error::malformed;
            if (!checksum_fits(head, at + 3)) return proxy_error::bad_checksum;
        }
        at += 3 + size;
    }
    return std::nullopt;
}

template <class Address>
tcp::endpoint source_in(std::string_view head, std::size_t port_at) {
    typename Address::bytes_type octets;
    std::memcpy(octets.data(), head.data() + fixed_bytes, octets.size());
    return {Address(octets), short_at(head, port_at)};
}

// §2.2
parsed parse_binary(std::string_view octets) {
    constexpr std::size_t four_bytes = 12, six_bytes = 36, unix_bytes = 216;
    if (octets.size() < fixed_bytes) return std::nullopt;
    const std::uint8_t version_command = octet_at(octets, 12);
    if (version_command != 0x20 && version_command != 0x21) return std::unexpected(proxy_error::unsupported);
    const std::uint8_t family = octet_at(octets, 13);
    const std::size_t size = fixed_bytes + short_at(octets, 14);
    if (size > proxy_head_bytes_max) return std::unexpected(proxy_error::too_long);
    // LOCAL: the family, too, is ignored.
    const bool local = version_command == 0x20;
    const bool known = family == 0x00 || family == 0x11 || family == 0x12 || family == 0x21 || family == 0x22 ||
                       family == 0x31 || family == 0x32;
    if (!local && !known) return std::unexpected(proxy_error::unsupported);
    if (octets.size() < size) return std::nullopt;
    proxy_head head{.size = size, .from = {}};
    if (local || family == 0x00) return head;
    const std::size_t address_bytes = family < 0x20 ? four_bytes : family < 0x30 ? six_bytes : unix_bytes;
    if (size - fixed_bytes < address_bytes) return std::unexpected(proxy_error::malformed);
    octets = octets.substr(0, size);
    if (const auto flaw = flaw_of_tlvs(octets, fixed_bytes + address_bytes)) return std::unexpected(*flaw);
    // Others than TCP have no address that means something here.
    if (family == 0x11) head.from = source_in<asio::ip::address_v4>(octets, fixed_bytes + 8);
    if (family == 0x21) head.from = source_in<asio::ip::address_v6>(octets, fixed_bytes + 32);
    return head;
}

class head_reader final : public awaited_socket {
public:
    using done_function = std::move_only_function<void(error_code, tcp::socket, tcp::endpoint)>;

    head_reader(shard& home, tcp::socket socket, done_function done)
        : awaited_socket(home, std::move(socket)), done_(std::move(done)) {}

private:
    // Looks first, and takes what belongs to the head: what follows it may be TLS.
    void on_awaited() override {
        const std::span<char> piece = home().read_buffer().first(proxy_head_bytes_max);
        const ssize_t size = ::recv(descriptor(), piece.data(), piece.size(), MSG_PEEK);
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
        if (size < 0) return end(error_code(errno, boost::system::system_category()));
        if (size == 0) return end(asio::error::eof);
        const std::size_t before = held_.size();
        held_.append(piece.data(), static_cast<std::size_t>(size));
        const parsed head = parse_proxy_head(held_);
        if (!head) return end(head.error());
        // The octets of a head that is not whole are all its own.
        const std::size_t mine = (*head ? (*head)->size : held_.size()) - before;
        if (::recv(descriptor(), piece.data(), mine, 0) != static_cast<ssize_t>(mine)) return end(asio::error::eof);
        if (!*head) return;
        from_ = (*head)->from;
        end({});
    }

    void on_end(error_code error, tcp::socket socket) override {
        auto done = std::exchange(done_, nullptr);
        error_code ignored;
        const tcp::endpoint from = from_ ? *from_ : socket.remote_endpoint(ignored);
        done(error, std::move(socket), from);
    }

    std::string held_;
    std::optional<tcp::endpoint> from_;
    done_function done_;
};

}  // namespace

const boost::system::error_category& proxy_category() {
    static const category instance;
    return instance;
}

error_code make_error_code(proxy_error error) {
    return {static_cast<int>(error), proxy_category()};
}

std::expected<std::optional<proxy_head>, proxy_error> parse_proxy_head(std::string_view octets) {
    const bool line = may_become(octets, line_begin);
    if (!line && !may_become(octets, signature)) return std::unexpected(proxy_error::missing);
    if (octets.size() < (line ? line_begin : signature).size()) return std::nullopt;
    return line ? parse_line(octets) : parse_binary(octets);
}

bool begins_with_proxy_head(std::string_view octets) {
    return octets.starts_with(signature) || octets.starts_with("PROXY TCP4 ") || octets.starts_with("PROXY TCP6 ") ||
           octets.starts_with("PROXY UNKNOWN");
}

bool may_begin_proxy_head(std::string_view octets) {
    return !octets.empty() && octets.size() < signature.size() && signature.starts_with(octets);
}

void read_proxy_head(shard& home, tcp::socket socket, std::chrono::milliseconds within,
                     std::move_only_function<void(error_code, tcp::socket, tcp::endpoint from)> done) {
    std::make_shared<head_reader>(home, std::move(socket), std::move(done))->start(within);
}

}  // namespace foz::net
