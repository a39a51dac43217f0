#include "publisher.hpp"

#include "amqp/codec/encode.hpp"
#include "scenario.hpp"

#include <algorithm>
#include <stdexcept>
#include <unistd.h>

namespace foz::load {

publisher::publisher(crowd& clients, const dialect& words, std::uint16_t amqp_port) : clients_(clients), words_(words) {
    if (words.kind() == server_kind::foz) {
        broker_.emplace(bench::endpoint{.address = "127.0.0.1", .port = amqp_port});
        link_ = connection(::dup(broker_->socket()));
        return;
    }
    member_ = clients.size();
    join_and_wait(clients, 1, [&](std::size_t) { return greeting{words.path(), ""}; }, 0);
}

std::string publisher::encode(const audience& to, std::size_t body, std::string_view mark) const {
    std::string text(mark);
    if (words_.kind() != server_kind::foz) {
        text.resize(std::max(body, text.size()), 'x');
        return text_frame(words_.publish(to.topic.empty() ? to.group : to.topic, text));
    }
    constexpr std::size_t quotes = 2;
    text.resize(std::max(body > quotes ? body - quotes : 0, text.size()), 'x');
    return encode_amqp(to, '"' + text + '"');
}

std::string publisher::encode_amqp(const audience& to, const std::string& body) const {
    amqp::basic_publish target;
    target.exchange = "OUTBOUND";
    target.routing_key = words_.channel() + (to.topic.empty() ? "" : "." + to.topic);
    amqp::basic_properties properties;
    properties.delivery_mode = 2;
    std::string list = to.group.empty() ? "" : '"' + to.group + '"';
    for (const std::string& group : to.groups) list += (list.empty() ? "\"" : ",\"") + group + '"';
    if (list.empty())
        properties.headers = amqp::table{{"foz-broadcast", true}};
    else
        properties.headers = amqp::table{{"foz-multicast", "[" + list + "]"}};
    std::string out;
    if (!amqp::encode_content(out, {.channel = bench::client::channel, .frame_max = broker_->frame_max()}, target,
                              properties, body))
        throw std::runtime_error("a message can't be encoded");
    return out;
}

void publisher::send(std::string_view octets) {
    if (member_) return clients_[*member_].send(octets);
    link_.flush();
    link_.send(octets);
}

void publisher::flush() {
    if (!member_) link_.flush();
}

}  // namespace foz::load
