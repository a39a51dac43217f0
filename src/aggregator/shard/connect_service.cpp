#include "aggregator/shard/connect_service.hpp"

#include "identity/connect_answer.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace foz::aggregator {
namespace {

constexpr std::uint64_t retry_ms = 2'000;

client_error for_now(const char* reason, std::string text) {
    client_error error{error_code::unavailable, std::move(text)};
    error.reason = reason;
    error.retry_after_ms = retry_ms;
    return error;
}

client_error denied(identity::connect_answer with) {
    client_error error{error_code::denied, std::move(with.text)};
    if (error.message.empty()) error.message = "this client may not come in";
    error.reason = std::move(with.code);
    return error;
}

std::size_t index_of(const settings& all) {
    const auto at = std::ranges::find(all.channels, all.connect.channel, &contract::channel_settings::name);
    return static_cast<std::size_t>(at - all.channels.begin());
}

}  // namespace

connect_service::connect_service(amqp::client& consume, amqp::client& publish, const settings& all,
                                 const token_gate& tokens, listener tell)
    : settings_(all),
      tokens_(tokens),
      tell_(std::move(tell)),
      channel_(index_of(all)),
      home_(consume.home()),
      places_(std::make_shared<net::slot_pool>(all.connect.questions_max)),
      addresses_({.connections_max = all.connect.address_questions_max, .arrivals_per_second = 0}, places_),
      questions_(consume, publish, all, {.on_ready = tell_.on_ready, .on_lost = tell_.on_lost}) {}

net::slot connect_service::take_place(const boost::asio::ip::address& from, steady_time now) {
    net::slot place = net::slot::take(places_);
    if (!place) return place;
    const auto of_address = addresses_.arrive(from, now);
    if (!of_address || !place.nest(*of_address)) place.release();
    return place;
}

client_error connect_service::too_many_open() {
    ++too_many_;
    client_error error{error_code::overloaded, "too many clients wait to be let in"};
    error.retry_after_ms = retry_ms;
    return error;
}

client_error connect_service::no_service() {
    ++no_service_;
    return for_now("no_service", "the service that lets clients in is not there");
}

void connect_service::ask(net::shard& back, std::string question, net::slot place, on_outcome done) {
    home_.post([this, &back, question = std::move(question), place = std::move(place),
                done = std::move(done)]() mutable {
        ++counters_.asked;
        questions_.ask(std::move(question), [this, &back, place = std::move(place),
                                             done = std::move(done)](const connect_questions::answer& answer) mutable {
            place.release();
            back.post([done = std::move(done), said = judge(answer)]() mutable { done(std::move(said)); });
        });
    });
}

connect_service::outcome connect_service::judge(const connect_questions::answer& answer) {
    if (!answer) return std::unexpected(fail(answer.error()));
    auto judged = judge_text(*answer);
    if (judged) {
        ++counters_.allowed;
    } else if (!judged.error().retry_after_ms) {
        ++counters_.denied;
    } else {
        ++counters_.bad_answer;
    }
    return judged;
}

connect_service::outcome connect_service::judge_text(const std::string& answer) {
    const wall_time now = home_.time().wall_now();
    const auto not_understood = [this](const std::string& why) {
        tell_.on_notice("the connect service's answer can't be understood, " + why);
        return std::unexpected(for_now("bad_answer", "the answer about this client can't be understood"));
    };
    const identity::connect_rules rules{.client_prefix = settings_.connect.client_prefix,
                                        .leeway = settings_.connect.leeway};
    auto said = identity::parse_connect_answer(answer, rules, std::chrono::floor<std::chrono::seconds>(now));
    if (!said) return not_understood(said.error());
    if (!said->allow) return std::unexpected(denied(*std::move(said)));
    auto client = tokens_.describe(said->claims, now);
    if (!client) return not_understood("claims: " + std::string(code_of(client.error())));
    return *std::move(client);
}

client_error connect_service::fail(no_connect_answer why) {
    const std::string& channel = settings_.connect.channel;
    switch (why) {
        case no_connect_answer::unavailable:
            ++counters_.unavailable;
            return for_now("unavailable", "the broker can't be reached");
        case no_connect_answer::unroutable:
            ++counters_.unavailable;
            tell_.on_notice("nobody can be let in: no queue takes questions for the connect service, channel " +
                            channel);
            return for_now("unavailable", "no queue takes questions about clients");
        case no_connect_answer::silence:
            ++counters_.no_answer;
            tell_.on_notice("the connect service has not answered in time, channel " + channel);
            return for_now("no_answer", "the service that lets clients in has not answered in time");
        case no_connect_answer::failure:
            ++counters_.failed;
            tell_.on_notice("the connect service has failed to answer, channel " + channel);
            return for_now("failed", "the service that lets clients in has failed to answer");
    }
    std::unreachable();
}

connect_counters connect_service::counters() const {
    connect_counters now = counters_;
    now.too_many = too_many_;
    now.no_service = no_service_;
    now.late = questions_.late();
    now.open = places_->used();
    return now;
}

}  // namespace foz::aggregator
