// SIGHUP: the files of TLS are read again, and nothing ends.
#pragma once

#include "base/clock.hpp"
#include "net/tls_watch.hpp"

#include <csignal>
#include <memory>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <spdlog/spdlog.h>

namespace foz::cli {

// As long as it is there the signal ends no process, whoever else waits for it or not yet.
class hangup_guard {
    boost::asio::io_context never_runs_;
    boost::asio::signal_set caught_{never_runs_, SIGHUP};
};

// Looks after TLS files from now on, and says to the log what comes of it.
inline std::unique_ptr<net::tls_watch> watch_tls(const clock& time, net::tls_watch::options how = {}) {
    const auto tell = [](const net::tls_news& news) {
        news.failed ? spdlog::warn("{}", news.text) : spdlog::info("{}", news.text);
    };
    return std::make_unique<net::tls_watch>(time, tell, std::move(how));
}

inline void on_hangup(net::tls_watch& watch) {
    spdlog::info("SIGHUP: certificates, keys and CAs are read again");
    watch.look_now();
}

}  // namespace foz::cli
