#include "identity/key_source.hpp"

#include "base/thread.hpp"
#include "identity/http_get.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <utility>

#include <openssl/crypto.h>

namespace foz::identity {
namespace {

// As long as there are no keys, nobody gets in: the provider may just be starting, too.
constexpr std::chrono::milliseconds first_pause = std::chrono::seconds(5);

// Nothing when it can't be read; of one that is too large, the beginning with one octet too many.
std::optional<std::string> read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string text(key_set_octets_max + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!in.eof() && in.fail()) return std::nullopt;
    if (in.bad() || !in.is_open()) return std::nullopt;
    text.resize(static_cast<std::size_t>(in.gcount()));
    return text;
}

std::string without_line_end(std::string text) {
    if (text.ends_with('\n')) text.pop_back();
    if (text.ends_with('\r')) text.pop_back();
    return text;
}

}  // namespace

key_source::key_source(issuer_settings settings, std::function<void()> on_fetched)
    : settings_(std::move(settings)), on_fetched_(std::move(on_fetched)) {
    if (settings_.has_secret()) {
        read_secret();
        return;
    }
    if (!settings_.keys_file.empty()) {
        auto first = fetch();
        if (!first) throw std::runtime_error("issuer " + settings_.name + ": " + first.error());
        take(std::move(first));
    }
    thread_ = std::thread([this] { run(); });
}

key_source::~key_source() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void key_source::read_secret() {
    const bool in_file = !settings_.secret_file.empty();
    const std::string place = in_file ? settings_.secret_file : "the variable " + settings_.secret_variable;
    std::optional<std::string> secret;
    if (in_file)
        secret = read_file(settings_.secret_file);
    else if (const char* const text = std::getenv(settings_.secret_variable.c_str()))
        secret = text;
    const auto fail = [&](const std::string& why) {
        throw std::runtime_error("issuer " + settings_.name + ": " + place + why);
    };
    if (!secret) fail(in_file ? " can't be read" : " is not set");
    *secret = without_line_end(std::move(*secret));
    auto made = keys_of_secret(*secret);
    OPENSSL_cleanse(secret->data(), secret->size());
    if (!made) fail(": " + made.error());
    take(std::move(made));
}

std::shared_ptr<const key_set> key_source::keys() const {
    const std::lock_guard lock(mutex_);
    return keys_;
}

void key_source::ask() {
    if (!thread_.joinable()) return;
    const std::lock_guard lock(mutex_);
    if (asked_) return;
    asked_ = true;
    changed_.notify_all();
}

bool key_source::is_current() const {
    if (!thread_.joinable()) return true;
    const std::lock_guard lock(mutex_);
    return keys_ && last_failure_.empty() && steady::now() - read_at_ < settings_.refresh_pause;
}

key_state key_source::state() const {
    const std::lock_guard lock(mutex_);
    key_state out{.issuer = settings_.name,
                  .passed_over = passed_over_,
                  .fetches = fetches_,
                  .failures = failures_,
                  .last_failure = last_failure_,
                  .refreshing = asked_ || fetching_};
    if (!keys_) return out;
    out.keys = keys_->keys.size();
    out.age = std::chrono::duration_cast<std::chrono::seconds>(steady::now() - read_at_);
    return out;
}

std::expected<key_set, std::string> key_source::fetch() const {
    const auto about = [](const std::string& place, const std::string& why) {
        return std::unexpected(place + ": " + why);
    };
    if (!settings_.keys_file.empty()) {
        const auto text = read_file(settings_.keys_file);
        if (!text) return about(settings_.keys_file, "can't be read");
        auto made = parse_keys(*text, secrets::taken);
        return made ? std::move(made) : about(settings_.keys_file, made.error());
    }
    const auto text = http_get(
        settings_.keys_url,
        {.ca_file = settings_.ca_file, .timeout = settings_.fetch_timeout, .octets_max = key_set_octets_max}, stop_);
    if (!text) return about("keys_url", text.error());
    auto made = parse_keys(*text, secrets::refused);
    return made ? std::move(made) : about("keys_url", made.error());
}

void key_source::take(std::expected<key_set, std::string> fetched) {
    const std::lock_guard lock(mutex_);
    fetching_ = false;
    ++fetches_;
    fetched_at_ = steady::now();
    if (!fetched) {
        ++failures_;
        last_failure_ = std::move(fetched.error());
        return;
    }
    passed_over_ = fetched->passed_over;
    keys_ = std::make_shared<const key_set>(std::move(*fetched));
    read_at_ = fetched_at_;
    last_failure_.clear();
}

key_source::steady::time_point key_source::due() const {
    if (fetches_ == 0) return steady::time_point::min();
    if (!keys_) return fetched_at_ + std::min<std::chrono::milliseconds>(settings_.refresh_pause, first_pause);
    const bool soon = asked_ || !last_failure_.empty();
    return fetched_at_ + (soon ? settings_.refresh_pause : settings_.refresh_interval);
}

void key_source::run() {
    introduce_thread("foz-keys");
    std::unique_lock lock(mutex_);
    while (!stop_) {
        if (const auto when = due(); when > steady::now()) {
            changed_.wait_until(lock, when);
            continue;
        }
        asked_ = false;
        fetching_ = true;
        lock.unlock();
        take(fetch());
        if (on_fetched_) on_fetched_();
        lock.lock();
    }
}

}  // namespace foz::identity
