#include "net/tls_holder.hpp"

#include <algorithm>
#include <sys/stat.h>
#include <utility>

namespace foz::net {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

// Those that are named.
std::vector<std::string> named(std::vector<std::string> files) {
    std::erase(files, "");
    return files;
}

}  // namespace

tls_holder::tls_holder(asio::ssl::context fixed) : in_force_(std::make_shared<asio::ssl::context>(std::move(fixed))) {}

tls_holder::tls_holder(context_maker make, std::vector<std::string> files)
    : make_(std::move(make)), files_(named(std::move(files))) {}

std::expected<std::shared_ptr<tls_holder>, std::string> tls_holder::open(tls_server_options options, steady_time now) {
    std::vector<std::string> files{options.certificate_file, options.key_file, options.client_ca_file};
    for (const tls_files& one : options.more) files.insert(files.end(), {one.certificate_file, one.key_file});
    const auto make = [options = std::move(options)] { return make_tls_context(options); };
    std::shared_ptr<tls_holder> made(new tls_holder(make, std::move(files)));
    if (auto first = made->make_anew(now); !first) return std::unexpected(first.error());
    return made;
}

std::expected<std::shared_ptr<tls_holder>, std::string> tls_holder::open(tls_client_options options, steady_time now) {
    std::vector<std::string> files{options.ca_file, options.certificate_file, options.key_file};
    const auto make = [options = std::move(options)] { return make_tls_context(options); };
    std::shared_ptr<tls_holder> made(new tls_holder(make, std::move(files)));
    if (auto first = made->make_anew(now); !first) return std::unexpected(first.error());
    return made;
}

std::shared_ptr<asio::ssl::context> tls_holder::in_force() const {
    const std::scoped_lock lock(mutex_);
    return in_force_;
}

std::optional<tls_news> tls_holder::look(steady_time now, bool always) {
    if (!make_) return std::nullopt;
    const std::scoped_lock lock(looking_);
    const bool others = stamps() != stamps_;
    const bool old = now - made_at_ >= age_max;
    if (!others && !failed_ && !old && !always) return std::nullopt;
    if (const auto made = make_anew(now); !made) {
        if (std::exchange(told_, made.error()) == made.error() && !always) return std::nullopt;
        return tls_news{.failed = true, .text = made.error() + "; what was read before stays in force"};
    }
    const bool told = !std::exchange(told_, "").empty();
    if (!others && !told && !always) return std::nullopt;
    std::string text = "TLS: read again:";
    for (const std::string& file : files_) text += " " + file;
    return tls_news{.failed = false, .text = std::move(text)};
}

// What changes while the files are read is found at the next look: the stamps are taken before.
std::expected<void, std::string> tls_holder::make_anew(steady_time now) {
    stamps_ = stamps();
    auto made = make_();
    failed_ = !made;
    if (!made) return std::unexpected(made.error());
    made_at_ = now;
    auto next = std::make_shared<asio::ssl::context>(std::move(*made));
    const std::scoped_lock lock(mutex_);
    in_force_.swap(next);
    return {};
}

std::vector<tls_holder::file_stamp> tls_holder::stamps() const {
    std::vector<file_stamp> all;
    for (const std::string& file : files_) {
        struct stat found{};
        if (::stat(file.c_str(), &found) != 0) found = {};  // reading it says why
        all.push_back({.device = found.st_dev,
                       .inode = found.st_ino,
                       .size = static_cast<std::uint64_t>(found.st_size),
                       .modified_ns = found.st_mtim.tv_sec * second_ns + found.st_mtim.tv_nsec,
                       .changed_ns = found.st_ctim.tv_sec * second_ns + found.st_ctim.tv_nsec});
    }
    return all;
}

std::expected<std::shared_ptr<asio::ssl::context>, std::string> tls_client_contexts::context_for(
    const tls_client_options& options, steady_time now) {
    std::vector<std::string> files{options.ca_file, options.certificate_file, options.key_file};
    const std::scoped_lock lock(mutex_);
    const auto at = std::ranges::find_if(
        entries_, [&](const entry& one) { return one.files == files && one.verify == options.verify; });
    if (at != entries_.end()) return at->holder->in_force();
    tls_client_options own = options;
    own.contexts = nullptr;  // it would keep us
    auto made = tls_holder::open(std::move(own), now);
    if (!made) return std::unexpected(made.error());
    entries_.push_back({std::move(files), options.verify, *made});
    return (*made)->in_force();
}

std::vector<std::shared_ptr<tls_holder>> tls_client_contexts::all() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::shared_ptr<tls_holder>> out;
    for (const entry& one : entries_) out.push_back(one.holder);
    return out;
}

}  // namespace foz::net
