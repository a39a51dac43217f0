// Which certificate a server shows, and by which name a client's certificate counts: handshakes in memory.
#include "net/tests/certificate.hpp"
#include "net/tls.hpp"
#include "net/tls_peer.hpp"

#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

namespace foz::net {
namespace {

struct handshake {
    handshake(asio::ssl::context& server_side, asio::ssl::context& client_side, const char* asked)
        : server(SSL_new(server_side.native_handle())), client(SSL_new(client_side.native_handle())) {
        BIO* one = nullptr;
        BIO* other = nullptr;
        BIO_new_bio_pair(&one, 0, &other, 0);
        SSL_set_bio(server, one, one);
        SSL_set_bio(client, other, other);
        SSL_set_accept_state(server);
        SSL_set_connect_state(client);
        if (asked) SSL_set_tlsext_host_name(client, asked);
        for (int step = 0; step < 10; ++step) {
            SSL_do_handshake(client);
            SSL_do_handshake(server);
        }
        done = SSL_is_init_finished(client) && SSL_is_init_finished(server);
    }
    ~handshake() {
        SSL_free(server);
        SSL_free(client);
    }
    // The common name that the server has shown.
    std::string shown() const {
        if (!done) return "nothing";
        const std::unique_ptr<X509, decltype(&X509_free)> got(SSL_get1_peer_certificate(client), &X509_free);
        char name[64] = "";
        X509_NAME_get_text_by_NID(X509_get_subject_name(got.get()), NID_commonName, name, sizeof name);
        return name;
    }

    SSL* server;
    SSL* client;
    bool done = false;
};

// Of a server with these certificates, to a client that asks for that name.
struct several {
    std::string shown(const char* asked) { return handshake(server, client, asked).shown(); }

    certificate first{"DNS:one.example", "first"};
    certificate second{"DNS:two.example,DNS:*.wild.example", "second"};
    certificate third{"DNS:exact.wild.example,DNS:two.example,DNS:*.one.example", "third"};
    asio::ssl::context server = make_tls_context(tls_server_options{.certificate_file = first.cert_file,
                                                                    .key_file = first.key_file,
                                                                    .more = {{second.cert_file, second.key_file},
                                                                             {third.cert_file, third.key_file}}})
                                    .value();
    asio::ssl::context client =
        make_tls_context(tls_client_options{.ca_file = first.cert_file, .verify = false}).value();
};

}  // namespace

TEST(tls_names, choose_the_certificate) {
    several all;
    EXPECT_EQ(all.shown("one.example"), "first");
    EXPECT_EQ(all.shown("two.example"), "second");  // the earlier one of two
    EXPECT_EQ(all.shown("TWO.Example"), "second");
    EXPECT_EQ(all.shown("a.wild.example"), "second");
    EXPECT_EQ(all.shown("exact.wild.example"), "third");
    EXPECT_EQ(all.shown("a.one.example"), "third");
}

TEST(tls_names, others_get_the_first_certificate) {
    several all;
    EXPECT_EQ(all.shown(nullptr), "first");
    EXPECT_EQ(all.shown("unknown.example"), "first");
    // A wildcard stands for one label, and not for none.
    EXPECT_EQ(all.shown("wild.example"), "first");
    EXPECT_EQ(all.shown("a.b.wild.example"), "first");
    EXPECT_EQ(all.shown("xwild.example"), "first");
}

TEST(tls_names, a_handshake_outlives_the_context_that_it_began_with) {
    certificate first("DNS:one.example", "first"), second("DNS:two.example", "second");
    auto client = make_tls_context(tls_client_options{.ca_file = first.cert_file, .verify = false}).value();
    auto server = std::make_unique<asio::ssl::context>(
        make_tls_context(tls_server_options{.certificate_file = first.cert_file,
                                            .key_file = first.key_file,
                                            .more = {{second.cert_file, second.key_file}}})
            .value());
    SSL* const begun = SSL_new(server->native_handle());
    server.reset();
    BIO* one = nullptr;
    BIO* other = nullptr;
    BIO_new_bio_pair(&one, 0, &other, 0);
    SSL* const asking = SSL_new(client.native_handle());
    SSL_set_bio(begun, one, one);
    SSL_set_bio(asking, other, other);
    SSL_set_accept_state(begun);
    SSL_set_connect_state(asking);
    SSL_set_tlsext_host_name(asking, "two.example");
    for (int step = 0; step < 10; ++step) {
        SSL_do_handshake(asking);
        SSL_do_handshake(begun);
    }
    EXPECT_TRUE(SSL_is_init_finished(asking));
    SSL_free(begun);
    SSL_free(asking);
}

namespace {

// What a server knows of a client that shows this certificate; "refused" when the handshake fails.
std::string known(const certificate* shown, const certificate& trusted, bool required, peer_name kind) {
    const certificate own;
    auto server = make_tls_context(tls_server_options{.certificate_file = own.cert_file,
                                                      .key_file = own.key_file,
                                                      .client_ca_file = trusted.cert_file,
                                                      .client_certificate_required = required})
                      .value();
    tls_client_options options{.ca_file = own.cert_file, .verify = false};
    if (shown) {
        options.certificate_file = shown->cert_file;
        options.key_file = shown->key_file;
    }
    auto client = make_tls_context(options).value();
    const handshake made(server, client, nullptr);
    if (!SSL_is_init_finished(made.server)) return "refused";
    return verified_name(made.server, kind).value_or("nobody");
}

}  // namespace

TEST(tls_peer, is_known_by_the_name_that_counts) {
    const certificate anna("DNS:anna.example,email:anna@example.org,URI:spiffe://example.org/anna", "Anna");
    EXPECT_EQ(known(&anna, anna, true, peer_name::common_name), "Anna");
    EXPECT_EQ(known(&anna, anna, true, peer_name::dns), "anna.example");
    EXPECT_EQ(known(&anna, anna, true, peer_name::email), "anna@example.org");
    EXPECT_EQ(known(&anna, anna, true, peer_name::uri), "spiffe://example.org/anna");
    const certificate two("DNS:a.example,DNS:b.example", "Two");
    EXPECT_EQ(known(&two, two, true, peer_name::dns), "nobody");
    EXPECT_EQ(known(&two, two, true, peer_name::email), "nobody");
}

TEST(tls_peer, without_a_certificate_is_let_in_as_nobody_or_refused) {
    const certificate anna, other;
    EXPECT_EQ(known(nullptr, anna, false, peer_name::common_name), "nobody");
    EXPECT_EQ(known(nullptr, anna, true, peer_name::common_name), "refused");
    EXPECT_EQ(known(&other, anna, false, peer_name::common_name), "refused");
    EXPECT_EQ(known(&other, anna, true, peer_name::common_name), "refused");
}

}  // namespace foz::net
