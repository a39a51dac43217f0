// What is behind a request; for the SDK's own sources.
#pragma once

#include "amqp/conn/channel.hpp"
#include "amqp/conn/publisher.hpp"
#include "service/request.hpp"

#include <memory>
#include <string>
#include <vector>

namespace foz::service {

struct request::state {
    // The delivery, owned: it is worked on after the callback that brought it.
    std::shared_ptr<amqp::channel> from;
    amqp::delivery_id id;
    bool redelivered = false;
    std::string channel;
    std::string topic;
    std::string client;
    std::string session;
    amqp::basic_properties properties;
    std::string body;

    std::vector<amqp::publication> said;
    bool replied = false;
    bool refused = false;

    // A message of ours that belongs to this one: id, time, trace.
    amqp::publication begin(std::string_view json);
};

}  // namespace foz::service
