// Recovery, with a broker that is played.
#include "amqp/conn/tests/played_broker.hpp"
#include "net/tests/certificate.hpp"

namespace foz::amqp {

TEST(amqp_recovery, a_confirm_that_is_late_reopens_the_channel_and_all_is_sent_again_in_order) {
    stage s;
    s.wish.confirms = [](std::uint16_t channel) { return channel != 1; };
    client c(s.home, {.urls = {s.to()}});
    publisher sender(c, {.confirm_timeout = 200ms});
    std::vector<outcome> outcomes;
    for (const char* body : {"a", "b"})
        sender.publish(saying(body), 10s, [&](outcome o) {
            outcomes.push_back(o);
            if (outcomes.size() == 2) s.end(c);
        });
    c.start();
    s.run();
    EXPECT_EQ(outcomes, (std::vector{outcome::confirmed, outcome::confirmed}));
    EXPECT_EQ(s.published, (std::vector<std::string>{"1:a", "1:b", "2:a", "2:b"}));
    EXPECT_EQ(sender.counters().reopened, 1u);
    EXPECT_EQ(sender.counters().repeated, 2u);
    EXPECT_EQ(c.counters().connects, 1u);
}

TEST(amqp_recovery, while_the_broker_blocks_publishes_wait_and_both_edges_are_told) {
    stage s;
    played_connection* peer = nullptr;
    s.wish.on_open = [&](played_connection& p) {
        peer = &p;
        p.say(0, connection_blocked{.reason = "low on memory"});
    };
    client c(s.home, {.urls = {s.to()}}, &s);
    publisher sender(c, {.confirm_timeout = 100ms});
    std::optional<outcome> late, early;
    std::size_t published_while_blocked = 99;
    sender.publish(saying("patient"), 10s, [&](outcome o) {
        late = o;
        s.end(c);
    });
    sender.publish(saying("hasty"), 500ms, [&](outcome o) {
        early = o;
        EXPECT_TRUE(c.blocked());
        published_while_blocked = s.published.size();
        peer->say(0, connection_unblocked());
    });
    c.start();
    s.run();
    EXPECT_EQ(s.told, (std::vector<std::string>{"blocked: low on memory", "unblocked"}));
    EXPECT_EQ(early, outcome::unavailable);
    EXPECT_EQ(published_while_blocked, 0u);
    EXPECT_EQ(late, outcome::confirmed);
    EXPECT_EQ(s.published, (std::vector<std::string>{"1:patient"}));
    EXPECT_EQ(c.counters().blocked, 1u);
    EXPECT_EQ(sender.counters().reopened, 0u);
}

TEST(amqp_recovery, what_is_in_flight_when_the_broker_blocks_is_not_late) {
    stage s;
    played_connection* peer = nullptr;
    s.wish.on_open = [&](played_connection& p) { peer = &p; };
    s.wish.confirms = [&](std::uint16_t channel) {
        peer->say(0, connection_blocked{.reason = "disk"});
        return channel != 1;
    };
    client c(s.home, {.urls = {s.to()}}, &s);
    publisher sender(c, {.confirm_timeout = 100ms});
    std::optional<outcome> result;
    sender.publish(saying("x"), 600ms, [&](outcome o) {
        result = o;
        s.end(c);
    });
    c.start();
    s.run();
    EXPECT_EQ(result, outcome::unknown);
    EXPECT_EQ(s.published, (std::vector<std::string>{"1:x"}));
    EXPECT_EQ(sender.counters().reopened, 0u);
}

// More than the buffers of both systems take is on its way to a broker that has stopped reading.
struct full_pipe : stage {
    explicit full_pipe(bool says_so) {
        wish.on_open = [this](played_connection& p) { peer = &p; };
        wish.confirms = [this, says_so](std::uint16_t) {
            if (std::exchange(paused, true)) return true;
            if (says_so) peer->say(0, connection_blocked{.reason = "disk"});
            peer->pause();
            return true;
        };
        sender.emplace(
            c, publisher_options{
                   .in_flight_octets_limit = 256 * mib, .pending_octets_limit = 256 * mib, .confirm_timeout = 60s});
        for (int i = 0; i < 32; ++i)
            sender->publish(saying(std::string(mib, 'x')), 15s, [this](outcome o) {
                confirmed += o == outcome::confirmed;
                if (++settled == 32) end(c);
            });
        c.start();
    }

    static constexpr std::size_t mib = 1024 * 1024;
    client c{home, {.urls = {to()}, .unacknowledged_max = 500ms}, this};
    std::optional<publisher> sender;
    played_connection* peer = nullptr;
    bool paused = false;
    int confirmed = 0, settled = 0;
    net::wheel_timer resume{this, [](full_pipe& self) { self.peer->resume(); }};
};

TEST(amqp_recovery, a_broker_that_blocks_and_stops_reading_is_waited_for) {
    full_pipe s(true);
    // It blocks for several times as long as a silent one would be waited for.
    s.then = [&](bool blocked) {
        if (blocked) s.resume.start(s.home.wheel(), 3s);
    };
    s.gave_up = [&] { s.cores.stop(); };
    s.run();
    EXPECT_EQ(s.c.counters().disconnects, 0u) << s.problem;
    EXPECT_EQ(s.c.counters().connects, 1u);
}

TEST(amqp_recovery, a_node_that_takes_nothing_and_says_nothing_is_left) {
    full_pipe s(false);
    s.gave_up = [&] { s.cores.stop(); };
    s.run();
    EXPECT_EQ(s.c.counters().disconnects, 1u);
    EXPECT_EQ(s.problem, "Connection timed out");
}

TEST(amqp_recovery, amqps_publishes_through_TLS_to_a_server_whose_certificate_is_known) {
    const net::certificate files;
    const net::tls_server_options tls{files.cert_file, files.key_file};
    stage s(&tls);
    client c(s.home, {.urls = {s.to()}, .tls = {.ca_file = files.cert_file, .server_name = "localhost"}});
    publisher sender(c);
    std::optional<outcome> result;
    sender.publish(saying("secret"), 10s, [&](outcome o) {
        result = o;
        s.end(c);
    });
    c.start();
    s.run();
    EXPECT_EQ(result, outcome::confirmed);
    EXPECT_EQ(s.published, (std::vector<std::string>{"1:secret"}));
}

TEST(amqp_recovery, amqps_says_nothing_to_a_server_whose_certificate_is_for_another_name) {
    const net::certificate files;
    const net::tls_server_options tls{files.cert_file, files.key_file};
    stage s(&tls);
    client c(s.home, {.urls = {s.to()}, .tls = {.ca_file = files.cert_file, .server_name = "elsewhere"}}, &s);
    s.gave_up = [&] { s.end(c); };
    c.start();
    s.run();
    EXPECT_NE(s.problem.find("TLS handshake"), std::string::npos) << s.problem;
    EXPECT_EQ(c.counters().connects, 0u);
}

}  // namespace foz::amqp
