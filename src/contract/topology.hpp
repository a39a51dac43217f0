// The exchanges, queues, streams and bindings that must be there before anyone publishes or consumes.
#pragma once

#include "amqp/codec/methods.hpp"
#include "amqp/conn/channel.hpp"
#include "contract/channel_settings.hpp"

#include <span>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace foz::contract {

// The declarations as data, in the order in which they have to be made: for declaring, showing and exporting alike.
struct topology {
    std::vector<amqp::exchange_declare> exchanges;
    std::vector<amqp::queue_declare> queues;
    std::vector<amqp::queue_bind> bindings;
};

// `revocations`: the stream REVOKED, too; for aggregators that know clients by name.
enum class with_revocations : bool { no, yes };
topology make_topology(std::span<const channel_settings> channels, with_revocations revocations = with_revocations::no);

// Declares everything; repeating it changes nothing. The broker's error names the object and the argument that
// differs (406 PRECONDITION_FAILED) or what may not be done (403 ACCESS_REFUSED).
boost::asio::awaitable<amqp::result<void>> declare(amqp::channel& on, topology what);

}  // namespace foz::contract
