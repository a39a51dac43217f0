// The broker's side of a simulated aggregator: what its feed does with the product's stream_cursor and decode().
#pragma once

#include "aggregator/channel/entry.hpp"
#include "aggregator/channel/page.hpp"
#include "broker/client.hpp"
#include "broker/publisher.hpp"
#include "contract/id_window.hpp"
#include "contract/stream_cursor.hpp"
#include "envelope/events.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace foz::sim {

// What feeds tell.
class feed_listener {
public:
    virtual void on_entry(const aggregator::entry_ref& what, bool history) = 0;
    virtual void on_attached(std::size_t channel, const std::string& reply_queue) = 0;
    virtual void on_detached(std::size_t channel) = 0;
    virtual void on_gap(std::size_t channel, envelope::gap_cause cause,
                        const std::optional<envelope::position>& where) = 0;
    virtual void on_history_void(std::size_t channel) = 0;
    virtual void on_service(std::size_t channel, bool there) = 0;
    virtual void on_page(const aggregator::reading_id& to, aggregator::page what) = 0;

protected:
    ~feed_listener() = default;
};

// What a feed works with. All outlive it.
struct feed_tools {
    environment& around;
    process& owner;
    broker_client& client;
    publisher& markers;
    feed_listener& listener;
    std::function<void()> turn;
    std::size_t channel = 0;

    const contract::channel_settings& settings() const { return around.with.channels[channel]; }
};

// One durable channel, live.
class stream_feed final : public channel_user {
public:
    explicit stream_feed(feed_tools tools);
    ~stream_feed();

private:
    void begin() override;
    void lost() override;
    void on_open(std::uint32_t channel) override;
    void on_closed(std::uint32_t channel) override;
    void on_delivery(std::uint32_t channel, const delivered& one) override;
    void attach();
    void act(const delivered* one);
    void hand_on(const delivered& one, const contract::cursor_event& what);
    void arm();

    feed_tools with_;
    contract::stream_cursor cursor_;
    std::vector<contract::cursor_event> events_;
    std::uint32_t number_ = 0;
    bool armed_ = false;
    std::uint64_t last_tag_ = 0;
    unsigned unacknowledged_ = 0;
};

class volatile_feed final : public channel_user {
public:
    explicit volatile_feed(feed_tools tools);
    ~volatile_feed();

private:
    void begin() override;
    void lost() override;
    void on_open(std::uint32_t channel) override;
    void on_closed(std::uint32_t channel) override;
    void on_delivery(std::uint32_t channel, const delivered& one) override;

    feed_tools with_;
    contract::id_window recent_;
    std::uint32_t number_ = 0;
    std::uint32_t evidence_ = 0;  // where it hears that its queue was too full
    std::string queue_;
};

// Tells callers that their requests have died.
class dead_feed final : public channel_user {
public:
    explicit dead_feed(feed_tools tools);
    ~dead_feed();

private:
    void begin() override;
    void lost() override { number_ = 0; }
    void on_closed(std::uint32_t channel) override;
    void on_delivery(std::uint32_t channel, const delivered& one) override;

    feed_tools with_;
    std::uint32_t number_ = 0;
};

// Looks whether somebody consumes the channels' work queues.
class service_watch final : public channel_user {
public:
    explicit service_watch(feed_tools tools);
    ~service_watch();

private:
    void begin() override { look(); }
    void lost() override;
    void on_consumers(const std::string& queue, std::size_t count) override;
    void look();

    feed_tools with_;
    std::vector<bool> there_;
    bool looking_ = false;
};

// Older entries for the sessions of one aggregator: a reader for each reading.
class older_entries final {
public:
    older_entries(environment& around, process& owner, broker_client& client, publisher& markers,
                  feed_listener& listener, std::function<void()> turn);
    ~older_entries();

    void read(const aggregator::page_request& what);
    void taken(const aggregator::reading_id& which, bool more);
    std::size_t size() const noexcept { return readers_.size(); }

private:
    class reader;

    environment& around_;
    process& owner_;
    broker_client& client_;
    publisher& markers_;
    feed_listener& listener_;
    const std::function<void()> turn_;
    std::map<aggregator::reading_id, std::unique_ptr<reader>> readers_;
};

aggregator::entry_ref make_entry(const feed_tools& with, const delivered& one, std::optional<std::uint64_t> offset);
contract::delivery_view view_of(const feed_tools& with, const delivered& one, const amqp::basic_properties& properties);
amqp::publication make_marker(const feed_tools& with, const std::string& id);

}  // namespace foz::sim
