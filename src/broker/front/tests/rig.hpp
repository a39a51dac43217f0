// The broker's front without sockets: the test is every client, decides when each of them reads, when the disk has
// committed and how time passes.
#pragma once

#include "amqp/codec/content.hpp"
#include "amqp/codec/encode.hpp"
#include "broker/core/tests/rig.hpp"
#include "broker/front/connection.hpp"
#include "net/tests/memory_stream.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace foz::broker {

struct front_rig final : connection_owner {
    explicit front_rig(connection_limits bounds = {}, std::uint64_t seed = 1) : limits(bounds), random(seed) {
        model.start({"/", "other"});
    }
    ~front_rig() {
        const auto left = std::exchange(listed, {});
        for (const auto& [key, one] : left) one->forsake();
        home.turn();
    }

    static const users& make_users() {
        static const users all(
            {{.name = "guest", .password_hash = hash_password("guest", 1), .vhosts = {{"*", {}}}},
             {.name = "narrow",
              .password_hash = hash_password("narrow", 2),
              .vhosts = {{"/", {.configure = "^mine", .write = "^mine|amq\\.default", .read = "^mine"}}}}});
        return all;
    }
    std::shared_ptr<net::memory_stream> connect() {
        auto wire = std::make_shared<net::memory_stream>(
            home, net::stream_options{.high_watermark_bytes = limits.queued_bytes_max,
                                      .low_watermark_bytes = limits.queued_bytes_max / 4});
        const auto made = std::make_shared<connection>(wire, shared, static_cast<connection_owner&>(*this));
        listed.emplace(made.get(), made);
        made->start();
        return wire;
    }
    void on_gone(connection& which) override {
        ++gone;
        listed.erase(&which);
    }

    void on_refused(const net::tcp::endpoint&, std::string_view user, std::string_view why) override {
        refused.push_back(std::string(user) + ": " + std::string(why));
    }

    // What is pending is durable.
    void commit() {
        disk.commit();
        model.on_committed(disk.committed());
        for (const auto& [key, one] : listed) one->on_committed();
        home.turn();
    }
    void pass(std::chrono::milliseconds span) {
        // Step by step: a timer runs once in an advance, as after a stall.
        for (auto left = span; left.count() > 0;) {
            const auto step = std::min<std::chrono::milliseconds>(left, net::timing_wheel::tick);
            time.passed += step;
            home.wheel().advance(time.now());
            left -= step;
        }
        model.run_due();
        home.turn();
    }
    vhost& host() { return *model.find_vhost("/"); }
    queue& find(const std::string& name) {
        const auto at = host().queues().find(name);
        if (at == host().queues().end()) throw std::runtime_error("no queue " + name);
        return *at->second;
    }
    bool has(const std::string& name) { return host().queues().contains(name); }

    connection_limits limits;
    manual_clock time;
    seeded_random random;
    memory_storage disk;
    const users& known = make_users();
    net::shard home{0, time, random};
    node model{disk, time, random};
    front_context shared{model, known, limits, "0"};
    std::unordered_map<connection*, std::shared_ptr<connection>> listed;
    int gone = 0;
    std::vector<std::string> refused;  // "user: why"
};

// What a client has received.
struct received {
    std::uint16_t number = 0;
    amqp::method method;
    std::string body;
    std::string encoded_properties;

    std::string name() const { return std::string(amqp::info(method).name); }
    template <class Method>
    const Method* as() const {
        return std::get_if<Method>(&method);
    }
};

// One client. Its octets wait, as in TCP, while it is not read from.
class client {
public:
    explicit client(front_rig& r) : all(r), wire(r.connect()) {}

    void send(std::string_view octets) {
        waiting_ += octets;
        push();
    }
    void send(std::uint16_t number, const amqp::method& m) {
        std::string octets;
        if (!amqp::encode_method(octets, number, m)) throw std::runtime_error("the test can't encode this");
        send(octets);
    }
    static std::string content(std::uint16_t number, const std::string& exchange, const std::string& key,
                               std::string_view body, amqp::basic_properties properties = {}, bool mandatory = false) {
        amqp::basic_publish m;
        m.exchange = exchange;
        m.routing_key = key;
        m.mandatory = mandatory;
        std::string octets;
        (void)amqp::encode_content(octets, {.channel = number, .frame_max = 131'072}, m, properties, body);
        return octets;
    }
    void publish(std::uint16_t number, const std::string& key, std::string_view body,
                 amqp::basic_properties properties = {}) {
        send(content(number, "", key, body, std::move(properties)));
    }
    // What the broker does not read yet is tried again.
    void push() {
        constexpr std::size_t piece = 64 << 10;
        all.home.turn();
        for (std::size_t at = 0; at < waiting_.size();) {
            if (!wire->reads()) {
                waiting_.erase(0, at);
                return;
            }
            const std::string part = waiting_.substr(at, piece);
            at += part.size();
            wire->receive(part);
            all.home.turn();
        }
        waiting_.clear();
    }
    std::size_t waiting() const { return waiting_.size(); }

    // What the broker has said since the last time, `most` octets of it.
    std::vector<received> read(std::size_t most = std::string::npos) {
        all.home.turn();
        const std::string octets = wire->take(most);
        all.home.turn();
        std::vector<received> out;
        for (std::string_view input = octets;;) {
            const auto next = parser_.next(input);
            if (!next) {
                wrong_protocol = next.error().wrong_protocol;
                if (!wrong_protocol) throw std::runtime_error("the broker sends garbage: " + next.error().text);
                return out;
            }
            if (!*next) return out;
            if ((*next)->type == amqp::frame_type::heartbeat) {
                ++heartbeats;
                continue;
            }
            auto& assembler = assemblers_
                                  .try_emplace((*next)->channel, amqp::content_assembler::body_limit_default,
                                               amqp::properties_as::encoded)
                                  .first->second;
            const auto whole = assembler.feed(**next);
            if (!whole) throw std::runtime_error("the broker sends nonsense: " + whole.error().text);
            if (!*whole) continue;
            out.push_back({.number = (*next)->channel,
                           .method = std::move((*whole)->method),
                           .body = (*whole)->take_body(),
                           .encoded_properties = (*whole)->encoded_properties});
            if (out.back().as<amqp::connection_close>()) close = *out.back().as<amqp::connection_close>();
        }
    }
    std::vector<received> call(std::uint16_t number, const amqp::method& m) {
        send(number, m);
        return read();
    }
    // All octets that the broker has written by now are read, whatever they are.
    std::vector<received> read_all() {
        std::vector<received> out;
        for (;;) {
            auto more = read();
            push();
            if (more.empty() && wire->queued_bytes() == 0) return out;
            std::ranges::move(more, std::back_inserter(out));
        }
    }

    static amqp::connection_start_ok login(const std::string& user = "guest", const std::string& password = "guest",
                                           amqp::table capabilities = {{"consumer_cancel_notify", true},
                                                                       {"connection.blocked", true},
                                                                       {"authentication_failure_close", true}}) {
        amqp::connection_start_ok out;
        out.mechanism = "PLAIN";
        out.response = '\0' + user + '\0' + password;
        out.locale = "en_US";
        out.client_properties = {{"capabilities", std::move(capabilities)}};
        return out;
    }
    static amqp::connection_tune_ok tune(std::uint16_t heartbeat = 0, std::uint16_t channel_max = 2'047) {
        amqp::connection_tune_ok out;
        out.channel_max = channel_max;
        out.frame_max = 131'072;
        out.heartbeat = heartbeat;
        return out;
    }
    static amqp::connection_open enter(const std::string& vhost = "/") {
        amqp::connection_open out;
        out.virtual_host = vhost;
        return out;
    }
    client& open(std::uint16_t channels = 1, std::uint16_t heartbeat = 0, const std::string& user = "guest") {
        send(amqp::protocol_header_octets);
        send(0, login(user, user));
        send(0, tune(heartbeat));
        send(0, enter());
        for (std::uint16_t i = 1; i <= channels; ++i) send(i, amqp::channel_open{});
        const auto said = read();
        if (said.size() != 3u + channels || (channels > 0 && !said.back().as<amqp::channel_open_ok>()))
            throw std::runtime_error("the handshake fails");
        return *this;
    }

    void declare(const std::string& name, amqp::table arguments = {}, bool durable = false, std::uint16_t number = 1) {
        amqp::queue_declare m;
        m.queue = name;
        m.durable = durable;
        m.arguments = std::move(arguments);
        expect<amqp::queue_declare_ok>(number, m);
    }
    void consume(const std::string& name, bool no_ack = false, std::uint16_t number = 1, const std::string& tag = "",
                 amqp::table arguments = {}) {
        amqp::basic_consume m;
        m.queue = name;
        m.no_ack = no_ack;
        m.no_wait = true;
        m.consumer_tag = tag.empty() ? "t" + std::to_string(++tags_) : tag;
        m.arguments = std::move(arguments);
        send(number, m);
    }
    void prefetch(std::uint16_t count, std::uint16_t number = 1, bool global = false) {
        amqp::basic_qos m;
        m.prefetch_count = count;
        m.global = global;
        expect<amqp::basic_qos_ok>(number, m);
    }
    void ack(std::uint64_t tag, bool multiple = false, std::uint16_t number = 1) {
        amqp::basic_ack m;
        m.delivery_tag = tag;
        m.multiple = multiple;
        send(number, m);
    }
    void nack(std::uint64_t tag, bool multiple, bool requeue, std::uint16_t number = 1) {
        amqp::basic_nack m;
        m.delivery_tag = tag;
        m.multiple = multiple;
        m.requeue = requeue;
        send(number, m);
    }
    template <class Ok>
    void expect(std::uint16_t number, const amqp::method& m) {
        const auto said = call(number, m);
        if (said.size() != 1 || !said[0].as<Ok>())
            throw std::runtime_error("unexpected: " + (said.empty() ? "nothing" : said[0].name()));
    }
    void hang_up() {
        wire->hang_up();
        all.home.turn();
    }

    front_rig& all;
    std::shared_ptr<net::memory_stream> wire;
    std::optional<amqp::connection_close> close;
    bool wrong_protocol = false;
    int heartbeats = 0;

private:
    amqp::frame_parser parser_{amqp::role::client, 131'072};
    std::map<std::uint16_t, amqp::content_assembler> assemblers_;
    std::string waiting_;
    int tags_ = 0;
};

inline std::vector<std::string> names(const std::vector<received>& all) {
    std::vector<std::string> out;
    for (const received& one : all) out.push_back(one.name());
    return out;
}

// Of what was delivered, got and returned.
inline std::vector<std::string> bodies(const std::vector<received>& all) {
    std::vector<std::string> out;
    for (const received& one : all)
        if (amqp::info(one.method).has_content) out.push_back(one.body);
    return out;
}

}  // namespace foz::broker
