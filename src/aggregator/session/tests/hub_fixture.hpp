// A hub without sockets or a broker: what it wants done is written down.
#pragma once

#include "aggregator/session/hub.hpp"
#include "base/clock.hpp"

#include <algorithm>
#include <deque>
#include <expected>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace foz::aggregator::test {

struct manual_clock final : clock {
    steady_time now() const override { return steady; }
    wall_time wall_now() const override { return wall; }
    void advance(std::chrono::milliseconds by) {
        steady += by;
        wall += by;
    }
    steady_time steady{std::chrono::hours(1)};
    wall_time wall{std::chrono::seconds(1'700'000'000)};
};

struct counting_random final : random_source {
    void fill(std::span<std::uint8_t> out) override {
        for (auto& octet : out) octet = static_cast<std::uint8_t>(next = next * 1103515245u + 12345u);
    }
    std::uint32_t next = 1;
};

// The payload of each unmasked text frame.
inline std::vector<std::string> texts_of(std::string_view frames) {
    std::vector<std::string> all;
    while (frames.size() >= 2) {
        std::size_t head = 2;
        std::uint64_t size = static_cast<unsigned char>(frames[1]) & 0x7f;
        if (size >= 126) {
            const std::size_t more = size == 126 ? 2 : 8;
            size = 0;
            for (std::size_t i = 0; i < more; ++i) size = size << 8 | static_cast<unsigned char>(frames[head + i]);
            head += more;
        }
        all.emplace_back(frames.substr(head, size));
        frames.remove_prefix(head + size);
    }
    return all;
}

struct recorded_output final : hub_output {
    explicit recorded_output(const clock& t) : time(t) {}

    struct published {
        std::size_t channel;
        std::string client;
        amqp::publication message;
        publish_ticket ticket;
    };
    struct taken_page {
        reading_id which;
        bool more;
    };

    void send(member to, const frame_ref& frames) override {
        ++sends;
        for (auto& text : texts_of(frames.octets())) sent[to].push_back(std::move(text));
        queued[to] += frames.size();
    }
    void send_text(member to, std::string_view text) override {
        sent[to].emplace_back(text);
        queued[to] += text.size();
    }
    std::size_t queued_bytes(member to) const override {
        const auto at = queued.find(to);
        return at == queued.end() ? 0 : at->second;
    }
    bool slow(member to) override { return std::ranges::find(slow_ones, to) != slow_ones.end(); }
    bool stuck(member which, std::chrono::milliseconds span) const override {
        const auto at = stuck_since.find(which);
        return at != stuck_since.end() && time.now() - at->second >= span;
    }
    bool silent(member on, std::chrono::milliseconds) const override {
        return std::ranges::find(silent_ones, on) != silent_ones.end();
    }
    bool taking(member which) override { return std::ranges::find(taking_ones, which) != taking_ones.end(); }
    void close(member which, ws::close_code code, std::string_view) override { closed.emplace_back(which, code); }
    void abort(member which) override { aborted.push_back(which); }
    void pause_reading(member from, bool paused) override { reading_paused[from] = paused; }
    void publish(std::size_t channel, const client_id& client, amqp::publication message, publish_ticket ticket,
                 steady_time) override {
        publishes.push_back({channel, client.str(), std::move(message), ticket});
    }
    bool crowded(std::size_t, const client_id& client) const override { return client.str() == crowded_client; }
    void read_older(const page_request& what) override { reads.push_back(what); }
    void page_taken(const reading_id& which, bool more) override { pages_taken.push_back({which, more}); }
    void presence(std::size_t, std::string_view client, std::string_view, bool here) override {
        present.emplace_back(client, here);
    }
    void tell_elsewhere(const client_id& client, const told_answer& what) override {
        elsewhere.emplace_back(client, what);
    }
    void tell_cancelled(std::size_t channel, std::string_view, std::string message_id) override {
        cancelled.emplace_back(channel, std::move(message_id));
    }
    std::expected<known_client, client_error> check_token(std::string_view token) override {
        const auto at = tokens.find(std::string(token));
        if (at == tokens.end()) return std::unexpected(client_error{error_code::bad_token, "no", "token"});
        return at->second;
    }
    void want_work() override { wants_work = true; }

    const clock& time;
    std::map<member, std::vector<std::string>> sent;
    std::map<member, steady_time> stuck_since;
    std::map<member, std::size_t> queued;
    std::size_t sends = 0;  // of whole frames
    std::vector<member> slow_ones, silent_ones, taking_ones, aborted;
    std::vector<std::pair<member, ws::close_code>> closed;
    std::map<member, bool> reading_paused;
    std::vector<published> publishes;
    std::string crowded_client;
    std::vector<page_request> reads;
    std::vector<taken_page> pages_taken;
    std::vector<std::pair<std::string, bool>> present;
    std::vector<std::pair<client_id, told_answer>> elsewhere;
    std::vector<std::pair<std::size_t, std::string>> cancelled;
    std::map<std::string, known_client> tokens;
    bool wants_work = false;
};

// chat is durable (channel 0), voice volatile (1).
inline session_settings two_channels() {
    session_settings config;
    config.channels = {{.name = "chat"}, {.name = "voice", .delivery = contract::delivery_kind::volatile_}};
    return config;
}

struct hub_fixture {
    explicit hub_fixture(session_settings c = two_channels()) : config(std::move(c)) {
        all.set_reply_queue(0, "OUT_CHAT");
        all.set_reply_queue(1, "OUT_VOICE.x");
        all.start();
    }

    member come(const std::string& client, std::vector<std::size_t> consume = {}) {
        const member who = all.opened({.client = client_id(client),
                                       .id = session_id("s" + std::to_string(++sessions)),
                                       .consume_at_open = std::move(consume)});
        all.begin(who);
        return who;
    }
    // Somebody who has shown who it is.
    member come(known_client who, std::string device = {}) {
        const member self = all.opened({.client = std::move(who.client),
                                        .id = session_id("s" + std::to_string(++sessions)),
                                        .rights = std::move(who.rights),
                                        .device = std::move(device)});
        all.begin(self);
        return self;
    }
    std::vector<std::string> take(member of) { return std::exchange(out.sent[of], {}); }
    // Text frames that contain this.
    std::size_t count(member of, std::string_view part) {
        return static_cast<std::size_t>(std::ranges::count_if(
            out.sent[of], [&](const std::string& text) { return text.find(part) != std::string::npos; }));
    }
    // The `message` of every message event, in order.
    std::vector<std::string> heard(member of) {
        std::vector<std::string> all_of_them;
        for (const std::string& text : out.sent[of]) {
            if (text.find(R"("event":"message")") == std::string::npos) continue;
            const auto at = text.rfind(R"("message":)") + 10;
            all_of_them.push_back(text.substr(at, text.size() - at - 1));
        }
        return all_of_them;
    }
    void work() {
        for (int i = 0; i < 10'000 && std::exchange(out.wants_work, false); ++i)
            while (all.work()) {
            }
    }
    void advance(std::chrono::milliseconds by) {
        for (; by.count() > 0; by -= std::chrono::milliseconds(50)) {
            time.advance(std::chrono::milliseconds(50));
            wheel.advance(time.now());
        }
    }

    manual_clock time;
    counting_random random;
    net::timing_wheel wheel{time};
    recorded_output out{time};
    const session_settings config;
    unsigned sessions = 0;
    hub all{config, {.time = time, .wheel = wheel, .random = random, .out = out, .shard = 0}};
};

inline envelope::position place_of(std::uint64_t offset) {
    return {.offset = offset, .check = static_cast<std::uint32_t>(offset * 31)};
}

}  // namespace foz::aggregator::test
