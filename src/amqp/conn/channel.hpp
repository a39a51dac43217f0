// A logical channel: it outlives connections. After every failure it is opened anew and set up again.
#pragma once

#include "amqp/codec/methods.hpp"
#include "amqp/conn/connection.hpp"
#include "amqp/conn/error.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace foz::amqp {

class channel;
class client;

// A delivery is named by its tag *and* the opening of the channel that it came through: tags start again at 1 after
// a recovery, and an acknowledgement that comes too late must not hit another message (AMQP 0-9-1 §1.8.3.13).
struct delivery_id {
    std::uint32_t opening = 0;
    std::uint64_t tag = 0;
    friend bool operator==(const delivery_id&, const delivery_id&) = default;
};

// Views and references are valid only during the callback.
struct delivery {
    delivery_id id;
    bool redelivered = false;
    std::string_view consumer_tag;
    std::string_view exchange;
    std::string_view routing_key;
    const basic_properties& properties;
    std::string_view body;
};

// Who uses a channel. Called on the client's shard. Any call may call the channel's methods.
class channel_handler {
public:
    // The recipe: declare, bind, set the prefetch, consume. Runs at every opening; an error makes the channel be
    // opened anew after a pause. The channel is kept alive while it runs.
    virtual asio::awaitable<result<void>> set_up(channel& self) = 0;
    // set_up() has succeeded.
    virtual void on_ready(channel&) {}
    // The channel, which was open or being set up, is gone; it will be opened anew unless the client stops. Delivery
    // ids of before are void: the broker delivers those messages again.
    virtual void on_lost(channel&, const error&) {}
    virtual void on_delivery(channel&, const delivery&) {}
    // A delivery whose body was over client_options::content_bytes_max and was skipped; `what` has none. The default
    // settles it: one of a stream is acknowledged, any other is refused (a dead letter where the queue has that). In a
    // stream its place has passed nevertheless; body.check is what content_check_of() gives to those who read it.
    virtual void on_too_large(channel& self, const delivery& what, const skipped_body& body);
    // The broker ended a consumer (its queue was deleted, its node went). The default sets the channel up again.
    virtual void on_cancelled(channel& self, std::string_view consumer_tag);
    // A mandatory message that no queue took; comes before its confirm.
    virtual void on_return(channel&, const basic_return&, const basic_properties&, std::string_view body) {
        (void)body;
    }
    virtual void on_too_large_return(channel&, const basic_return&, const basic_properties&, const skipped_body&) {}
    virtual void on_confirm(channel&, std::uint64_t tag, bool multiple, bool positive) {
        (void)tag, (void)multiple, (void)positive;
    }

protected:
    ~channel_handler() = default;
};

class channel final : private channel_port, public std::enable_shared_from_this<channel> {
public:
    static constexpr std::chrono::milliseconds call_timeout = std::chrono::seconds(20);

    ~channel();

    bool ready() const noexcept { return state_ == state::ready; }
    // How often the channel has been opened.
    std::uint32_t opening() const noexcept { return opening_; }
    // What ended the last opening, and when.
    const std::optional<error>& last_loss() const noexcept { return last_loss_; }
    steady_time lost_at() const noexcept { return lost_at_; }
    // Null once the channel is closed.
    client* owner() const noexcept { return owner_; }

    // Calls a synchronous method and awaits its response. Calls are answered in order. A late answer reopens the
    // channel: its successors could no longer be told apart. Calling while the channel is not open is an error.
    template <class Method>
    asio::awaitable<result<typename Method::response>> call(Method m, std::chrono::milliseconds within = call_timeout) {
        auto reply = co_await request(method(std::move(m)), within);
        if (!reply) co_return std::unexpected(std::move(reply.error()));
        if (auto* response = std::get_if<typename Method::response>(&*reply)) co_return std::move(*response);
        co_return std::unexpected(
            error{errc::protocol, 0, std::string("unexpected answer to ") + std::string(Method::name)});
    }

    // Sends basic.publish with its content. False when the channel is not open, or the error when it can't be encoded.
    result<bool> publish(const basic_publish& target, const basic_properties& properties, std::string_view body);

    // The delivery has not come through an opening that is lost by now.
    bool holds(delivery_id id) noexcept;
    // Ignored when it has.
    void ack(delivery_id id, bool multiple = false);
    void nack(delivery_id id, bool requeue);
    // What can be done with a delivery that nobody wants; see channel_handler::on_too_large().
    void discard(const delivery& what);

    // Gives this opening up and begins the next one at once, on another channel number.
    void reopen(const error& why);
    // The same after a pause, which grows while openings don't last.
    void reopen_later(const error& why);
    // From on_lost(): this loss was to be expected, and is no sign of anything.
    void forgive() noexcept { failures_ = 0; }
    // Closes for good; the handler is not called any more.
    void close();

private:
    friend class client;
    enum class state { waiting, opening, ready, closed };
    using completion = std::move_only_function<void(result<method>)>;
    struct pending_call {
        completion done;
        steady_time deadline;
        std::uint16_t class_id = 0, method_id = 0;
        std::string queue;         // that is to be declared or consumed
        bool no_ack = false;       // of a consumer that is to begin
        bool from_stream = false;  // the same
    };
    struct consumer_kind {
        std::string tag;
        bool no_ack = false, from_stream = false;
    };

    channel(client& owner, channel_handler& handler, std::uint64_t serial);

    asio::awaitable<result<method>> request(method m, std::chrono::milliseconds within);
    static pending_call describe(const method& m);
    // The call that a broker may have meant when it closed the connection with this error; null if there is none.
    const pending_call* blamed(const error& why) const;
    void begin();
    asio::awaitable<void> open_and_set_up(std::uint32_t opening);
    void lose(const error& why);
    void retry_later();
    void on_good();
    void check_deadlines();
    connection* transport() noexcept;

    // channel_port
    void on_method(method&& received) override;
    void on_content(message& received) override;
    void on_connection_lost(const error& why) override;

    client* owner_;
    channel_handler* handler_;
    const std::uint64_t serial_;  // of the client's channels
    state state_ = state::waiting;
    std::uint16_t number_ = 0;
    std::uint32_t opening_ = 0;
    unsigned failures_ = 0;  // in a row: openings that did not last
    steady_time failing_since_{};
    bool by_own_wish_ = false;  // it is lost because its user wanted it anew: that is no failure
    std::string about_;         // the queue that was declared or consumed last
    std::deque<pending_call> calls_;
    std::vector<consumer_kind> consumers_;  // of this opening
    std::optional<error> last_loss_;
    steady_time lost_at_{};
    net::wheel_timer retry_timer_{this, [](channel& self) { self.begin(); }};
    net::wheel_timer good_timer_{this, [](channel& self) { self.on_good(); }};
    net::wheel_timer deadline_timer_{this, [](channel& self) { self.check_deadlines(); }};
};

}  // namespace foz::amqp
