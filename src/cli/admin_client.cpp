// The one translation unit of the commands that knows Boost.Beast.
#include "cli/admin_client.hpp"

#include "base/encoding.hpp"
#include "net/tls.hpp"

#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

namespace foz::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::uint64_t body_bytes_max = 256 << 20;
constexpr auto as_tuples = asio::as_tuple(asio::use_awaitable);

std::string words(boost::system::error_code why) {
    if (why == beast::error::timeout) return "no answer in time";
    if (why == http::error::end_of_stream || why == asio::error::eof) return "the connection was closed";
    if (why.category() == http::make_error_code(http::error::bad_version).category()) return "what answers is no HTTP";
    return why.message();
}

std::string authorization_of(const admin_access& access) {
    if (!access.token.empty()) return "Bearer " + access.token;
    if (!access.user.empty()) return "Basic " + base64(access.user + ":" + access.password);
    return {};
}

// What a certificate is checked for: a name, or an address.
void expect_host(SSL* tls, const std::string& host) {
    boost::system::error_code no_address;
    asio::ip::make_address(host, no_address);
    if (!no_address) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host.c_str());
        return;
    }
    SSL_set_tlsext_host_name(tls, host.c_str());
    SSL_set1_host(tls, host.c_str());
}

}  // namespace

std::string admin_address::text() const {
    return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

std::expected<admin_address, std::string> parse_admin_address(std::string_view all) {
    const auto wrong = [&] {
        return std::unexpected("HOST:PORT or https://HOST:PORT is expected, not " + std::string(all));
    };
    std::string_view text = all;
    admin_address made;
    for (const auto& [scheme, tls] : {std::pair("http://", false), std::pair("https://", true)}) {
        if (!text.starts_with(scheme)) continue;
        text.remove_prefix(std::string_view(scheme).size());
        if (text.ends_with('/')) text.remove_suffix(1);
        made.tls = tls;
        break;
    }
    const std::size_t colon = text.rfind(':');
    std::uint16_t port = 0;
    if (colon == std::string_view::npos) return wrong();
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    // A password would be in everybody's list of processes.
    if (host.empty() || host.find_first_of("/@") != std::string_view::npos || failure != std::errc() ||
        end != digits.data() + digits.size() || port == 0)
        return wrong();
    made.host = host;
    made.port = digits;
    return made;
}

struct admin_connection::parts {
    parts(net::shard& home, admin_access a) : access(std::move(a)), plain(home.context()) {}

    asio::awaitable<std::expected<admin_answer, std::string>> call(http::verb method, std::string path,
                                                                   std::string content) {
        http::request<http::string_body> request(method, path, 11);
        request.set(http::field::host, access.where.text());
        if (const std::string login = authorization_of(access); !login.empty())
            request.set(http::field::authorization, login);
        if (method != http::verb::get) {
            request.set(http::field::content_type, "application/json");
            request.body() = std::move(content);
            request.prepare_payload();
        }
        if (secure) {
            auto answer = co_await exchange(*secure, request);
            co_return answer;
        }
        auto answer = co_await exchange(plain, request);
        co_return answer;
    }
    template <class Stream>
    asio::awaitable<std::expected<admin_answer, std::string>> exchange(Stream& on,
                                                                       http::request<http::string_body>& request) {
        const auto [write_error, sent] = co_await http::async_write(on, request, as_tuples);
        if (write_error) co_return std::unexpected(words(write_error));
        http::response_parser<http::string_body> response;
        response.body_limit(body_bytes_max);
        const auto [read_error, read] = co_await http::async_read(on, buffer, response, as_tuples);
        if (read_error) co_return std::unexpected(words(read_error));
        co_return admin_answer{.status = response.get().result_int(), .body = std::move(response.get().body())};
    }

    const admin_access access;
    beast::tcp_stream plain;
    std::optional<asio::ssl::context> context;
    std::optional<asio::ssl::stream<beast::tcp_stream&>> secure;
    beast::flat_buffer buffer;
};

admin_connection::admin_connection(std::unique_ptr<parts> made) : parts_(std::move(made)) {}
admin_connection::~admin_connection() = default;

asio::awaitable<std::expected<std::unique_ptr<admin_connection>, std::string>> admin_connection::open(
    net::shard& home, admin_access access, std::chrono::milliseconds within) {
    auto made = std::make_unique<parts>(home, std::move(access));
    const admin_address& where = made->access.where;
    asio::ip::tcp::resolver resolver(home.context());
    const auto [unknown, found] = co_await resolver.async_resolve(where.host, where.port, as_tuples);
    if (unknown) co_return std::unexpected(words(unknown));
    made->plain.expires_after(within);
    const auto [failed, at] = co_await made->plain.async_connect(found, as_tuples);
    if (failed) co_return std::unexpected(words(failed));
    if (where.tls) {
        auto context =
            net::make_tls_context(net::tls_client_options{.ca_file = made->access.ca_file, .server_name = {}});
        if (!context) co_return std::unexpected(context.error());
        made->context = std::move(*context);
        made->secure.emplace(made->plain, *made->context);
        expect_host(made->secure->native_handle(), where.host);
        const auto [refused] = co_await made->secure->async_handshake(asio::ssl::stream_base::client, as_tuples);
        if (refused) co_return std::unexpected("TLS: " + words(refused));
    }
    co_return std::unique_ptr<admin_connection>(new admin_connection(std::move(made)));
}

asio::awaitable<std::expected<admin_answer, std::string>> admin_connection::get(std::string path) {
    return parts_->call(http::verb::get, std::move(path), {});
}

asio::awaitable<std::expected<admin_answer, std::string>> admin_connection::post(std::string path, std::string json) {
    return parts_->call(http::verb::post, std::move(path), std::move(json));
}

std::string words_of(const admin_answer& refused) {
    if (refused.status == 401)
        return "a login is needed, or this one is wrong: FOZ_ADMIN_USER and FOZ_ADMIN_PASSWORD, or --token-file";
    std::string said = refused.body.substr(0, refused.body.find('\n'));
    constexpr std::size_t octets_told = 200;
    for (char& c : said)
        if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
    return "it answers with " + std::to_string(refused.status) +
           (said.empty() ? "" : ": " + said.substr(0, octets_told));
}

}  // namespace foz::cli
