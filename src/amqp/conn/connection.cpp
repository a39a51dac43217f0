#include "amqp/conn/connection.hpp"

#include "amqp/codec/encode.hpp"

#include <algorithm>
#include <utility>

namespace foz::amqp {
namespace {

constexpr std::chrono::milliseconds close_timeout = std::chrono::seconds(2);
constexpr std::chrono::milliseconds look_every{500};  // whether the peer's system is there
// AMQP 0-9-1 §4.2.7: a peer is dead after two intervals of silence. Looked at twice an interval.
constexpr unsigned silent_beats_max = 4;

table client_properties(const std::string& name) {
    table capabilities{{"basic.nack", true},
                       {"consumer_cancel_notify", true},
                       {"connection.blocked", true},
                       {"authentication_failure_close", true},
                       {"exchange_exchange_bindings", true},
                       {"publisher_confirms", true}};
    table properties{{"product", "foz"}, {"platform", "C++"}, {"capabilities", std::move(capabilities)}};
    if (!name.empty()) properties.set("connection_name", name);
    return properties;
}

// In both the proposal and our own limit 0 means "no limit".
template <class T>
T lower(T theirs, T ours) {
    return theirs == 0 ? ours : ours == 0 ? theirs : std::min(theirs, ours);
}

bool has_word(std::string_view list, std::string_view word) {
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(' '), list.size());
        if (list.substr(0, end) == word) return true;
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return false;
}

}  // namespace

connection::connection(std::shared_ptr<net::stream> stream, connection_options options, connection_handler& handler)
    : stream_(std::move(stream)),
      options_(std::move(options)),
      handler_(handler),
      parser_(role::client),
      frame_max_(options_.frame_max),
      channel_max_(options_.channel_max) {}

connection::~connection() {
    if (stream_->open()) stream_->abort();  // otherwise it is writing its last words
}

void connection::start() {
    limit_timer_.start(home().wheel(), options_.handshake_timeout);
    stream_->write_first();
    stream_->expect_acknowledgement(options_.unacknowledged_max);
    if (options_.unacknowledged_max.count() > 0) peer_timer_.start(home().wheel(), look_every);
    stream_->start(*this);
    stream_->write(protocol_header_octets);
}

void connection::close() {
    if (state_ == state::closed || state_ == state::closing) return;
    if (state_ != state::open) return end({errc::stopped, 0, "closed before it was open"});
    state_ = state::closing;
    connection_close closing;
    closing.reply_code = static_cast<std::uint16_t>(reply_code::reply_success);
    closing.reply_text = "bye";
    (void)flush(encode_method(scratch_, 0, closing));
    limit_timer_.start(home().wheel(), close_timeout);
}

void connection::abandon(const error& why) {
    end(why);
}

std::optional<std::uint16_t> connection::attach(channel_port& port) {
    // Numbers are taken in turn, so that one that was just closed rests as long as possible.
    for (std::uint32_t tries = 0; tries < channel_max_; ++tries) {
        last_number_ = last_number_ >= channel_max_ ? 1 : static_cast<std::uint16_t>(last_number_ + 1);
        const bool free = slots_.try_emplace(last_number_, &port, options_.content_bytes_max).second;
        if (!free) continue;
        return last_number_;
    }
    return std::nullopt;
}

void connection::detach(std::uint16_t number, bool send_close) {
    const auto at = slots_.find(number);
    if (at == slots_.end()) return;
    at->second.port = nullptr;
    if (!send_close || state_ != state::open) {
        slots_.erase(at);
        return;
    }
    channel_close closing;
    closing.reply_code = static_cast<std::uint16_t>(reply_code::reply_success);
    (void)flush(encode_method(scratch_, number, closing));
}

result<void> connection::send(std::uint16_t number, const method& m) {
    return flush(encode_method(scratch_, number, m, frame_max_));
}

result<void> connection::send_content(std::uint16_t number, const basic_publish& target,
                                      const basic_properties& properties, std::string_view body) {
    return flush(encode_content(scratch_, {number, frame_max_}, target, properties, body));
}

result<void> connection::flush(std::expected<void, wire_error> encoded) {
    if (encoded) {
        stream_->write(scratch_);
        sent_since_beat_ = true;
    }
    scratch_.clear();
    if (!encoded) return std::unexpected(error{errc::encoding, 0, std::string(to_string(encoded.error()))});
    return {};
}

void connection::on_octets(std::span<char> octets) {
    const auto keep = shared_from_this();
    silent_beats_ = 0;
    std::string_view input(octets.data(), octets.size());
    for (;;) {
        const auto next = parser_.next(input);
        if (!next) return protocol_failure(next.error());
        if (!*next || !on_frame(**next)) return;
    }
}

bool connection::on_frame(const frame& received) {
    if (received.type == frame_type::heartbeat) return true;
    const auto at = slots_.find(received.channel);
    if (received.channel != 0 && at == slots_.end()) {
        protocol_failure({reply_code::channel_error, "a frame on a channel that is not open"});
        return false;
    }
    // Channel 0 has no slot and no content; an assembler of its own decodes its methods.
    content_assembler& assembler = received.channel == 0 ? own_assembler_ : at->second.assembler;
    const auto whole = assembler.feed(received);
    if (!whole) {
        protocol_failure(whole.error());
        return false;
    }
    if (!*whole) return true;
    if (received.channel == 0) {
        on_connection_method((*whole)->method);
    } else {
        on_channel_message(received.channel, at->second, **whole);
    }
    return state_ != state::closed;
}

void connection::on_connection_method(method& received) {
    if (const auto* closing = std::get_if<connection_close>(&received)) {
        (void)flush(encode_method(scratch_, 0, connection_close_ok{}));
        return end({state_ == state::open ? errc::connection_closed : errc::connect_failed, closing->reply_code,
                    closing->reply_text, closing->failing_class_id, closing->failing_method_id});
    }
    if (std::holds_alternative<connection_close_ok>(received) && state_ == state::closing)
        return end({errc::stopped, 0, "closed"});
    if (state_ == state::closing) return;
    if (const auto* blocked = std::get_if<connection_blocked>(&received)) return on_blocked(true, blocked->reason);
    if (std::holds_alternative<connection_unblocked>(received)) return on_blocked(false, {});
    if (const auto* offered = std::get_if<connection_start>(&received); offered && state_ == state::starting)
        return on_start(*offered);
    if (const auto* offered = std::get_if<connection_tune>(&received); offered && state_ == state::tuning)
        return on_tune(*offered);
    if (std::holds_alternative<connection_open_ok>(received) && state_ == state::opening) {
        state_ = state::open;
        limit_timer_.cancel();
        if (heartbeat_.count() > 0) beat_timer_.start(home().wheel(), heartbeat_ / 2);
        return handler_.on_open(*this);
    }
    protocol_failure({reply_code::command_invalid, "a connection method out of turn"});
}

void connection::on_start(const connection_start& offered) {
    answered_ = true;
    const std::string mechanism = options_.external ? "EXTERNAL" : "PLAIN";
    if (!has_word(offered.mechanisms, mechanism))
        return end({errc::connect_failed, 0,
                    "the broker does not offer " + mechanism + " authentication, but " + offered.mechanisms});
    server_properties_ = offered.server_properties;
    connection_start_ok answer;
    answer.client_properties = client_properties(options_.name);
    answer.mechanism = mechanism;
    // RFC 4616; RFC 4422 §A: no other identity than the certificate's.
    if (!options_.external)
        answer.response = std::string("\0", 1) + options_.user + std::string("\0", 1) + options_.password;
    answer.locale = "en_US";
    state_ = state::tuning;
    if (const auto sent = flush(encode_method(scratch_, 0, answer)); !sent)
        end({errc::connect_failed, 0, "user, password or connection name: " + sent.error().text});
}

// A broker that blocks stops reading: its window may stay 0 for hours, and the system would take that for the end.
void connection::on_blocked(bool is, const std::string& reason) {
    using namespace std::chrono_literals;
    stream_->expect_acknowledgement(is ? 0ms : options_.unacknowledged_max);
    handler_.on_blocked(*this, is, reason);
}

void connection::on_tune(const connection_tune& offered) {
    const auto ours = std::chrono::ceil<std::chrono::seconds>(options_.heartbeat).count();
    connection_tune_ok answer;
    answer.channel_max = channel_max_ = lower<std::uint16_t>(offered.channel_max, options_.channel_max);
    answer.frame_max = frame_max_ = lower<std::uint32_t>(offered.frame_max, options_.frame_max);
    // Either side may switch heartbeats off by proposing 0; the lower of two others counts (RabbitMQ's clients' rule).
    answer.heartbeat = static_cast<std::uint16_t>(std::min<long>(offered.heartbeat, static_cast<long>(ours)));
    if (offered.heartbeat == 0) answer.heartbeat = static_cast<std::uint16_t>(ours);
    heartbeat_ = std::chrono::seconds(answer.heartbeat);
    parser_.set_frame_max(frame_max_);
    (void)flush(encode_method(scratch_, 0, answer));
    connection_open open;
    open.virtual_host = options_.vhost;
    state_ = state::opening;
    if (const auto sent = flush(encode_method(scratch_, 0, open)); !sent)
        end({errc::connect_failed, 0, "virtual host: " + sent.error().text});
}

void connection::on_channel_message(std::uint16_t number, slot& target, message& received) {
    if (!target.port) {  // closed by us: everything but the answer is from before (AMQP 0-9-1 §1.5.2.5)
        if (std::holds_alternative<channel_close>(received.method))
            (void)flush(encode_method(scratch_, number, channel_close_ok{}));
        if (std::holds_alternative<channel_close_ok>(received.method)) slots_.erase(number);
        return;
    }
    channel_port& port = *target.port;
    if (std::holds_alternative<channel_close>(received.method)) {
        (void)flush(encode_method(scratch_, number, channel_close_ok{}));
        method answer = std::move(received.method);  // `received` goes with the slot
        slots_.erase(number);
        return port.on_method(std::move(answer));
    }
    if (std::holds_alternative<basic_deliver>(received.method) ||
        std::holds_alternative<basic_return>(received.method) || std::holds_alternative<basic_get_ok>(received.method))
        return port.on_content(received);
    port.on_method(std::move(received.method));
}

void connection::beat() {
    if (++silent_beats_ > silent_beats_max)
        return end({errc::connection_closed, 0, "no heartbeat from the broker for two intervals"});
    if (!std::exchange(sent_since_beat_, false)) {
        encode_heartbeat(scratch_);
        (void)flush({});
        sent_since_beat_ = false;
    }
    beat_timer_.start(home().wheel(), heartbeat_ / 2);
}

void connection::look_at_peer() {
    if (stream_->unacknowledged_for(options_.unacknowledged_max)) return on_closed(boost::asio::error::timed_out);
    peer_timer_.start(home().wheel(), look_every);
}

void connection::protocol_failure(const frame_error& failure) {
    if (state_ == state::open) {
        connection_close closing;
        closing.reply_code = static_cast<std::uint16_t>(failure.code);
        closing.reply_text = reply_text(failure);
        (void)flush(encode_method(scratch_, 0, closing));
    }
    end({state_ == state::open ? errc::protocol : errc::connect_failed, 0,
         failure.wrong_protocol ? "the peer does not speak AMQP 0-9-1" : reply_text(failure)});
}

void connection::on_closed(net::error_code why) {
    const auto keep = shared_from_this();
    // RabbitMQ before authentication_failure_close, and any proxy, refuse by closing.
    end({state_ == state::open ? errc::connection_closed : errc::connect_failed, 0,
         why == boost::asio::error::eof ? "the broker closed the socket" : why.message()});
}

void connection::end(error why) {
    if (std::exchange(state_, state::closed) == state::closed) return;
    const auto keep = shared_from_this();
    limit_timer_.cancel();
    beat_timer_.cancel();
    peer_timer_.cancel();
    stream_->close(close_timeout);
    // Ports may detach themselves and others while they are told.
    while (!slots_.empty()) {
        channel_port* const port = slots_.begin()->second.port;
        slots_.erase(slots_.begin());
        if (port) port->on_connection_lost(why);
    }
    handler_.on_closed(*this, why);
}

}  // namespace foz::amqp
