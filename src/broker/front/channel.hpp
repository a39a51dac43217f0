// One channel of a connection: its consumers, what they have not acknowledged, its confirms.
#pragma once

#include "amqp/codec/content.hpp"
#include "amqp/codec/methods.hpp"
#include "broker/core/queue.hpp"
#include "broker/core/vhost.hpp"
#include "broker/front/info.hpp"
#include "broker/front/users.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace foz::broker {

class channel;
class connection;

// One basic.consume.
class subscription final : public consumer {
public:
    subscription(channel& on, std::string called, std::shared_ptr<queue> source, std::uint16_t limit)
        : tag(std::move(called)), from(std::move(source)), prefetch(limit), on_(on) {}

    bool can_take() const noexcept override;
    void take(const std::shared_ptr<queue>& queue_of, entry taken) override;
    void on_queue_gone() override;

    const std::string tag;
    const std::shared_ptr<queue> from;
    const std::uint16_t prefetch;  // 0: no limit
    std::uint32_t unacked = 0;
    std::uint64_t number = 0;  // never used twice on its channel

private:
    channel& on_;
};

// Lives on the broker's shard, owned by its connection.
class channel {
public:
    channel(connection& home, std::uint16_t number);
    ~channel();
    channel(const channel&) = delete;
    channel& operator=(const channel&) = delete;

    amqp::content_assembler& assembler() noexcept { return assembler_; }
    // A refusal is answered by the channel itself, with channel.close or connection.close.
    void on_message(amqp::message& received);
    // channel.close of our own was sent: everything but close and close-ok is ignored.
    bool closing() const noexcept { return closing_; }
    // channel.close or close-ok has come.
    bool closed() const noexcept { return closed_; }
    void fail(const refusal& why, std::uint16_t class_id, std::uint16_t method_id);

    using touched_queues = std::vector<std::shared_ptr<queue>>;

    // The end of a channel: first what is not acknowledged goes back, and then its consumers leave. When one was the
    // single active consumer of its queue, its successor takes at once, and would otherwise take what comes behind
    // that. Of a connection that ends, all channels give back before the consumers of any leave.
    void release();
    void give_back(touched_queues& touched);
    void leave(const touched_queues& touched);
    // Its body is on disk: routed and confirmed as any other one.
    void publish_staged(const message_ref& what, bool mandatory);
    // The socket takes more.
    void wake_all();
    // Confirms what is durable by now.
    void flush_confirms();
    void tell(std::vector<consumer_info>& consumers) const;

private:
    friend class subscription;

    struct unacked_entry {
        std::uint64_t tag;
        std::shared_ptr<queue> from;
        std::uint64_t subscription;  // its number; 0: basic.get
        entry what;
        bool settled = false;
        bool in_transaction = false;  // it will be, by the commit
    };
    struct unconfirmed {
        std::uint64_t tag;
        commit_number commit;
        bool rejected;
    };
    enum class outcome { ack, requeue, give_back, reject };
    // What a transaction has put off (AMQP 0-9-1 §1.7): publishes, or else acknowledgements.
    struct postponed {
        message_ref what;
        bool mandatory = false;
        std::uint64_t tag = 0;
        outcome how = outcome::ack;
    };
    struct transaction {
        std::vector<postponed> work;
        bool committing = false;  // tx.commit-ok is due after `commit`
        commit_number commit = 0;
    };

    // Each answers, or says why not. Overloads for the methods that a client may send.
    result<void> on(const amqp::channel_flow& m);
    result<void> on(const amqp::exchange_declare& m);
    result<void> on(const amqp::exchange_delete& m);
    result<void> on(const amqp::exchange_bind& m);
    result<void> on(const amqp::exchange_unbind& m);
    result<void> on(const amqp::queue_declare& m);
    result<void> on(const amqp::queue_delete& m);
    result<void> on(const amqp::queue_bind& m);
    result<void> on(const amqp::queue_unbind& m);
    result<void> on(const amqp::queue_purge& m);
    result<void> on(const amqp::basic_qos& m);
    result<void> on(const amqp::basic_consume& m);
    result<void> on(const amqp::basic_cancel& m);
    result<void> on(const amqp::basic_get& m);
    result<void> on(const amqp::basic_ack& m);
    result<void> on(const amqp::basic_nack& m);
    result<void> on(const amqp::basic_reject& m);
    result<void> on(const amqp::basic_recover& m);
    result<void> on(const amqp::basic_recover_async& m);
    result<void> on(const amqp::confirm_select& m);
    result<void> on(const amqp::tx_select& m);
    result<void> on(const amqp::tx_commit& m);
    result<void> on(const amqp::tx_rollback& m);
    result<void> publish(const amqp::basic_publish& m, amqp::message& content);
    result<void> publish(const message_ref& what, exchange& to, bool mandatory);
    // To its exchange, with a return when it has to be.
    result<publish_outcome> route(exchange& to, const message_ref& what, bool mandatory);
    result<void> perform(const postponed& one);
    template <class Method>
    result<void> on(const Method&);  // what no client sends
    // Direct reply-to. A channel has one consumer of replies at most.
    static bool is_reply_queue(std::string_view name) noexcept;
    static bool wants_reply_address(const amqp::message& content) noexcept;
    channel* reply_consumer(std::string_view address) const;
    result<void> consume_replies(const std::string& tag, bool no_ack, bool no_wait);
    void end_replies();
    result<std::string> with_reply_address(std::string_view properties) const;
    result<void> declare_reply_queue(const amqp::queue_declare& m);
    // If it is a reply that somebody waits for.
    void reply(const message_ref& what);
    void take_reply(const message_ref& what);
    // As many as the socket takes.
    void deliver_replies();
    void deliver_reply(const entry& taken);
    void answer(bool no_wait, const amqp::method& m);

    result<void> require(permission what, std::string_view kind, const std::string& name);
    result<void> may_declare(const amqp::exchange_declare& m);
    result<void> may_declare(const amqp::queue_declare& m);
    result<void> check_prefetch(const queue& from, bool no_ack) const;
    result<void> check_publish(const exchange& to, const amqp::message& content);
    // The last declared queue when the name is empty.
    result<std::string> named(const std::string& queue) const;
    // Of unacked_, from begin to before end.
    struct range {
        std::size_t begin;
        std::size_t end;
    };
    result<range> find_unacked(std::uint64_t tag, bool multiple) const;
    result<void> settle(std::uint64_t tag, bool multiple, outcome how);
    void settle_now(range which, outcome how);
    // Its place in unacked_.
    std::size_t end_postponement(std::uint64_t tag);
    void settle(unacked_entry& one, outcome how, touched_queues& touched);
    void deliver_again(const touched_queues& touched);
    result<void> recover(bool requeue);
    std::uint64_t keep(const std::shared_ptr<queue>& from, const subscription* who, entry taken);
    void write_content(std::string_view properties, const entry& what);
    void deliver(subscription& to, const std::shared_ptr<queue>& from, entry taken);
    void cancelled(subscription& gone);
    subscription* find(std::uint64_t number);
    bool below_channel_prefetch() const noexcept { return prefetch_ == 0 || unacked_count_ < prefetch_; }
    void confirm(commit_number commit, bool rejected);

    connection& home_;
    const std::uint16_t number_;
    amqp::content_assembler assembler_;
    std::map<std::string, std::unique_ptr<subscription>, std::less<>> subscriptions_;
    std::unordered_map<std::uint64_t, subscription*> by_number_;
    std::uint64_t last_subscription_ = 0;
    std::uint16_t next_prefetch_ = 0;  // of each consumer that comes
    std::uint16_t prefetch_ = 0;       // of the channel
    std::deque<unacked_entry> unacked_;
    std::uint32_t unacked_count_ = 0;
    std::uint64_t last_tag_ = 0;
    bool confirms_ = false;
    std::uint64_t last_publish_ = 0;
    std::deque<unconfirmed> unconfirmed_;
    std::optional<transaction> transaction_;
    std::string last_queue_;
    std::string reply_token_;  // empty: nobody consumes replies
    std::string reply_tag_;
    std::deque<message_ref> replies_;  // that the socket has no room for yet
    std::size_t replies_bytes_ = 0;
    bool released_ = false;  // nothing is delivered any more
    bool closing_ = false;
    bool closed_ = false;
    bool full_ = false;  // the channel's prefetch was reached: queues wait for us
};

}  // namespace foz::broker
