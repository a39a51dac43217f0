#include "broker/store/wal_check.hpp"

#include "amqp/codec/wire.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>
#include <vector>

namespace foz::broker {
namespace {

// https://www.sqlite.org/fileformat2.html#walformat
constexpr std::size_t wal_header_size = 32;
constexpr std::size_t frame_header_size = 24;
constexpr std::uint32_t magic = 0x377f0682;  // or one more: its checksums are of big-endian numbers
constexpr std::size_t page_min = 512;
constexpr std::size_t page_max = 65'536;

std::uint32_t number(const char* octets, std::size_t at) {
    return amqp::load_big_endian<std::uint32_t>(octets + at);
}

class checksum {
public:
    explicit checksum(bool big_endian) : swap_(big_endian != (std::endian::native == std::endian::big)) {}

    void add(const char* octets, std::size_t size) {
        for (std::size_t i = 0; i + 8 <= size; i += 8) {
            a_ += word(octets + i) + b_;
            b_ += word(octets + i + 4) + a_;
        }
    }
    bool is(std::uint32_t a, std::uint32_t b) const noexcept { return a == a_ && b == b_; }

private:
    std::uint32_t word(const char* octets) const {
        std::uint32_t value = 0;
        std::memcpy(&value, octets, sizeof(value));
        return swap_ ? __builtin_bswap32(value) : value;
    }

    const bool swap_;
    std::uint32_t a_ = 0;
    std::uint32_t b_ = 0;
};

class file {
public:
    explicit file(const std::string& name) : descriptor_(::open(name.c_str(), O_RDONLY | O_CLOEXEC)) {}
    ~file() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    file(const file&) = delete;
    file& operator=(const file&) = delete;

    // False when there is not so much.
    bool read(char* to, std::size_t size, std::uint64_t at) const {
        return descriptor_ >= 0 && ::pread(descriptor_, to, size, static_cast<off_t>(at)) == static_cast<ssize_t>(size);
    }

private:
    const int descriptor_;
};

std::string damage_at(const std::string& name, std::uint64_t octet) {
    return name + " is damaged at octet " + std::to_string(octet) +
           ": what was written after that is lost (none of it was confirmed if the machine stopped while it was "
           "writing)";
}

}  // namespace

std::string check_wal(const std::string& database) {
    const std::string name = database + "-wal";
    const file in(name);
    std::array<char, wal_header_size> header{};
    if (!in.read(header.data(), wal_header_size, 0)) return {};
    const std::size_t page = number(header.data(), 8);
    checksum sum((number(header.data(), 0) & 1U) != 0);
    sum.add(header.data(), wal_header_size - 8);
    const bool whole = (number(header.data(), 0) & ~1U) == magic && page >= page_min && page <= page_max &&
                       sum.is(number(header.data(), 24), number(header.data(), 28));
    std::vector<char> frame(frame_header_size + (whole ? page : page_min));
    if (!whole) return in.read(frame.data(), frame.size(), wal_header_size) ? damage_at(name, 0) : std::string();
    std::uint64_t broken_at = 0;
    for (std::uint64_t at = wal_header_size;; at += frame.size()) {
        // Behind the end it is enough to know whether something of ours was committed there.
        if (!in.read(frame.data(), broken_at == 0 ? frame.size() : frame_header_size, at)) return {};
        // Frames of before the log was begun anew have other salts.
        const bool ours = std::memcmp(frame.data() + 8, header.data() + 16, 8) == 0;
        const bool commits = number(frame.data(), 4) != 0;
        if (broken_at == 0) {
            sum.add(frame.data(), 8);
            sum.add(frame.data() + frame_header_size, page);
            if (!ours || !sum.is(number(frame.data(), 16), number(frame.data(), 20))) broken_at = at;
        }
        if (broken_at != 0 && ours && commits) return damage_at(name, broken_at);
    }
}

}  // namespace foz::broker
