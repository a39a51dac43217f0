// The one translation unit of the commands that knows Boost.Beast.
#include "cli/top/fetch.hpp"

#include <charconv>
#include <cstdint>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

namespace foz::cli::top {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::uint64_t body_bytes_max = 256 << 20;
constexpr std::chrono::milliseconds ask_again_after{50};
constexpr auto as_values = asio::as_tuple(asio::use_awaitable);

std::string words(boost::system::error_code why) {
    if (why == beast::error::timeout) return "no answer in time";
    if (why == http::error::end_of_stream || why == asio::error::eof) return "the connection was closed";
    if (why.category() == http::make_error_code(http::error::bad_version).category()) return "what answers is no HTTP";
    return why.message();
}

struct answer {
    unsigned status = 0;
    std::string body;
};

asio::awaitable<std::expected<answer, std::string>> get(beast::tcp_stream& on, beast::flat_buffer& buffer,
                                                        std::string host, const char* path) {
    http::request<http::empty_body> request(http::verb::get, path, 11);
    request.set(http::field::host, host);
    const auto [write_error, sent] = co_await http::async_write(on, request, as_values);
    if (write_error) co_return std::unexpected(words(write_error));
    http::response_parser<http::string_body> response;
    response.body_limit(body_bytes_max);
    const auto [read_error, read] = co_await http::async_read(on, buffer, response, as_values);
    if (read_error) co_return std::unexpected(words(read_error));
    co_return answer{.status = response.get().result_int(), .body = std::move(response.get().body())};
}

std::string refused(const answer& by) {
    return "it answers with " + std::to_string(by.status);
}

}  // namespace

std::string admin_address::text() const {
    return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

std::expected<admin_address, std::string> parse_admin_address(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    std::uint16_t port = 0;
    if (colon == std::string_view::npos) return std::unexpected("HOST:PORT is expected, not " + std::string(text));
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host.empty() || host.find('/') != std::string_view::npos || failure != std::errc() ||
        end != digits.data() + digits.size() || port == 0)
        return std::unexpected("HOST:PORT is expected, not " + std::string(text));
    return admin_address{.host = std::string(host), .port = std::string(digits)};
}

asio::awaitable<std::expected<pages, std::string>> fetch(net::shard& home, const admin_address& from,
                                                         std::chrono::milliseconds within) {
    asio::ip::tcp::resolver resolver(home.context());
    const auto [unknown, where] = co_await resolver.async_resolve(from.host, from.port, as_values);
    if (unknown) co_return std::unexpected(words(unknown));
    beast::tcp_stream on(home.context());
    on.expires_after(within);
    const auto [failed, at] = co_await on.async_connect(where, as_values);
    if (failed) co_return std::unexpected(words(failed));
    beast::flat_buffer buffer;
    pages out;
    for (auto waited = std::chrono::milliseconds(0);; waited += ask_again_after) {
        auto overview = co_await get(on, buffer, from.text(), "/api/overview");
        if (!overview) co_return std::unexpected(overview.error());
        out.overview = std::move(overview->body);
        if (overview->status == 200) break;
        if (overview->status != 503 || waited >= within) co_return std::unexpected(refused(*overview));
        asio::steady_timer pause(home.context(), ask_again_after);
        co_await pause.async_wait(as_values);
    }
    auto queues = co_await get(on, buffer, from.text(), "/api/queues");
    if (!queues) co_return std::unexpected(queues.error());
    if (queues->status == 200)
        out.queues = std::move(queues->body);
    else if (queues->status != 404)
        co_return std::unexpected(refused(*queues));
    co_return out;
}

}  // namespace foz::cli::top
