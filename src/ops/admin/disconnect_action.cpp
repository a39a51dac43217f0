#include "ops/admin/disconnect_action.hpp"

#include <cstddef>
#include <utility>

namespace foz::ops {

void disconnect_action::run(const action_arguments& what, std::function<void(action_outcome)> done) {
    if (std::string flaw = what.flaw({"client", "session", "+stay_away"}); !flaw.empty())
        return done({.status = 400, .target = {}, .answer = std::move(flaw)});
    const auto client = what.text("client");
    const auto session = what.text("session");
    if (client.has_value() == session.has_value())
        return done({.status = 400, .target = {}, .answer = "either a client or a session is expected"});
    aggregator::disconnect_order order{.stay_away = what.flag("stay_away").value_or(false)};
    if (client)
        order.whom = client_id(*client);
    else
        order.whom = session_id(*session);
    std::string target = (client ? "client " + *client : "session " + *session) + (order.stay_away ? ", for good" : "");
    of_.disconnect(std::move(order), [target = std::move(target), done = std::move(done)](std::size_t closed) {
        if (closed == 0) return done({.status = 404, .target = target, .answer = "no such socket is here"});
        done({.target = target, .answer = "{\"closed\":" + std::to_string(closed) + "}"});
    });
}

}  // namespace foz::ops
