// What is behind a request; for the SDK's own sources.
#pragma once

#include "amqp/conn/channel.hpp"
#include "amqp/conn/publisher.hpp"
#include "service/outbox.hpp"
#include "service/request.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace foz::service {

class worker_core;

struct request::state {
    worker_core* core = nullptr;
    // The delivery, owned: it is worked on after the callback that brought it.
    std::shared_ptr<amqp::channel> from;
    amqp::delivery_id id;
    bool redelivered = false;
    unsigned attempt = 1;
    std::string channel;
    std::string topic;
    std::string client;
    std::string session;
    std::optional<std::chrono::system_clock::time_point> deadline;
    bool progress = false;  // the caller wants to hear of foz.taken and foz.done
    amqp::basic_properties properties;
    std::string body;

    outbox out;
    std::uint64_t parts = 0;    // published in this run
    bool parts_repeat = false;  // another run says the same ones
    std::shared_ptr<std::atomic<bool>> parts_lost = std::make_shared<std::atomic<bool>>(false);
    std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
    bool refused = false;
    bool remembered = false;  // the store knows it

    // Messages of ours that belong to this one, with its time and trace. What a handler says has a derived id, which is
    // the same again when the handler runs again. What is published at once belongs to one run alone: a fresh id.
    amqp::publication derived(std::string_view json, std::string_view suffix) const;
    amqp::publication fresh(std::string_view json) const;
    // What the handler said, to be published: the reply addressed to whoever waits for it now, left out when nobody
    // does.
    std::vector<amqp::publication> take_said();
    amqp::publication lifecycle(amqp::publication p, std::string_view type) const;
    // The deduplication key.
    std::string key() const { return channel + "/" + properties.message_id.value_or(""); }
    bool awaits_reply() const noexcept { return properties.reply_to.has_value(); }

private:
    // To whoever waits for the reply; there has to be one.
    void address_reply(amqp::publication& p) const;
    amqp::publication about_this(std::string_view json) const;
};

}  // namespace foz::service
