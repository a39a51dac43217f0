#include "services/service.hpp"

#include "amqp/codec/property_view.hpp"
#include "base/json.hpp"
#include "contract/names.hpp"
#include "contract/receivers.hpp"

#include <utility>

#include <simdjson.h>

namespace foz::sim {
namespace {

// What a message wants done.
struct task {
    std::int64_t number = 0;
    std::string to;  // "all", "group:g", "client:c"; empty: nobody
    std::string topic;
    std::string group;  // of foz.join
    bool refuse = false;
    bool poison = false;
    std::size_t octets = 0;  // of what is said
};

task read_task(std::string_view body) {
    static thread_local simdjson::dom::parser parser;
    task made;
    simdjson::dom::element json;
    if (parser.parse(body.data(), body.size()).get(json) != simdjson::SUCCESS || !json.is_object()) return made;
    std::string_view text;
    std::int64_t number = 0;
    if (json["n"].get(number) == simdjson::SUCCESS) made.number = number;
    bool flag = false;
    if (json["to"].get(text) == simdjson::SUCCESS) made.to = text;
    if (json["topic"].get(text) == simdjson::SUCCESS) made.topic = text;
    if (json["group"].get(text) == simdjson::SUCCESS) made.group = text;
    made.refuse = json["refuse"].get(flag) == simdjson::SUCCESS && flag;
    made.poison = json["poison"].get(flag) == simdjson::SUCCESS && flag;
    std::uint64_t octets = 0;
    if (json["octets"].get(octets) == simdjson::SUCCESS) made.octets = octets;
    return made;
}

}  // namespace

service::life::life(service& h)
    : home(h),
      consuming(h.around_, h, h.name() + " consume", [this] { out.end_turn(); }),
      publishing(h.around_, h, h.name() + " publish", [this] { out.end_turn(); }),
      out(h.around_, h, publishing, h.found_, h.name(), [this] { out.end_turn(); }) {}

service::service(environment& around, oracle& judge, findings& found, std::size_t channel, unsigned number,
                 service_store& store)
    : process(around.time, around.with.channels[channel].name + "-service" + std::to_string(number)),
      around_(around),
      oracle_(judge),
      found_(found),
      channel_(channel),
      store_(store) {}

service::~service() = default;

void service::on_start() {
    around_.log.say(name(), "starts");
    run_ = std::make_unique<life>(*this);
    run_->consuming.add(*this);
    run_->consuming.start();
    run_->publishing.start();
}

void service::on_kill() {
    around_.log.say(name(), "is killed");
    ++counters_.crashes;
    number_ = 0;
    ++opening_;
    waiting_.clear();
    busy_ = false;
    run_.reset();
}

void service::begin() {
    // A prefetch of 1 is the SDK's default: what a crash loop gives back is one message.
    number_ = run_->consuming.consume(
        *this, {.queue = around_.with.channels[channel_].in_queue(), .prefetch = 1, .arguments = {}});
}

void service::lost() {
    number_ = 0;
    ++opening_;
    waiting_.clear();
}

void service::on_closed(std::uint32_t channel) {
    if (channel != number_) return;
    lost();
    after(std::chrono::milliseconds(500), [this] {
        if (number_ == 0 && run_->consuming.live()) begin();
    });
}

void service::on_delivery(std::uint32_t channel, const delivered& one) {
    if (channel != number_) return;
    ++counters_.taken;
    if (one.redelivered) ++counters_.redelivered;
    work made{.from = one, .properties = amqp::decode_properties(one.what->properties())};
    made.id = made.properties.message_id.value_or("");
    waiting_.push_back(std::move(made));
    next();
}

void service::next() {
    if (busy_ || waiting_.empty()) return;
    busy_ = true;
    after(around_.random.services.between(around_.with.work_min, around_.with.work_max), [this] { handle(); });
}

bool service::crashes(const char* where) {
    if (!around_.random.services.chance(around_.with.service_crash_permille)) return false;
    around_.log.say(name(), "crashes {}", where);
    kill();
    around_.time.after(around_.random.services.between(std::chrono::milliseconds(50), std::chrono::milliseconds(2'000)),
                       [this] { start(); });
    return true;
}

// The handler runs and its effects are stored, in one step, as in a transaction.
void service::handle() {
    if (waiting_.empty()) {  // the connection went meanwhile
        busy_ = false;
        return;
    }
    if (crashes("before it has done anything")) return;
    work& now = waiting_.front();
    const task what = read_task(now.from.what->body());
    now.number = what.number;
    const auto limit = around_.with.channels[channel_].delivery_limit;
    if (limit >= 0 && now.from.returns + 1 >= static_cast<std::uint32_t>(limit)) oracle_.excuse(what.number);
    if (what.poison) {
        oracle_.excuse(what.number);
        around_.log.say(name(), "dies of message {}", what.number);
        kill();
        around_.time.after(std::chrono::milliseconds(300), [this] { start(); });
        return;
    }
    const auto [at, fresh] = store_.by_id.try_emplace(now.id);
    if (fresh) {
        ++counters_.handled;
        at->second.said = answer_to(now);
        around_.log.say(name(), "has handled {} ({})", what.number, now.id);
        const auto client =
            amqp::as_string(now.properties.headers ? now.properties.headers->find(contract::header_client) : nullptr);
        oracle_.handled(what.number, channel_, std::string(client.value_or("")));
    } else {
        ++counters_.repeated;
    }
    if (crashes("before it has said anything")) return;
    tell();
}

// Says what was stored, until the broker has it all; then the message is acknowledged.
void service::tell() {
    if (waiting_.empty()) {
        busy_ = false;
        return;
    }
    work& now = waiting_.front();
    std::vector<amqp::publication> said = store_.by_id[now.id].said;
    // Whoever asks again may wait elsewhere: the answer goes where it is wanted now.
    for (amqp::publication& one : said)
        if (one.exchange.empty() && now.properties.reply_to) {
            one.routing_key = *now.properties.reply_to;
            one.properties.correlation_id = now.properties.correlation_id;
        }
    if (said.empty()) return settle();
    untold_ = said.size();
    const std::uint32_t opening = opening_;
    const auto failed = std::make_shared<bool>(false);
    for (amqp::publication& one : said)
        publish(std::move(one), std::chrono::seconds(5), [this, opening, failed](bool good) {
            if (!good) *failed = true;
            if (--untold_ > 0) return;
            const bool again = *failed;
            after({}, [this, opening, again] {
                if (opening != opening_) {
                    busy_ = false;
                    return next();
                }
                again ? tell() : settle();
                if (run_) run_->out.end_turn();
            });
        });
    run_->out.end_turn();
}

// As the SDK: what no queue has taken although one is declared for it is not said yet.
void service::publish(amqp::publication what, duration within, std::move_only_function<void(bool)> then) {
    const bool has_queue = contract::stream_of(around_.with.channels, what.exchange, what.routing_key) != nullptr;
    what.mandatory = has_queue;
    std::string id = has_queue ? what.properties.message_id.value_or("") : "";
    run_->out.submit(std::move(what), {.has_queue = has_queue, .deadline = around_.time.now() + within},
                     [this, id = std::move(id), then = std::move(then)](amqp::outcome result) mutable {
                         if (result == amqp::outcome::confirmed && !id.empty()) oracle_.told_confirmed(*this, id);
                         if (then) then(result == amqp::outcome::confirmed || result == amqp::outcome::invalid);
                     });
}

void service::settle() {
    if (crashes("before it acknowledges")) return;
    if (!waiting_.empty() && number_ != 0) {
        store_.by_id[waiting_.front().id].sent = true;
        run_->consuming.live()->ack(number_, waiting_.front().from.tag, false);
        waiting_.pop_front();
    }
    busy_ = false;
    next();
}

amqp::publication service::reply(const work& what, std::string body) const {
    amqp::publication made;
    made.routing_key = *what.properties.reply_to;
    made.properties.content_type = "application/json";
    made.properties.delivery_mode = 2;
    made.properties.correlation_id = what.properties.correlation_id;
    made.properties.message_id = what.id + "/reply";
    made.body = std::move(body);
    return made;
}

std::vector<amqp::publication> service::answer_to(const work& what) const {
    const task asked = read_task(what.from.what->body());
    std::vector<amqp::publication> said;
    const std::string& type = what.properties.type.value_or("");
    if (type == contract::type_join) {
        // Groups whose name ends with x are closed.
        said.push_back(reply(what, asked.group.ends_with('x') ? R"({"allow":false})" : R"({"allow":true})"));
        return said;
    }
    if (type.starts_with(contract::reserved_type_prefix)) return said;
    if (!asked.to.empty()) {
        amqp::publication out;
        out.exchange = contract::outbound_exchange;
        out.routing_key = around_.with.channels[channel_].name + (asked.topic.empty() ? "" : "." + asked.topic);
        out.properties.delivery_mode = 2;
        out.properties.timestamp = static_cast<std::uint64_t>(unix_ms(around_.time.wall_now()).count() / 1000);
        out.properties.message_id = what.id + "/0";
        amqp::table& headers = out.properties.headers.emplace();
        if (asked.to == "all") headers.set(contract::header_broadcast, true);
        if (asked.to.starts_with("group:"))
            headers.set(contract::header_multicast, contract::encode_receivers(std::vector{asked.to.substr(6)}));
        if (asked.to.starts_with("client:"))
            headers.set(contract::header_direct, contract::encode_receivers(std::vector{asked.to.substr(7)}));
        out.body = "{\"n\":" + std::to_string(asked.number) + ",\"pad\":\"" + std::string(asked.octets, 'x') + "\"}";
        said.push_back(std::move(out));
    }
    if (what.properties.reply_to) {
        said.push_back(reply(what, "{\"n\":" + std::to_string(asked.number) + "}"));
        if (asked.refuse) said.back().properties.headers.emplace().set(contract::header_error, "no_thanks");
    }
    return said;
}

void service::say(amqp::publication what) {
    if (!run_ || !running()) return;
    publish(std::move(what), std::chrono::seconds(10), {});
    run_->out.end_turn();
}

}  // namespace foz::sim
