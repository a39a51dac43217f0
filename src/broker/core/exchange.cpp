#include "broker/core/exchange.hpp"

#include <algorithm>

namespace foz::broker {

std::string_view to_string(exchange_kind kind) noexcept {
    switch (kind) {
        case exchange_kind::direct:
            return "direct";
        case exchange_kind::fanout:
            return "fanout";
        case exchange_kind::topic:
            return "topic";
        case exchange_kind::headers:
            return "headers";
    }
    return {};
}

std::optional<exchange_kind> exchange_kind_of(std::string_view name) noexcept {
    for (const exchange_kind kind :
         {exchange_kind::direct, exchange_kind::fanout, exchange_kind::topic, exchange_kind::headers})
        if (name == to_string(kind)) return kind;
    return std::nullopt;
}

exchange::exchange(exchange_identity identity, std::string alternate)
    : identity_(std::move(identity)), alternate_(std::move(alternate)), router_(make_router(identity_.kind)) {
    if (const auto own = amqp::as_string(identity_.arguments.find("alternate-exchange"))) alternate_ = *own;
}

bool exchange::bind(binding made) {
    if (std::ranges::find(bindings_, made) != bindings_.end()) return false;
    router_->add(made);
    bindings_.push_back(std::move(made));
    return true;
}

bool exchange::unbind(const binding& gone) {
    const auto at = std::ranges::find(bindings_, gone);
    if (at == bindings_.end()) return false;
    router_->remove(*at);
    bindings_.erase(at);
    return true;
}

bool exchange::unbind_all(destination to) {
    return std::erase_if(bindings_, [&](const binding& one) {
               if (one.to != to) return false;
               router_->remove(one);
               return true;
           }) != 0;
}

}  // namespace foz::broker
