// Bugs that stand in the product on purpose, so that a test can show that the simulator (tests/sim) finds them. In any
// build but that test's own, planted() is a constant and nothing of them is left.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace foz {

enum class bug : std::uint8_t {
    none,
    judged_within_turn,      // a socket is slow by what nobody has tried to write
    silence_is_recreation,   // a stream that is silent is taken for another one
    position_never_told,     // a quiet client falls behind
    empty_after_restart,     // a new aggregator knows nothing of what was said before it
    answer_to_gone_socket,   // the answer goes only to the socket that has asked
    confirmed_sent_again,    // what was confirmed is sent again after a loss
    receipt_before_confirm,  // a receipt promises what the broker has not promised
    live_while_resuming,     // live messages overtake those that were missed
    resume_off_by_one,       // a resume leaves out the entry behind its place
    outcome_forgotten,       // a resend is done again
    retention_not_told,      // entries are gone, and nobody is told
    time_out_forgotten,      // a request that nobody answers does not end
    repetition_not_known,    // what is published again is heard again
    order_ignored,           // a client's messages overtake each other
    room_not_noticed,        // a client that was read more slowly is never read again
    queue_without_bound,     // a socket that takes nothing is never slow
    hole_not_asked,          // retention overtakes a reader that is attached, and nobody is told
    loss_not_told,           // messages of a volatile channel are gone, and nobody is told
    return_ignored,          // what no queue has taken counts as confirmed
    sent_away_too_early,     // an aggregator that stops closes sockets that wait for an answer
};

inline constexpr std::array<std::string_view, 21> bug_names{"none",
                                                            "judged_within_turn",
                                                            "silence_is_recreation",
                                                            "position_never_told",
                                                            "empty_after_restart",
                                                            "answer_to_gone_socket",
                                                            "confirmed_sent_again",
                                                            "receipt_before_confirm",
                                                            "live_while_resuming",
                                                            "resume_off_by_one",
                                                            "outcome_forgotten",
                                                            "retention_not_told",
                                                            "time_out_forgotten",
                                                            "repetition_not_known",
                                                            "order_ignored",
                                                            "room_not_noticed",
                                                            "queue_without_bound",
                                                            "hole_not_asked",
                                                            "loss_not_told",
                                                            "return_ignored",
                                                            "sent_away_too_early"};

#ifdef FOZ_PLANTED_BUGS
inline bug planted_bug = bug::none;  // one at a time
inline bool planted(bug which) noexcept {
    return planted_bug == which;
}
#else
constexpr bool planted(bug) noexcept {
    return false;
}
#endif

}  // namespace foz
