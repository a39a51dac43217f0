#include "ops/admin/login.hpp"

#include "base/ascii.hpp"
#include "base/digest.hpp"
#include "base/encoding.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <utility>

#include <openssl/crypto.h>

namespace foz::ops {
namespace {

constexpr std::chrono::minutes remembered_for{10};
constexpr std::size_t remembered_max = 64;
constexpr std::size_t token_octets_max = 4'096;
constexpr std::size_t salt_bits = 256;

std::string read_admin_token(const admin_user& user) {
    const auto fail = [&](const std::string& what) {
        throw std::runtime_error("admin_users." + user.name + ": " + what);
    };
    std::string token;
    if (!user.token_file.empty()) {
        std::ifstream in(user.token_file, std::ios::binary);
        token.resize(token_octets_max + 1);
        in.read(token.data(), static_cast<std::streamsize>(token.size()));
        if (!in.is_open() || in.bad()) fail("the token's file " + user.token_file + " can't be read");
        token.resize(static_cast<std::size_t>(in.gcount()));
        if (token.ends_with('\n')) token.pop_back();
        if (token.ends_with('\r')) token.pop_back();
    } else {
        const char* const text = std::getenv(user.token_variable.c_str());
        if (!text) fail("the variable " + user.token_variable + ", which has its token, is not set");
        token = text;
    }
    // RFC 6750 §2.1: b64token.
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=";
    if (token.size() < admin_token_octets_min || token.size() > token_octets_max ||
        token.find_first_not_of(letters) != std::string::npos)
        fail("a token of " + std::to_string(admin_token_octets_min) + " to " + std::to_string(token_octets_max) +
             " letters, digits and -._~+/= is expected; for example: openssl rand -hex 32");
    return token;
}

// The credentials behind "SCHEME ", whose case doesn't count (RFC 9110 §11.1); nothing for another scheme.
std::optional<std::string_view> credentials_of(std::string_view authorization, std::string_view scheme) {
    if (!ascii_istarts_with(authorization, scheme)) return std::nullopt;
    authorization.remove_prefix(scheme.size());
    if (!authorization.starts_with(' ')) return std::nullopt;
    return authorization.substr(std::min(authorization.find_first_not_of(' '), authorization.size()));
}

// RFC 4648 §4, padded.
std::optional<std::string> from_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::string plain(text.substr(0, text.find_last_not_of('=') + 1));
    if (text.size() - plain.size() > 2 || plain.find_first_of("-_") != std::string::npos) return std::nullopt;
    std::ranges::replace(plain, '+', '-');
    std::ranges::replace(plain, '/', '_');
    return from_base64url(plain);
}

}  // namespace

login::login(net::shard& home, std::vector<admin_user> users, attempt_limits limits)
    : home_(home), salt_(home.random().token(salt_bits)), attempts_(limits) {
    for (admin_user& one : users) {
        known_user made{.settings = std::move(one), .token = {}};
        if (!made.settings.token_file.empty() || !made.settings.token_variable.empty()) {
            std::string token = read_admin_token(made.settings);
            made.token = sha256(token);
            OPENSSL_cleanse(token.data(), token.size());
        }
        if (decoy_.empty()) decoy_ = made.settings.password_hash;
        users_.push_back(std::move(made));
    }
}

login::~login() {
    *alive_ = false;
}

std::optional<login_result> login::judge(std::string_view authorization, const boost::asio::ip::address& from) {
    if (authorization.empty()) return login_result{};
    if (const auto token = credentials_of(authorization, "bearer")) return judge_token(*token, from);
    const auto basic = read_basic(authorization);
    if (!basic) return wrong(from, {});
    if (const remembered* const good = recall(basic->key)) return known(good->user);
    return std::nullopt;
}

login_result login::known(std::size_t user) const {
    const admin_user& one = users_[user].settings;
    return {.what = login_result::outcome::known, .user = one.name, .role = one.role};
}

// False: the address has no attempt left, and `result` says so.
bool login::charge(const boost::asio::ip::address& from, login_result& result) {
    const steady_time now = home_.time().now();
    if (attempts_.take(from, now)) return true;
    result.what = login_result::outcome::limited;
    result.retry_after = std::chrono::ceil<std::chrono::seconds>(attempts_.pause(from, now));
    return false;
}

login_result login::wrong(const boost::asio::ip::address& from, login_result result) {
    result.what = login_result::outcome::wrong;
    charge(from, result);
    return result;
}

// A right token is taken whatever was tried from there: it can't be found by trying, and another one's attempts don't
// lock it out.
login_result login::judge_token(std::string_view token, const boost::asio::ip::address& from) {
    const digest presented = sha256(token);
    std::optional<std::size_t> found;
    for (std::size_t i = 0; i < users_.size(); ++i) {
        const digest& own = users_[i].token;
        if (!own.empty() && CRYPTO_memcmp(own.data(), presented.data(), own.size()) == 0) found = i;
    }
    return found ? known(*found) : wrong(from, {.by_token = true});
}

// Nothing when it is another scheme, not well-formed, or nobody has a password.
std::optional<login::credentials> login::read_basic(std::string_view authorization) const {
    const auto encoded = credentials_of(authorization, "basic");
    std::optional<std::string> plain = encoded && takes_passwords() ? from_base64(*encoded) : std::nullopt;
    const std::size_t colon = plain ? plain->find(':') : std::string::npos;
    if (colon == std::string::npos) return std::nullopt;
    credentials made{
        .user = plain->substr(0, colon), .password = plain->substr(colon + 1), .key = sha256(salt_ + *plain)};
    OPENSSL_cleanse(plain->data(), plain->size());
    return made;
}

void login::hash_and_judge(std::string_view authorization, const boost::asio::ip::address& from, done_function done) {
    auto basic = read_basic(authorization);
    if (!basic) return done(wrong(from, {}));
    // One hash for all who come with the same at the same time.
    if (const auto same = pending_.find(basic->key); same != pending_.end())
        return same->second.push_back(std::move(done));
    login_result result{.what = login_result::outcome::wrong, .user = std::move(basic->user)};
    // Taken now and given back when it was right: attempts that run beside each other count.
    if (!charge(from, result)) return done(result);
    const auto at = std::ranges::find(users_, result.user, [](const known_user& one) { return one.settings.name; });
    const bool has_password = at != users_.end() && !at->settings.password_hash.empty();
    const auto user = static_cast<std::size_t>(at - users_.begin());
    // *alive is read on the shard alone.
    auto back = [this, alive = alive_, user, key = basic->key, from, result, has_password](bool matches) {
        home_.post([this, alive, right = matches && has_password, user, key, from, result] {
            if (*alive) on_hashed(right, user, key, from, result);
        });
    };
    const std::string& hash = has_password ? at->settings.password_hash : decoy_;
    if (hashing_.check(std::move(basic->password), hash, std::move(back)))
        return pending_[basic->key].push_back(std::move(done));
    attempts_.give_back(from);
    result.what = login_result::outcome::busy;
    result.retry_after = std::chrono::seconds(1);
    done(result);
}

void login::on_hashed(bool right, std::size_t user, const digest& key, const boost::asio::ip::address& from,
                      login_result result) {
    ++hashed_;
    if (right) {
        attempts_.give_back(from);
        remember(key, user);
        result = known(user);
    }
    const auto waiting = pending_.extract(key);
    for (const done_function& done : waiting.mapped()) done(result);
}

const login::remembered* login::recall(const digest& key) const {
    const auto at = remembered_.find(key);
    return at == remembered_.end() || at->second.until <= home_.time().now() ? nullptr : &at->second;
}

void login::remember(digest key, std::size_t user) {
    const steady_time now = home_.time().now();
    if (remembered_.size() >= remembered_max) {
        const auto oldest = std::ranges::min_element(remembered_, {}, [](const auto& one) { return one.second.until; });
        remembered_.erase(oldest);
    }
    remembered_.insert_or_assign(std::move(key), remembered{.user = user, .until = now + remembered_for});
}

}  // namespace foz::ops
