#include "cli/top/fetch.hpp"

#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foz::cli::top {
namespace {

constexpr std::chrono::milliseconds ask_again_after{50};

}  // namespace

boost::asio::awaitable<std::expected<pages, std::string>> fetch(net::shard& home, const admin_access& from,
                                                                std::chrono::milliseconds within) {
    auto on = co_await admin_connection::open(home, from, within);
    if (!on) co_return std::unexpected(on.error());
    pages out;
    for (auto waited = std::chrono::milliseconds(0);; waited += ask_again_after) {
        auto overview = co_await (*on)->get("/api/overview");
        if (!overview) co_return std::unexpected(overview.error());
        out.overview = std::move(overview->body);
        if (overview->status == 200) break;
        overview->body = std::move(out.overview);
        if (overview->status != 503 || waited >= within) co_return std::unexpected(words_of(*overview));
        boost::asio::steady_timer pause(home.context(), ask_again_after);
        co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    }
    auto queues = co_await (*on)->get("/api/queues");
    if (!queues) co_return std::unexpected(queues.error());
    if (queues->status == 200)
        out.queues = std::move(queues->body);
    else if (queues->status != 404)
        co_return std::unexpected(words_of(*queues));
    co_return out;
}

}  // namespace foz::cli::top
