// What a handler knows of its caller, and what it tells and asks while it runs.
#include "fixture.hpp"

#include <chrono>

namespace foz::service {
namespace {

std::int64_t now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

std::optional<std::int64_t> number_header(const heard& h, std::string_view name) {
    return amqp::as_int64(h.properties.headers ? h.properties.headers->find(name) : nullptr);
}

using answer = std::optional<std::string>;

}  // namespace

TEST(conversation, attempts_are_counted) {
    const channels names;
    worker w(options(names));
    std::vector<unsigned> attempts;
    w.on(names.a(), "", [&](request& r) {
        attempts.push_back(r.attempt());
        if (r.attempt() < 3) throw std::runtime_error("not yet");
        r.reply("1");
    });
    peer p(names);
    const running r(w);
    p.send(names.a(), "x", "1", "m1");
    p.hear(1);
    EXPECT_EQ(attempts, (std::vector<unsigned>{1, 2, 3}));
}

TEST(conversation, the_deadline_is_known_and_can_be_extended_at_once) {
    const channels names;
    worker w(options(names));
    std::promise<void> go;
    auto may_go = go.get_future().share();
    std::vector<std::optional<std::chrono::system_clock::time_point>> deadlines;
    w.on(names.a(), "", [&](request& r) {
        deadlines.push_back(r.deadline());
        r.extend(90s);
        deadlines.push_back(r.deadline());
        may_go.wait();
        r.reply("1");
    });
    peer p(names);
    const running r(w);
    auto asked = p.request_from("ann", names.a(), "x", "1", "m1");
    asked.properties.headers->set(contract::header_deadline, std::int64_t{4'000'000'000'123});
    const std::int64_t before = now_ms();
    p.publish(asked);
    const auto extension = p.hear(1)[0];  // while the handler runs
    go.set_value();
    EXPECT_EQ(extension.properties.type, contract::type_extend);
    EXPECT_EQ(extension.properties.correlation_id, "c-m1");
    EXPECT_EQ(extension.exchange, "");
    EXPECT_EQ(extension.body, "null");
    const auto until = number_header(extension, contract::header_deadline).value_or(0);
    EXPECT_GE(until, before + 90'000);
    EXPECT_LE(until, now_ms() + 90'000);
    EXPECT_EQ(p.hear(2)[1].body, "1");
    using std::chrono::system_clock;
    EXPECT_EQ(deadlines[0], system_clock::time_point(4'000'000'000'123ms));
    ASSERT_TRUE(deadlines[1]);
    EXPECT_EQ(std::chrono::floor<std::chrono::milliseconds>(deadlines[1]->time_since_epoch()).count(), until);
}

TEST(conversation, without_a_caller_nobody_is_told_to_wait) {
    const channels names;
    worker w(options(names));
    w.on(names.a(), "", [&](request& r) {
        EXPECT_FALSE(r.deadline());
        r.extend(1s);
        r.broadcast("1");
    });
    peer p(names);
    const running r(w);
    auto told = p.request_from("ann", names.a(), "x", "1", "m1");
    told.properties.reply_to.reset();
    told.properties.headers->set(contract::header_progress, true);
    p.publish(told);
    p.send(names.a(), "x", "1", "m2");  // what the first one said comes before
    EXPECT_EQ(p.hear(1)[0].properties.message_id, "m1/0");
}

TEST(conversation, whoever_asks_for_progress_hears_when_work_begins_and_ends) {
    const channels names;
    worker w(options(names));
    w.on(names.a(), "silent", [](request& r) {
        if (r.attempt() == 1) throw std::runtime_error("not yet");
        r.broadcast("1", {.type = "said"});
    });
    w.on(names.a(), "answering", [](request& r) { r.reply("2"); });
    peer p(names);
    const running r(w);
    const auto send = [&](const std::string& type, const std::string& id) {
        auto asked = p.request_from("ann", names.a(), type, "1", id);
        asked.properties.headers->set(contract::header_progress, true);
        p.publish(asked);
    };
    send("silent", "m1");
    auto all = p.hear(4);
    EXPECT_EQ(all[0].properties.type, contract::type_taken);
    EXPECT_EQ(all[0].properties.correlation_id, "c-m1");
    EXPECT_EQ(all[0].body, "null");
    EXPECT_EQ(number_header(all[0], contract::header_attempt), 1);
    EXPECT_EQ(all[1].properties.type, contract::type_taken);
    EXPECT_EQ(number_header(all[1], contract::header_attempt), 2);
    EXPECT_NE(all[0].properties.message_id, all[1].properties.message_id);
    EXPECT_EQ(all[2].properties.type, "said");
    EXPECT_EQ(all[3].properties.type, contract::type_done);
    EXPECT_EQ(all[3].properties.correlation_id, "c-m1");
    EXPECT_EQ(all[3].properties.message_id, "m1/done");
    send("answering", "m2");
    p.send(names.a(), "answering", "1", "m3");
    all = p.hear(7);
    EXPECT_EQ(all[4].properties.type, contract::type_taken);
    EXPECT_EQ(all[5].properties.message_id, "m2/0") << "an answer tells that it is done";
    EXPECT_EQ(all[6].properties.message_id, "m3/0");
}

TEST(conversation, what_the_aggregator_tells_is_for_those_who_know_it) {
    const channels names;
    worker w(options(names));
    std::vector<std::string> seen;
    w.on(names.a(), "", [&](request& r) {
        seen.push_back("any: " + std::string(r.type()));
        r.reply("1");
    });
    w.on(names.b(), "foz.opened", [&](request& r) { seen.push_back("opened: " + std::string(r.client())); });
    w.on(names.b(), "foz.join", [&](request& r) { r.reply(R"({"allow":true})"); });
    peer p(names);
    running r(w);
    for (const char* type : {"foz.opened", "foz.closed"}) {
        auto told = p.request_from("ann", names.a(), type, "null", type);
        told.properties.reply_to.reset();
        p.publish(told);
    }
    p.send(names.a(), "foz.join", "{}", "m1");
    EXPECT_EQ(amqp::as_string(p.hear(1)[0].properties.headers->find(contract::header_error)), "unknown_type");
    p.send(names.a(), "x", "{}", "m2");
    p.hear(2);
    p.send(names.b(), "foz.opened", "null", "m3");
    p.send(names.b(), "foz.join", "{}", "m4");
    EXPECT_EQ(p.hear(3)[2].body, R"({"allow":true})");
    r.stop();
    EXPECT_EQ(seen, (std::vector<std::string>{"any: x", "opened: ann"}));
    EXPECT_EQ(w.counters().handled, 6u);
}

TEST(conversation, a_worker_decides_who_comes_in) {
    const channels names;
    worker w(options(names));
    EXPECT_THROW(w.on_connect("nowhere", {}), std::invalid_argument);
    std::atomic<int> notices = 0;
    w.on_notice([&](const std::string& text) { notices += text.find("no database") != std::string::npos; });
    w.on_connect(names.a(), [](const connect_question& asked) {
        const auto ticket = asked.query.find("ticket");
        if (ticket == asked.query.end()) throw std::runtime_error("no database");
        if (ticket->second == "1") return connect_decision::allow(R"({"sub":"ann"})");
        return connect_decision::deny("no seat", "full");
    });
    peer p(names);
    const running r(w);
    p.send(names.a(), "foz.connect", R"({"query":{"ticket":"1"}})", "q1");
    EXPECT_EQ(p.hear(1)[0].body, R"({"allow":true,"claims":{"sub":"ann"}})");
    p.send(names.a(), "foz.connect", R"({"query":{"ticket":"2"}})", "q2");
    const heard denied = p.hear(2)[1];
    EXPECT_EQ(denied.body, R"({"allow":false,"code":"full","text":"no seat"})");
    EXPECT_EQ(denied.properties.correlation_id, "c-q2");
    p.send(names.a(), "foz.connect", R"({"query":{}})", "q3");
    p.send(names.a(), "foz.connect", "null", "q4");
    const auto all = p.hear(4);
    EXPECT_EQ(amqp::as_string(all[2].properties.headers->find(contract::header_error)), "not_decided")
        << "it is told at once, and not tried again";
    EXPECT_EQ(amqp::as_string(all[3].properties.headers->find(contract::header_error)), "bad_message");
    EXPECT_EQ(notices, 1);
}

// A second run's parts have a higher attempt, and ids of their own; those of a run that can be repeated have the same.
TEST(conversation, an_answer_comes_in_parts_and_again_when_the_handler_runs_again) {
    for (const bool repeat : {false, true}) {
        const channels names;
        worker w(options(names));
        w.on(names.a(), "", [&](request& r) {
            if (repeat) r.part_again();
            r.part("0");
            r.part("1");
            if (r.attempt() == 1) throw std::runtime_error("in the middle");
            r.part("2");
            r.reply("\"end\"");
            EXPECT_THROW(r.part("3"), std::logic_error);
        });
        peer p(names);
        const running r(w);
        p.send(names.a(), "x", "null", "m1");
        const auto all = p.hear(6);
        ASSERT_EQ(all.size(), 6u);
        std::vector<std::string> said;
        for (const heard& one : all) {
            EXPECT_EQ(one.properties.correlation_id, "c-m1");
            said.push_back(*one.properties.message_id + " " + one.body);
            if (one.properties.type != "foz.part") continue;
            EXPECT_EQ(number_header(one, "foz-attempt"), !repeat && said.size() > 2 ? 2 : 1);
            EXPECT_EQ(std::to_string(*number_header(one, "foz-seq")), one.body);
        }
        const std::string second = repeat ? "m1/1/" : "m1/2/";
        EXPECT_EQ(said, (std::vector<std::string>{"m1/1/0 0", "m1/1/1 1", second + "0 0", second + "1 1",
                                                  second + "2 2", "m1/0 \"end\""}));
    }
}

TEST(conversation, who_awaits_no_answer_hears_no_parts) {
    const channels names;
    worker w(options(names));
    w.on(names.a(), "", [](request& r) {
        r.part("0");
        r.broadcast("1");
    });
    peer p(names);
    const running r(w);
    auto message = p.request_from("ann", names.a(), "x", "null", "m1");
    message.properties.reply_to.reset();
    p.publish(std::move(message));
    EXPECT_EQ(p.hear(1)[0].body, "1");
}

TEST(ask, the_first_answer_of_the_client_counts) {
    const channels names;
    worker w(options(names));
    w.on(names.a(), "", [](request& r) {
        const answer first = r.ask("ann", R"({"sure":true})", 10s, {.topic = "t", .type = "confirm"});
        const answer second = r.ask("session:s1", "2", 10s);
        r.reply("[" + first.value_or("null") + "," + second.value_or("null") + "]");
    });
    peer p(names);
    const running r(w);
    p.send(names.a(), "x", "1", "m1");
    const heard question = p.hear(1)[0];
    EXPECT_EQ(question.exchange, contract::outbound_exchange);
    EXPECT_EQ(question.routing_key, names.a() + ".t");
    EXPECT_EQ(question.properties.type, "confirm");
    EXPECT_EQ(question.properties.expiration, "10000");
    EXPECT_TRUE(question.properties.timestamp);
    EXPECT_TRUE(question.properties.message_id);
    EXPECT_EQ(question.body, R"({"sure":true})");
    EXPECT_EQ(contract::parse_receivers(question.properties.headers->find(contract::header_direct)),
              std::vector<std::string>{"ann"});
    p.answer(question, "\"yes\"");
    p.answer(question, "\"no\"");
    const heard next = p.hear(2)[1];
    EXPECT_NE(next.properties.correlation_id, question.properties.correlation_id);
    p.answer(question, "\"late\"");
    p.answer(next, "2");
    EXPECT_EQ(p.hear(3)[2].body, R"(["yes",2])");
}

TEST(ask, nothing_comes_when_nobody_answers_in_time) {
    const channels names;
    worker w(options(names));
    w.on(names.a(), "", [](request& r) {
        const auto begin = std::chrono::steady_clock::now();
        const answer none = r.ask("ann", "1", 200ms);
        EXPECT_GE(std::chrono::steady_clock::now() - begin, 200ms);
        r.reply(none.value_or("\"nothing\""));
    });
    peer p(names);
    const running r(w);
    p.send(names.a(), "x", "1", "m1");
    EXPECT_EQ(p.hear(2)[1].body, "\"nothing\"");
}

TEST(ask, a_stop_ends_it_and_the_handler_can_still_answer) {
    const channels names;
    peer p(names);
    worker w(options(names));
    w.on(names.a(), "", [](request& r) {
        const answer none = r.ask("ann", "1", 10min);
        const answer late = r.ask("ann", "1", 10min);
        r.reply(none || late ? "1" : "\"nothing\"");
    });
    running r(w);
    p.send(names.a(), "x", "1", "m1");
    p.hear(1);
    r.stop();
    EXPECT_EQ(p.hear(2)[1].body, "\"nothing\"");
    EXPECT_EQ(w.counters().handled, 1u);
}

TEST(ask, a_lost_connection_ends_it_and_the_next_question_is_answered) {
    const channels names;
    relay between;
    peer p(names);
    worker_options all = options(names);
    all.broker_urls = {between.url()};
    worker w(all);
    std::atomic<int> runs = 0;
    w.on(names.a(), "", [&](request& r) {
        ++runs;
        const answer none = r.ask("ann", "1", 10min);
        const answer again = r.ask("ann", "2", 30s);
        r.reply("[" + none.value_or("null") + "," + again.value_or("null") + "]");
    });
    const running r(w);
    p.send(names.a(), "x", "1", "m1");
    const heard question = p.hear(1)[0];
    between.cut();
    // Cut before its confirm had come, the first question is published again: the same message, by its id.
    const bool repeated = p.hear(2)[1].properties.message_id == question.properties.message_id;
    const std::size_t before = repeated ? 2 : 1;
    // Through a queue with another name: an answer to the first question can't reach the second one.
    const heard next = p.hear(before + 1)[before];
    EXPECT_NE(next.properties.reply_to, question.properties.reply_to);
    p.answer(next, "3");
    EXPECT_EQ(p.hear(before + 2)[before + 1].body, "[null,3]");
    EXPECT_EQ(runs, 1) << "it was delivered again, and answered from memory";
}

}  // namespace foz::service
