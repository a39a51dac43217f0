#include "broker/store/body_files.hpp"

#include "amqp/codec/wire.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace foz::broker {
namespace {

constexpr std::string_view body_prefix = "body.";
constexpr std::size_t body_check_size = sizeof(std::uint64_t);
constexpr std::size_t piece_bytes = 512 << 10;

class descriptor {
public:
    descriptor(const std::string& path, int flags) : number_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
    ~descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;

    explicit operator bool() const noexcept { return number_ >= 0; }
    int number() const noexcept { return number_; }

private:
    const int number_;
};

std::uint64_t body_check(body_number number, std::string_view body) {
    return XXH3_64bits_withSeed(body.data(), body.size(), number);
}

disk_error error_of(const std::string& path) {
    return {.text = path + ": " + std::generic_category().message(errno)};
}

bool write_whole(int to, std::string_view octets) {
    while (!octets.empty()) {
        const ssize_t done = ::write(to, octets.data(), octets.size());
        if (done < 0 && errno != EINTR) return false;
        if (done > 0) octets.remove_prefix(static_cast<std::size_t>(done));
    }
    return true;
}

// `errno` is that of its opening.
std::expected<std::optional<std::string>, disk_error> read_from(const descriptor& file, const std::string& path,
                                                                body_number number, std::size_t size) {
    if (!file && errno == ENOENT) return std::nullopt;
    struct stat is{};
    if (!file || ::fstat(file.number(), &is) != 0) return std::unexpected(error_of(path));
    if (std::cmp_not_equal(is.st_size, size + body_check_size)) return std::nullopt;
    std::string out(size + body_check_size, '\0');
    for (std::size_t at = 0; at < out.size();) {
        const ssize_t done = ::read(file.number(), out.data() + at, out.size() - at);
        if (done < 0 && errno != EINTR) return std::unexpected(error_of(path));
        if (done == 0) return std::nullopt;
        if (done > 0) at += static_cast<std::size_t>(done);
    }
    const auto check = amqp::load_big_endian<std::uint64_t>(out.data() + size);
    out.resize(size);
    if (body_check(number, out) != check) return std::nullopt;
    return out;
}

}  // namespace

body_files::body_files(std::string folder)
    : folder_(std::move(folder)), spare_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

body_files::body_files(body_files&& other) noexcept : folder_(other.folder_), spare_(std::exchange(other.spare_, -1)) {}

body_files::~body_files() {
    if (spare_ >= 0) ::close(spare_);
}

std::string body_files::path_of(body_number number) const {
    return folder_ + "/" + std::string(body_prefix) + std::to_string(number);
}

std::vector<body_number> body_files::found() const {
    std::vector<body_number> out;
    std::error_code none;
    for (const auto& one : std::filesystem::directory_iterator(folder_, none)) {
        const std::string name = one.path().filename().string();
        if (!name.starts_with(body_prefix)) continue;
        body_number number = 0;
        const auto [end, failure] =
            std::from_chars(name.data() + body_prefix.size(), name.data() + name.size(), number);
        if (failure == std::errc() && end == name.data() + name.size() && number != 0) out.push_back(number);
    }
    return out;
}

std::expected<void, disk_error> body_files::write(body_number number, std::string_view body) const {
    const std::string path = path_of(number);
    const auto failed = [&] {
        disk_error why = error_of(path);
        ::unlink(path.c_str());
        return std::unexpected(std::move(why));
    };
    const descriptor file(path, O_WRONLY | O_CREAT | O_EXCL);
    if (!file) return std::unexpected(error_of(path));
    char check[body_check_size];
    amqp::store_big_endian(check, body_check(number, body));
    for (std::string_view rest = body; !rest.empty();) {
        const std::string_view piece = rest.substr(0, piece_bytes);
        rest.remove_prefix(piece.size());
        if (!write_whole(file.number(), piece)) return failed();
        if (rest.empty() && !write_whole(file.number(), {check, sizeof(check)})) return failed();
        if (::fdatasync(file.number()) != 0) return failed();
    }
    // The name has to be there, too.
    const descriptor home(folder_, O_RDONLY | O_DIRECTORY);
    if (!home || ::fsync(home.number()) != 0) return failed();
    return {};
}

std::expected<std::optional<std::string>, disk_error> body_files::read(body_number number, std::size_t size) const {
    const std::string path = path_of(number);
    std::optional<descriptor> file(std::in_place, path, O_RDONLY);
    const bool used_spare = !*file && errno == EMFILE && spare_ >= 0;
    if (used_spare) {
        ::close(std::exchange(spare_, -1));
        file.emplace(path, O_RDONLY);
    }
    auto out = read_from(*file, path, number, size);
    file.reset();
    if (used_spare) spare_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    return out;
}

void body_files::remove(body_number number) const {
    ::unlink(path_of(number).c_str());
}

}  // namespace foz::broker
