// The keys of the admin port and of its users.
#include "ops/admin/passwords.hpp"
#include "ops/config/key_flaws.hpp"
#include "ops/config/key_makers.hpp"
#include "ops/config/key_table.hpp"

#include <string>
#include <utility>
#include <vector>

namespace foz::ops::table {
namespace {

std::string no_password_hash(const value& v) {
    const auto& hash = std::get<std::string>(v);
    return hash.empty() ? std::string() : flaw_of_password_hash(hash);
}

// `foz config show` says that there is one, and no more.
key password_hash() {
    key made = text("admin_users", "password_hash", &admin_user::password_hash, "HASH",
                    "of the user's password, as `foz admin hash` prints it; empty: no password lets the user in");
    made.get = [](const target& t) { return value(std::string(t.user->password_hash.empty() ? "" : "***")); };
    return with_flaw(std::move(made), no_password_hash);
}

key role() {
    const std::vector<std::string> words{"view", "act"};  // in the order of the enumeration
    key made{.section = "admin_users",
             .name = "role",
             .words = words,
             .help = "view: reads everything but secrets; act: reads everything, and acts"};
    made.get = [words](const target& t) { return value(words[static_cast<std::size_t>(t.user->role)]); };
    made.set = [words](const target& t, const value& v) {
        t.user->role = std::get<std::string>(v) == words[1] ? admin_role::act : admin_role::view;
    };
    return made;
}

}  // namespace

std::vector<key> admin_keys() {
    using a = admin_settings;
    using u = admin_user;
    return {
        as_flag(with_flaw(text("admin", "listen", &a::listen, "ADDRESS:PORT",
                               "HTTP for operators: /metrics, /healthz, /readyz, /api/overview and more; empty: off"),
                          no_endpoint_or_off),
                "--admin-listen"),
        as_flag(with_flaw(text("admin", "tls_certificate", &a::tls_certificate, "FILE",
                               "PEM file, the chain; makes it HTTPS"),
                          no_file),
                "--admin-tls-certificate"),
        as_flag(with_flaw(text("admin", "tls_key", &a::tls_key, "FILE", "PEM file of the certificate's key"), no_file),
                "--admin-tls-key"),
        flag("admin", "allow_plain", &a::allow_plain,
             "let passwords and tokens cross a network in the clear, as behind a proxy that does TLS"),
        flag("admin", "open_metrics", &a::open_metrics, "give /metrics to anyone, without a login"),
        text("admin", "audit_log", &a::audit_log, "FILE",
             "a line of JSON for each action and each refused login is appended to it; empty: they are in the log"),

        role(),
        password_hash(),
        with_flaw(text("admin_users", "token_file", &u::token_file, "FILE",
                       "a bearer token of at least 32 letters and digits; one line end at its end does not count"),
                  no_file),
        with_flaw(text("admin_users", "token_variable", &u::token_variable, "NAME",
                       "the environment variable that has the token"),
                  no_variable),
    };
}

}  // namespace foz::ops::table
