// foz doctor: what could keep `foz serve` from working, in plain words.
#pragma once

#include "net/shard.hpp"
#include "ops/config/configuration.hpp"

#include <functional>
#include <string>

#include <boost/asio/awaitable.hpp>

namespace foz::ops {

enum class verdict {
    good,
    note,  // good to know; fails nothing
    bad,
};

// One line for each check, told as soon as it is known.
using tell_check = std::function<void(verdict, const std::string&)>;

// Looks and changes nothing on the broker: what is there is declared again as it is, what is missing is not made; a
// queue of its own, exclusive to the connection, shows what the user may do.
boost::asio::awaitable<void> examine(net::shard& home, const configuration& all, tell_check tell);

}  // namespace foz::ops
