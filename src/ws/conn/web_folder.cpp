#include "ws/conn/web_folder.hpp"

#include "ws/conn/content.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdexcept>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace foz::ws {
namespace {

constexpr std::string_view well_known = "/.well-known/";

http_response not_found() {
    return {.status = 404, .body = "not found\n"};
}

http_response busy() {
    return {
        .status = 503, .body = "too many files are being read: please try again\n", .headers = {{"Retry-After", "1"}}};
}

// Closed when it is destroyed.
class descriptor {
public:
    explicit descriptor(int number) noexcept : number_(number) {}
    descriptor(descriptor&& other) noexcept : number_(other.release()) {}
    descriptor& operator=(descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    int get() const noexcept { return number_; }
    int release() noexcept { return std::exchange(number_, -1); }
    explicit operator bool() const noexcept { return number_ >= 0; }

private:
    int number_;
};

// A relative path below the folder. Never waits for a FIFO's other end or for a device, and opens no terminal. errno
// says why not.
descriptor open_beneath(int folder, const std::string& path) {
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    // EAGAIN: something was renamed meanwhile, and the kernel can't tell whether the path left (openat2(2)).
    for (int tries = 0;; ++tries) {
        const long result = ::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof(how));
        if (result >= 0 || errno != EAGAIN || tries == 3) return descriptor(static_cast<int>(result));
    }
}

bool out_of_descriptors() noexcept {
    return errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EAGAIN;
}

// No empty names, none that are hidden, and no backslash, which some take for a slash.
bool may_be_served(std::string_view path) {
    if (path.starts_with(well_known)) path.remove_prefix(well_known.size() - 1);
    return path.starts_with('/') && path.find("//") == std::string_view::npos &&
           path.find("/.") == std::string_view::npos && path.find('\\') == std::string_view::npos;
}

std::string_view content_type(std::string_view path) {
    static constexpr std::pair<std::string_view, std::string_view> types[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".txt", "text/plain; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"},
        {".webp", "image/webp"},
        {".json", "application/json"},
        {".map", "application/json"},
        {".webmanifest", "application/manifest+json"},
        {".wasm", "application/wasm"},
        {".ico", "image/x-icon"},
        {".woff2", "font/woff2"}};
    for (const auto& [extension, type] : types)
        if (path.ends_with(extension)) return type;
    return "application/octet-stream";
}

bool newer(const timespec& a, const timespec& b) {
    return std::pair(a.tv_sec, a.tv_nsec) > std::pair(b.tv_sec, b.tv_nsec);
}

// Puts the smallest form that the client takes in the file's place: FILE.br or FILE.gz beside it, unless the file has
// changed since that was made. Returns its content coding, or "".
const char* choose_variant(int folder, const http_request& request, const std::string& path, descriptor& file,
                           struct stat& about) {
    static constexpr std::pair<const char*, const char*> codings[] = {{"br", ".br"}, {"gzip", ".gz"}};
    for (const auto& [coding, suffix] : codings) {
        if (!accepts_coding(request, coding)) continue;
        descriptor variant = open_beneath(folder, path + suffix);
        struct stat of_variant{};
        if (!variant || ::fstat(variant.get(), &of_variant) != 0 || !S_ISREG(of_variant.st_mode)) continue;
        if (newer(about.st_mtim, of_variant.st_mtim)) continue;
        file = std::move(variant);
        about = of_variant;
        return coding;
    }
    return "";
}

// Size and time of the last change: what a file system tells without reading.
std::string entity_tag(const struct stat& about, std::string_view coding) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "\"%llx-%llx.%lx", static_cast<unsigned long long>(about.st_size),
                  static_cast<unsigned long long>(about.st_mtim.tv_sec),
                  static_cast<unsigned long>(about.st_mtim.tv_nsec));
    return std::string(text.data()) + (coding.empty() ? "" : "-") + std::string(coding) + '"';
}

// RFC 3986 §2.3: everything but unreserved characters is encoded, so that a Location can't be anything but one segment.
std::string encoded_segment(std::string_view name) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : name) {
        const auto octet = static_cast<unsigned char>(c);
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            std::string_view("-._~").find(c) != std::string_view::npos)
            out += c;
        else
            out += {'%', digits[octet >> 4], digits[octet & 15]};
    }
    return out;
}

// A page's relative links count from the folder, so its address ends with a slash.
http_response to_folder(std::string_view path) {
    const std::string_view name = path.substr(path.rfind('/') + 1);
    return {.status = 301, .body = "it is a folder\n", .headers = {{"Location", encoded_segment(name) + "/"}}};
}

}  // namespace

web_folder::web_folder(const std::string& folder, const web_folder_options& options)
    : folder_(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
      reader_(options.threads),
      slots_(std::make_shared<net::slot_pool>(options.files_max)) {
    const auto failed = [&](const std::string& why) {
        if (folder_ >= 0) ::close(folder_);
        throw std::runtime_error("web folder " + folder + ": " + why);
    };
    if (folder_ < 0) failed(std::system_category().message(errno));
    if (!open_beneath(folder_, ".") && errno == ENOSYS) failed("serving files needs openat2(2), Linux 5.6");
}

web_folder::~web_folder() {
    ::close(folder_);
}

http_response web_folder::answer(const http_request& request) {
    if (!may_be_served(request.path)) return not_found();
    net::slot taken = net::slot::take(slots_);
    if (!taken) return busy();
    std::string path = request.path.substr(1);
    if (path.empty() || path.ends_with('/')) path += "index.html";
    descriptor file = open_beneath(folder_, path);
    if (!file) return out_of_descriptors() ? busy() : not_found();
    struct stat about{};
    if (::fstat(file.get(), &about) != 0) return not_found();
    if (S_ISDIR(about.st_mode) && !request.path.ends_with('/')) return to_folder(request.path);
    if (!S_ISREG(about.st_mode)) return not_found();
    const char* const coding = choose_variant(folder_, request, path, file, about);
    const validators now{.etag = entity_tag(about, coding), .modified = about.st_mtim.tv_sec};
    http_response found{.content_type = std::string(content_type(path))};
    add_validators(found, now);
    if (not_modified(request, now)) {
        found.status = 304;
        return found;
    }
    if (*coding) found.headers.emplace_back("Content-Encoding", coding);
    found.headers.emplace_back("X-Content-Type-Options", "nosniff");
    found.source =
        make_file_source(reader_, file.release(), static_cast<std::uint64_t>(about.st_size), std::move(taken));
    return found;
}

}  // namespace foz::ws
