// How a connection begins: what is offered, who it is, what is negotiated, where it goes (AMQP 0-9-1 §1.4, §2.2.4).
#include "amqp/codec/encode.hpp"
#include "amqp/codec/wire.hpp"
#include "broker/front/channel.hpp"
#include "broker/front/connection.hpp"
#include "net/loopback.hpp"

#include <algorithm>
#include <utility>

namespace foz::broker {
namespace {

amqp::table server_properties(const std::string& version) {
    amqp::table capabilities{
        {"publisher_confirms", true},           {"exchange_exchange_bindings", true}, {"basic.nack", true},
        {"consumer_cancel_notify", true},       {"connection.blocked", true},         {"consumer_priorities", true},
        {"authentication_failure_close", true}, {"per_consumer_qos", true},           {"direct_reply_to", true}};
    return {{"product", "Foz"},
            {"version", version},
            {"platform", "C++"},
            {"information", "a single-node AMQP 0-9-1 broker"},
            {"capabilities", std::move(capabilities)}};
}

// In both the proposal and our own limit 0 means "no limit".
template <class T>
T lower(T theirs, T ours) {
    return theirs == 0 ? ours : ours == 0 ? theirs : std::min(theirs, ours);
}

// `ours`: the highest value that is allowed; 0: any.
result<void> check_negotiated(const char* name, std::uint32_t theirs, std::uint32_t low, std::uint32_t ours) {
    const std::string said = "negotiated " + std::string(name) + " = " + std::to_string(theirs);
    if (theirs != 0 && theirs < low)
        return refuse(amqp::reply_code::not_allowed,
                      said + " is lower than the minimum allowed value (" + std::to_string(low) + ")");
    if (ours != 0 && (theirs == 0 || theirs > ours))
        return refuse(amqp::reply_code::not_allowed, said + (theirs == 0 ? " (no limit)" : "") +
                                                         " is higher than the maximum allowed value (" +
                                                         std::to_string(ours) + ")");
    return {};
}

struct login {
    std::string user;
    std::string password;
};

// RFC 4616: authzid NUL authcid NUL password. AMQPLAIN: a table without its length.
std::optional<login> read_login(const amqp::connection_start_ok& said) {
    if (said.mechanism == "PLAIN") {
        const std::size_t first = said.response.find('\0');
        const std::size_t second = first == std::string::npos ? first : said.response.find('\0', first + 1);
        if (second == std::string::npos) return std::nullopt;
        return login{said.response.substr(first + 1, second - first - 1), said.response.substr(second + 1)};
    }
    std::string table_octets;
    amqp::writer out(table_octets);
    out.long_string(said.response);
    amqp::reader in(table_octets);
    amqp::table values;
    read_table(in, values);
    const auto user = amqp::as_string(values.find("LOGIN"));
    const auto password = amqp::as_string(values.find("PASSWORD"));
    if (in.failed() || !user || !password) return std::nullopt;
    return login{std::string(*user), std::string(*password)};
}

}  // namespace

void connection::start_handshake(std::string_view header) {
    state_ = state::start_ok_due;
    amqp::connection_start offer;
    // RabbitMQ says 0-9 to those that asked for it, 8-0 to older ones.
    const bool ninth = header == amqp::protocol_header_octets || header.ends_with('\x09');
    offer.version_major = ninth ? 0 : 8;
    offer.version_minor = ninth ? 9 : 0;
    offer.server_properties = server_properties(shared_.version);
    offer.mechanisms = certified_ ? "PLAIN AMQPLAIN EXTERNAL" : "PLAIN AMQPLAIN";
    offer.locales = "en_US";
    send(0, offer);
}

void connection::wrong_protocol() {
    // AMQP 0-9-1 §4.2.2: says what is spoken here and closes the socket.
    stream_->write(amqp::protocol_header_octets);
    end();
}

void connection::on_start_ok(const amqp::connection_start_ok& said) {
    if (const amqp::table* const can = amqp::as_table(said.client_properties.find("capabilities"))) {
        const auto has = [&](const char* name) { return amqp::as_bool(can->find(name)).value_or(false); };
        cancels_consumers_ = has("consumer_cancel_notify");
        wants_blocked_ = has("connection.blocked");
        closes_on_refusal_ = has("authentication_failure_close");
    }
    const auto text = [&](const char* name) {
        return std::string(amqp::as_string(said.client_properties.find(name)).value_or(""));
    };
    name_ = text("connection_name");
    client_ = text("product");
    if (const std::string version = text("version"); !version.empty()) client_ += " " + version;
    log_in(said);
    if (!user_) return;
    state_ = state::tune_ok_due;
    amqp::connection_tune wish;
    wish.channel_max = channel_max_;
    wish.frame_max = frame_max_;
    wish.heartbeat = static_cast<std::uint16_t>(shared_.limits.heartbeat.count());
    send(0, wish);
}

void connection::log_in(const amqp::connection_start_ok& said) {
    const bool loopback = net::is_loopback(stream_->remote().address());
    // The certificate says who it is; RFC 4422 §A lets the client ask for another identity, which RabbitMQ ignores too.
    if (said.mechanism == "EXTERNAL" && certified_) {
        user_ = shared_.known.find(*certified_, loopback);
        if (!user_) refuse_login(said.mechanism, *certified_, "the certificate's name is no user's");
        return;
    }
    if (said.mechanism != "PLAIN" && said.mechanism != "AMQPLAIN")
        return fail({amqp::reply_code::not_allowed, "unknown authentication mechanism '" + said.mechanism + "'"},
                    amqp::connection_start_ok::class_id, amqp::connection_start_ok::method_id);
    const auto who = read_login(said);
    if (!who)
        return fail({amqp::reply_code::syntax_error, "the response of " + said.mechanism + " can't be read"},
                    amqp::connection_start_ok::class_id, amqp::connection_start_ok::method_id);
    user_ = shared_.known.authenticate(who->user, who->password, loopback);
    if (user_) return;
    const bool local_alone = !loopback && !shared_.known.find(who->user, false) && shared_.known.find(who->user, true);
    refuse_login(
        said.mechanism, who->user,
        local_alone ? "this user gets in from the broker's machine alone" : "no such user, or a wrong password");
}

void connection::refuse_login(const std::string& mechanism, const std::string& user, std::string_view why) {
    list_.on_refused(stream_->remote(), user, why);
    if (!closes_on_refusal_) return end();
    fail({amqp::reply_code::access_refused,
          "Login was refused using authentication mechanism " + mechanism + ". For details see the broker logfile."},
         0, 0);
}

void connection::on_tune_ok(const amqp::connection_tune_ok& said) {
    auto checked = check_negotiated("frame_max", said.frame_max, amqp::frame_min_size, frame_max_);
    if (checked) checked = check_negotiated("channel_max", said.channel_max, 0, channel_max_);
    if (!checked) return fail(checked.error(), amqp::connection_tune_ok::class_id, amqp::connection_tune_ok::method_id);
    frame_max_ = lower(said.frame_max, frame_max_);
    channel_max_ = lower(said.channel_max, channel_max_);
    parser_.set_frame_max(frame_max_);
    heartbeat_ = std::chrono::seconds(said.heartbeat);
    if (heartbeat_.count() > 0) beat_timer_.start(home().wheel(), heartbeat_ / 2);
    state_ = state::open_due;
}

void connection::on_open(const amqp::connection_open& said) {
    const auto refused = [&](const std::string& text) {
        list_.on_refused(stream_->remote(), user_->name, text);
        fail({amqp::reply_code::not_allowed, text}, amqp::connection_open::class_id, amqp::connection_open::method_id);
    };
    vhost_ = shared_.model.find_vhost(said.virtual_host);
    if (!vhost_) return refused("vhost " + said.virtual_host + " not found");
    access_ = users::enter(*user_, said.virtual_host);
    if (!access_) return refused("access to vhost '" + said.virtual_host + "' refused for user '" + user_->name + "'");
    limit_timer_.cancel();
    state_ = state::open;
    send(0, amqp::connection_open_ok{});
    if (blocked_) block(true, blocked_reason_);
}

}  // namespace foz::broker
