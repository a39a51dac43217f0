#include "clients/client.hpp"

#include "base/json.hpp"
#include "oracle/oracle.hpp"
#include "primus/packet.hpp"
#include "ws/codec/writer.hpp"

#include <algorithm>
#include <utility>

namespace foz::sim {
namespace {

constexpr std::chrono::milliseconds connect_timeout{10'000};
constexpr std::chrono::milliseconds pause_max{3'000};
// Primus' client waits so much longer than the server's interval for a ping.
constexpr std::chrono::seconds ping_grace{15};

}  // namespace

client::client(environment& around, oracle& judge, std::vector<aggregator_process*> to, unsigned index,
               std::string identity)
    : process(around.time, "client" + std::to_string(index)),
      around_(around),
      oracle_(judge),
      to_(std::move(to)),
      index_(index),
      identity_(std::move(identity)) {}

client::~client() {
    if (link_) link_->set(ws_link::side::client, nullptr);
}

std::optional<std::size_t> client::channel_of(const std::string& name) const {
    for (std::size_t i = 0; i < around_.with.channels.size(); ++i)
        if (around_.with.channels[i].name == name) return i;
    return std::nullopt;
}

void client::on_start() {
    connect();
}

void client::connect() {
    if (state_ != state::closed) return;
    state_ = state::connecting;
    closed_by_peer_ = false;
    const std::uint32_t attempt = ++attempt_;
    // A balancer that knows nothing.
    home_ = to_[around_.random.clients.pick(to_.size())];
    link_ = std::make_shared<ws_link>(around_, *this, *home_);
    link_->set(ws_link::side::client, this);
    around_.links.push_back(link_);
    parser_ = std::make_unique<ws::parser>(ws::role::client, ws::parser_limits{.message_bytes_max = 64 << 20});
    if (!home_->up()) {
        link_->cut(std::chrono::milliseconds(2), {});
    } else {
        link_->call(ws_link::side::client, 300,
                    [link = link_, asked = greeting(), home = home_, this] { home->accept(link, asked, *this); });
    }
    after(connect_timeout, [this, attempt] {
        if (attempt == attempt_ && state_ == state::connecting) lose(true);
    });
}

void client::on_accepted() {
    state_ = state::open;
    failures_ = 0;
    ++sessions_;
    heard_at_ = open_since_ = around_.time.now();
    around_.log.say(name(), "is connected to {} as {}", home_->name(), identity_);
    oracle_.session_begins(*this);
    note("open", "");
    // Primus flushes what was written meanwhile before its `open` event.
    for (std::string& frame : std::exchange(buffer_, {})) send_text(frame);
    on_opened();
    watch_silence();
}

void client::on_refused() {
    lose(true);
}

void client::on_end() {
    link_->set(ws_link::side::client, nullptr);
    lose(!stay_away_);
}

void client::lose(bool come_back) {
    const bool was_open = state_ == state::open;
    ++attempt_;
    link_->set(ws_link::side::client, nullptr);
    link_->close(ws_link::side::client);
    state_ = come_back ? state::closed : state::given_up;
    if (was_open) {
        around_.log.say(name(), "has lost its socket");
        oracle_.session_ends(*this);
        note("close", "");
        on_lost();
    }
    if (!come_back) return;
    const duration base = first_pause();
    const duration pause = std::min<duration>(pause_max, base * (1 << std::min(failures_++, 6U)));
    after(pause, [this, attempt = attempt_] {
        if (attempt == attempt_) connect();
    });
}

void client::watch_silence() {
    const duration patience = around_.with.ping_interval + ping_grace;
    after(heard_at_ + patience - around_.time.now(), [this, attempt = attempt_, patience] {
        if (attempt != attempt_ || state_ != state::open) return;
        if (around_.time.now() - heard_at_ >= patience) return lose(true);
        watch_silence();
    });
}

void client::stop_reading(duration span) {
    if (!link_ || !open()) return;
    link_->pause(ws_link::side::client, true);
    around_.time.after(span, [link = link_] { link->pause(ws_link::side::client, false); });
}

void client::write(std::string frame) {
    if (state_ == state::open) return send_text(frame);
    buffer_.push_back(std::move(frame));
}

void client::send_text(std::string_view text) {
    note("send", text);
    around_.log.say(name(), "sends {}", text.substr(0, 300));
    std::string frame;
    const std::uint64_t mask = around_.random.clients.next();
    ws::append_masked_frame(frame, ws::opcode::text, text,
                            {static_cast<char>(mask), static_cast<char>(mask >> 8), static_cast<char>(mask >> 16),
                             static_cast<char>(mask >> 24)});
    link_->send(ws_link::side::client, frame);
}

void client::on_octets(std::string& octets) {
    heard_at_ = around_.time.now();
    const auto keep = link_;
    // It may be replaced by what comes of it.
    const auto failure = parser_->feed(octets, *this);
    if (failure) oracle_.found().add(invariant::protocol, "{} gets a bad frame: {}", name(), failure->text);
    if (closed_by_peer_ && state_ == state::open && keep == link_) on_end();
}

void client::on_message(ws::opcode, std::string_view payload) {
    if (state_ != state::open) return;
    const auto frame = read_frame(payload);
    if (!frame) return oracle_.found().add(invariant::protocol, "{} gets what is no JSON: {}", name(), payload);
    oracle_.hears_something(*this);
    note("recv", payload);
    around_.log.say(name(), "hears {}", payload.substr(0, 300));
    switch (frame->what) {
        case heard::kind::ping: {
            std::string pong;
            primus::append_pong(pong, std::stoull(frame->control));
            return send_text(pong);
        }
        case heard::kind::server_close:
            stay_away_ = true;
            return;
        default:
            return on_heard(*frame);
    }
}

void add(aggregator::interest& to, const aggregator::interest& what) {
    to.broadcast |= what.broadcast;
    to.direct |= what.direct;
    to.own_name |= what.own_name;
    to.all_topics |= what.all_topics;
    to.groups.insert(what.groups.begin(), what.groups.end());
    to.topics.insert(what.topics.begin(), what.topics.end());
}

std::string consume_frame(const std::string& channel, const std::string& id, const aggregator::interest& what,
                          const std::string& own_name, const std::string& from) {
    std::string out = R"({"packet_action":"consume","channel":)" + json_string(channel);
    if (!id.empty()) out += ",\"id\":" + json_string(id);
    const auto list = [&out](const auto& names) {
        bool first = true;
        out += '[';
        for (const auto& name : names) {
            if (!std::exchange(first, false)) out += ',';
            append_json_string(out, name);
        }
        out += ']';
    };
    if (!what.all_topics) {
        out += ",\"consume_target\":";
        list(what.topics);
    }
    const bool usual = what.broadcast && what.direct && what.own_name && what.groups.empty();
    if (!usual) {
        out +=
            std::string(",\"distribution\":{\"broadcast\":") + (what.broadcast ? "true" : "false") + ",\"multicast\":";
        std::vector<std::string> groups;
        if (what.own_name) groups.push_back(own_name);
        groups.insert(groups.end(), what.groups.begin(), what.groups.end());
        list(groups);
        out += ",\"direct\":";
        list(what.direct ? std::vector<std::string>{own_name} : std::vector<std::string>{});
        out += '}';
    }
    if (!from.empty()) out += ",\"from\":" + json_string(from);
    return out + '}';
}

}  // namespace foz::sim
