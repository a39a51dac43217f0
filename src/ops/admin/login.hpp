// Who asks the admin port: HTTP Basic (RFC 7617) and bearer tokens (RFC 6750).
#pragma once

#include "net/shard.hpp"
#include "ops/admin/attempts.hpp"
#include "ops/admin/password_thread.hpp"
#include "ops/admin/settings.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/address.hpp>

namespace foz::ops {

// Tokens have so many octets at least: nobody finds one by trying.
inline constexpr std::size_t admin_token_octets_min = 32;

struct login_result {
    enum class outcome : std::uint8_t {
        anonymous,  // no credentials came
        known,
        wrong,
        limited,  // the address has tried too often: nothing was looked at
        busy      // too many passwords wait to be checked
    };
    outcome what = outcome::anonymous;
    std::string user;       // as it was said; of a wrong token, empty
    admin_role role{};      // of a known user
    bool by_token = false;  // wrong: a token was
    std::chrono::seconds retry_after{0};
};

// Lives on one shard. A password that was right is remembered for a while as a keyed digest, so that a scraper costs
// one hash now and then. A wrong user takes as long as a wrong password.
class login {
public:
    // Throws std::runtime_error with one line when a token can't be read or is too short.
    login(net::shard& home, std::vector<admin_user> users, attempt_limits limits = {});
    ~login();
    login(const login&) = delete;
    login& operator=(const login&) = delete;

    // Otherwise anybody is let in who reaches the port.
    bool needed() const noexcept { return !users_.empty(); }
    bool takes_passwords() const noexcept { return !decoy_.empty(); }

    using done_function = std::function<void(const login_result&)>;

    // `authorization`: the header's value; several joined. Nothing when a password has to be hashed: then
    // hash_and_judge() is to be asked.
    std::optional<login_result> judge(std::string_view authorization, const boost::asio::ip::address& from);
    // Calls `done` on this shard, perhaps inside.
    void hash_and_judge(std::string_view authorization, const boost::asio::ip::address& from, done_function done);

    // Passwords that were hashed.
    std::uint64_t hashed() const noexcept { return hashed_; }

private:
    using digest = std::string;  // SHA-256
    struct known_user {
        admin_user settings;
        digest token;  // empty: none
    };
    struct remembered {
        std::size_t user;
        steady_time until;
    };
    struct credentials {
        std::string user;
        std::string password;
        digest key;
    };

    std::optional<credentials> read_basic(std::string_view authorization) const;
    login_result judge_token(std::string_view token, const boost::asio::ip::address& from);
    login_result wrong(const boost::asio::ip::address& from, login_result result);
    void on_hashed(bool right, std::size_t user, const digest& key, const boost::asio::ip::address& from,
                   login_result result);
    bool charge(const boost::asio::ip::address& from, login_result& result);
    const remembered* recall(const digest& key) const;
    void remember(digest key, std::size_t user);
    login_result known(std::size_t user) const;

    net::shard& home_;
    std::vector<known_user> users_;
    std::string decoy_;  // some user's hash; empty: no user has a password
    std::string salt_;   // of the remembered digests; of this process alone
    attempts attempts_;
    std::map<digest, remembered, std::less<>> remembered_;
    std::map<digest, std::vector<done_function>> pending_;  // who waits for a hash
    std::uint64_t hashed_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    password_thread hashing_;
};

}  // namespace foz::ops
