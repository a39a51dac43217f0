// Messages over the limit cost themselves and nothing else.
#include "amqp/conn/tests/played_broker.hpp"
#include "base/content_check.hpp"

namespace foz::amqp {
namespace {

struct wanted {
    std::string queue;
    bool no_ack = false;
    bool from_stream = false;
};

asio::awaitable<result<void>> consume_from(channel& self, wanted what) {
    basic_consume method;
    method.queue = what.queue;
    method.consumer_tag = what.queue;
    method.no_ack = what.no_ack;
    if (what.from_stream) method.arguments = {{"x-stream-offset", "first"}};
    auto consuming = co_await self.call(std::move(method));
    if (!consuming) co_return std::unexpected(consuming.error());
    co_return result<void>{};
}

struct consumer final : channel_handler {
    consumer(client& c, wanted w) : what(std::move(w)), link(c.open_channel(*this)) {}
    ~consumer() { link->close(); }
    asio::awaitable<result<void>> set_up(channel& self) override { return consume_from(self, what); }
    void on_delivery(channel&, const delivery& d) override { heard(std::string(d.body)); }
    void on_too_large(channel& self, const delivery& d, const skipped_body& body) override {
        skipped = body;
        EXPECT_EQ(d.body, "");
        EXPECT_EQ(d.properties.message_id, "large");
        channel_handler::on_too_large(self, d, body);
    }

    const wanted what;
    std::optional<skipped_body> skipped;
    std::function<void(const std::string&)> heard;
    std::shared_ptr<channel> link;
};

// Delivers one large message, then a small one; tells what the consumer settled.
struct large_stage : stage {
    large_stage() {
        wish.deals = [this](played_connection& from, std::uint16_t on, message& m) {
            if (const auto* consume = std::get_if<basic_consume>(&m.method)) {
                basic_consume_ok ok;
                ok.consumer_tag = consume->consumer_tag;
                from.say(on, ok);
                deliver(from, on, consume->consumer_tag, 1, "large", body);
                deliver(from, on, consume->consumer_tag, 2, "small", "small");
                return true;
            }
            if (const auto* ack = std::get_if<basic_ack>(&m.method))
                settled.push_back("ack " + std::to_string(ack->delivery_tag));
            if (const auto* nack = std::get_if<basic_nack>(&m.method))
                settled.push_back("nack " + std::to_string(nack->delivery_tag) + (nack->requeue ? " requeue" : ""));
            return false;
        };
    }
    static void deliver(played_connection& to, std::uint16_t on, std::string_view tag, std::uint64_t number,
                        const char* id, std::string_view text) {
        basic_deliver method;
        method.consumer_tag = tag;
        method.delivery_tag = number;
        to.say_content(on, method, {.message_id = id}, text);
    }
    const std::string body = std::string(300'000, 'x') + "end";  // three frames
    std::vector<std::string> settled;
};

}  // namespace

TEST(amqp_too_large, a_delivery_over_the_limit_is_told_with_its_check_and_settled_as_its_consumer_can) {
    for (const auto& [what, settled] : {std::pair(wanted{"work"}, std::vector<std::string>{"nack 1"}),
                                        std::pair(wanted{"stream", false, true}, std::vector<std::string>{"ack 1"}),
                                        std::pair(wanted{"answers", true}, std::vector<std::string>{})}) {
        large_stage s;
        client c(s.home, {.urls = {s.to()}, .content_bytes_max = 100'000});
        consumer hears(c, what);
        std::string heard;
        hears.heard = [&](const std::string& text) {
            heard += text;
            s.end(c);
        };
        c.start();
        s.run();
        EXPECT_EQ(heard, "small") << what.queue;
        EXPECT_EQ(hears.skipped, (skipped_body{s.body.size(), content_check_of("large", s.body)}));
        EXPECT_EQ(s.settled, settled) << what.queue;
        EXPECT_EQ(c.counters().connects, 1u);
        EXPECT_EQ(hears.link->opening(), 2u) << "one opening, and the end of it";
    }
}

TEST(amqp_too_large, a_message_over_the_limit_that_comes_back_is_unroutable) {
    stage s;
    const std::string body(300'000, 'x');
    s.wish.deals = [&](played_connection& from, std::uint16_t on, message& m) {
        if (!std::holds_alternative<basic_publish>(m.method)) return false;
        basic_return back;
        back.reply_code = 312;
        back.routing_key = "q";
        from.say_content(on, back, m.properties, m.body);
        return false;
    };
    client c(s.home, {.urls = {s.to()}, .content_bytes_max = 100'000});
    publisher sender(c);
    std::optional<outcome> result;
    sender.publish(saying(body), 10s, [&](outcome o) {
        result = o;
        s.end(c);
    });
    c.start();
    s.run();
    EXPECT_EQ(result, outcome::unroutable);
    EXPECT_EQ(c.counters().connects, 1u);
}

}  // namespace foz::amqp
