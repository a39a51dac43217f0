// The TLS context of one port, or of connections to one server, that is made anew when its files change.
#pragma once

#include "base/clock.hpp"
#include "net/tls.hpp"

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ssl/context.hpp>

namespace foz::net {

// What has come of looking at the files. One line.
struct tls_news {
    bool failed = false;  // they can't be used, and what was in force stays
    std::string text;
};

// Each new handshake asks for the context in force; connections keep the one that they began with. From any thread; a
// look reads files and belongs on no event loop.
class tls_holder {
public:
    // Reads the files. The error is make_tls_context()'s.
    static std::expected<std::shared_ptr<tls_holder>, std::string> open(tls_server_options options, steady_time now);
    static std::expected<std::shared_ptr<tls_holder>, std::string> open(tls_client_options options, steady_time now);
    // Always the same, for tests.
    explicit tls_holder(asio::ssl::context fixed);

    std::shared_ptr<asio::ssl::context> in_force() const;

    // A context is given up after so long although its files are the same: with it the keys go that clients' session
    // tickets are encrypted with (RFC 8446 §4.6.1), and what was recorded under them stays secret.
    static constexpr std::chrono::hours age_max{12};

    // Reads the files again if they are other ones than before (another time, size or inode, also behind symbolic
    // links), if they could not be used before, if the context is too old, or `always`. Nothing to be said: nothing has
    // changed, or the same failure was told before.
    std::optional<tls_news> look(steady_time now, bool always = false);

private:
    using context_maker = std::function<std::expected<asio::ssl::context, std::string>()>;
    struct file_stamp {
        std::uint64_t device = 0, inode = 0, size = 0;
        std::int64_t modified_ns = 0, changed_ns = 0;
        bool operator==(const file_stamp&) const = default;
    };

    tls_holder(context_maker make, std::vector<std::string> files);
    std::expected<void, std::string> make_anew(steady_time now);
    std::vector<file_stamp> stamps() const;

    const context_maker make_;
    const std::vector<std::string> files_;
    std::mutex looking_;  // guards the next four
    std::vector<file_stamp> stamps_;
    steady_time made_at_{};
    bool failed_ = false;
    std::string told_;          // of the failure
    mutable std::mutex mutex_;  // guards the next one
    std::shared_ptr<asio::ssl::context> in_force_;
};

// The holders of all servers that connections go to, by their options. From any thread.
class tls_client_contexts {
public:
    // The one in force. Reads the files when none has been made for these options.
    std::expected<std::shared_ptr<asio::ssl::context>, std::string> context_for(const tls_client_options& options,
                                                                                steady_time now);
    std::vector<std::shared_ptr<tls_holder>> all() const;

private:
    struct entry {
        std::vector<std::string> files;
        bool verify;
        std::shared_ptr<tls_holder> holder;
    };
    mutable std::mutex mutex_;
    std::vector<entry> entries_;
};

}  // namespace foz::net
