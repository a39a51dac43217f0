#include "aggregator/session/client_error.hpp"

#include "envelope/events.hpp"

namespace foz::aggregator {

std::string to_json(const client_error& error, const reply_context& context) {
    const bool nameless = context.id.empty() && context.request_id.empty() && context.frame != 0;
    std::string json;
    envelope::append(json, envelope::error_event{.code = to_string(error.code),
                                                 .message = error.message,
                                                 .retryable = retryable(error.code),
                                                 .retry_after_ms = error.retry_after_ms,
                                                 .field = error.field,
                                                 .id = context.id,
                                                 .frame = nameless ? std::optional(context.frame) : std::nullopt,
                                                 .dead_letter = error.dead_letter,
                                                 .reason = error.reason});
    return json;
}

std::optional<client_error> error_of(amqp::outcome result) {
    switch (result) {
        case amqp::outcome::confirmed:
            return std::nullopt;
        case amqp::outcome::unroutable:
            return client_error{error_code::unroutable, "no queue takes messages of this channel"};
        case amqp::outcome::rejected:
            return client_error{error_code::overloaded, "the channel's queue is full"};
        case amqp::outcome::overloaded:
            return client_error{error_code::overloaded, "too many messages wait for the broker"};
        case amqp::outcome::unknown:
            return client_error{error_code::unknown,
                                "the broker did not confirm in time; the message may have arrived"};
        case amqp::outcome::invalid:
            return client_error{error_code::bad_envelope, "the message does not fit AMQP"};
        case amqp::outcome::unavailable:
            break;
    }
    return client_error{error_code::unavailable, "the broker can't be reached"};
}

}  // namespace foz::aggregator
