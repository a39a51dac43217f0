// The aggregator's events as the command line reads them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace foz::cli {

// What an event has of these; the rest is empty.
struct server_event {
    std::string event;
    std::string id;
    std::uint64_t frame = 0;             // error, receipt: of what has no id, or none that could be read
    std::uint64_t attempt = 0, seq = 0;  // part
    std::string channel;
    std::string position;
    std::string state;
    std::string message;  // JSON, on one line
    // error
    std::string code;
    std::string text;
    std::string service_code;
    std::string service;  // JSON
    std::string field;
    bool retryable = false;
    std::uint64_t retry_after_ms = 0;
    std::string cause;                             // gap
    std::vector<std::string> channels;             // consuming
    std::map<std::string, std::string> positions;  // consuming: by channel, of durable ones
    std::string line;                              // the whole event on one line
};

class event_reader {
public:
    event_reader();
    ~event_reader();
    event_reader(const event_reader&) = delete;
    event_reader& operator=(const event_reader&) = delete;

    // An event without a name when it is none.
    server_event read(std::string_view json);

private:
    struct parser;
    std::unique_ptr<parser> parser_;
};

// True when the client need not be told yet: the same again, under the same id, may succeed within its patience. What
// says that patience is over (`timeout`), or what whoever asked can decide better (`no_service`), is no such error.
bool worth_another_try(const server_event& error) noexcept;

// "no_service: nobody works on this channel", with the field when there is one.
std::string in_words(const server_event& error);

}  // namespace foz::cli
