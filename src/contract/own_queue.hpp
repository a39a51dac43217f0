// A queue that belongs to one connection and goes with it.
#pragma once

#include "amqp/conn/channel.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace foz::contract {

struct own_queue {
    std::string prefix;         // its name is "<prefix>.<token>": that of one whose connection has just died is a 405
    std::string_view exchange;  // that it is bound to; empty: it is named by who sends to it
    std::vector<std::string> keys;  // one binding for each
    amqp::table arguments;
};

// Declares it as exclusive (AMQP 0-9-1 §1.7.2.1.5), binds it and consumes it without acknowledgements: what is in it is
// of use to nobody else. Its name. (g++ 12 destroys a braced temporary within a co_await twice: make `what` in a
// function.)
boost::asio::awaitable<amqp::result<std::string>> consume_own_queue(amqp::channel& on, own_queue what);

}  // namespace foz::contract
