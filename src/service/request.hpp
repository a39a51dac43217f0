// One message that a handler works on, and what the handler wants to say.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace foz::service {

// Thrown by a handler: the caller gets this error, and the message is done with. `code` is the service's own word for
// programs (such as "no_such_room": UTF-8, of which 255 octets are told), `text` is for people.
class error : public std::runtime_error {
public:
    error(std::string code, const std::string& text) : std::runtime_error(text), code_(std::move(code)) {}
    const std::string& code() const noexcept { return code_; }

private:
    std::string code_;
};

struct say_options {
    std::string topic;  // what it is about, for consume_target; words separated by dots
    std::string type;   // AMQP's message type
};

struct outgoing;  // the SDK's own

// Belongs to one call of a handler and to its thread; not to be kept. Views live as long as the request.
//
// What is said is collected and published, in this order, when the handler has returned; nothing is published when it
// throws. Message ids are derived from the request's own, so that a handler that is run again after a crash says the
// same again with the same ids, and clients hear it once. Bodies are JSON text, or std::invalid_argument is thrown.
class request {
public:
    ~request();
    request(const request&) = delete;
    request& operator=(const request&) = delete;

    std::string_view channel() const noexcept;
    std::string_view type() const noexcept;     // empty: none
    std::string_view topic() const noexcept;    // empty: none
    std::string_view client() const noexcept;   // who sent it; empty when no aggregator did
    std::string_view session() const noexcept;  // from which socket
    std::string_view message_id() const noexcept;
    std::string_view message() const noexcept;  // the body: what the client wrote as `message`, byte for byte
    bool redelivered() const noexcept;          // it may have been worked on before
    bool awaits_reply() const noexcept;
    unsigned attempt() const noexcept;  // 1, or more when it was delivered before
    // The caller has cancelled it: nobody hears what the handler still says to the caller, and it may as well return.
    // Becomes true while the handler runs, from any thread. What has not begun by then does not begin.
    bool cancelled() const noexcept;
    // When the caller stops waiting; nothing when nobody waits or it was not said.
    std::optional<std::chrono::system_clock::time_point> deadline() const;

    // The answer to the caller; published when one is awaited, and remembered anyway: the same message may be sent
    // again by a caller who waits. Once for a request: a second one is a std::logic_error.
    void reply(std::string_view json);
    // One of many answers, before reply() ends them: published at once, and in order. The caller hears each once, also
    // when its socket or an aggregator dies in between; a caller whose request has no id of its own hears none. Each
    // one lets the caller wait for as long again as it wanted to wait at first. When the handler runs again, the caller
    // is told to forget what the first run said and hears everything from the beginning, unless part_again() was said.
    void part(std::string_view json);
    // Before the first part: another run says the same parts in the same order, since they follow from the message
    // alone. The caller then hears those that are missing, and nothing is taken back.
    void part_again() noexcept;
    // To everyone on the channel who hears broadcasts.
    void broadcast(std::string_view json, const say_options& options = {});
    // To the members of the groups.
    void multicast(const std::vector<std::string>& groups, std::string_view json, const say_options& options = {});
    // To all sockets of these clients, or to single sockets ("session:<id>").
    void direct(const std::vector<std::string>& receivers, std::string_view json, const say_options& options = {});

    // Tells the caller at once to wait until `more` has passed from now; that is the deadline then. When nobody waits,
    // nobody is told.
    void extend(std::chrono::milliseconds more);
    // Asks one of a client's sockets ("<client>") or one socket ("session:<id>") and waits for the answer (JSON); the
    // first socket that answers wins. Nothing when none did in time, when the connection to the broker is lost, or when
    // the worker stops. Blocks this handler's thread.
    std::optional<std::string> ask(const std::string& receiver, std::string_view json, std::chrono::milliseconds within,
                                   const say_options& options = {});

private:
    friend class worker_core;
    struct state;
    explicit request(std::unique_ptr<state> s);

    void say(std::string_view header, const std::vector<std::string>& receivers, std::string_view json,
             const say_options& options);
    void reply_error(std::string_view code, std::string_view text);

    std::unique_ptr<state> state_;
};

}  // namespace foz::service
