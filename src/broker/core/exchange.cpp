#include "broker/core/exchange.hpp"

#include <algorithm>
#include <utility>

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
    if (!bindings_.add(made)) return false;
    router_->add(made);
    return true;
}

bool exchange::unbind(const binding& gone) {
    if (!bindings_.remove(gone)) return false;
    router_->remove(gone);
    return true;
}

std::list<binding> exchange::unbind_all(destination to) {
    std::list<binding> gone = bindings_.take(to);
    for (const binding& one : gone) router_->remove(one);
    return gone;
}

bool binding_list::add(binding made) {
    auto& same = of_[made.to];
    if (std::ranges::any_of(same, [&](const auto& one) { return *one == made; })) return false;
    same.push_back(all_.insert(all_.end(), std::move(made)));
    return true;
}

bool binding_list::remove(const binding& gone) {
    const auto found = of_.find(gone.to);
    if (found == of_.end()) return false;
    auto& same = found->second;
    const auto at = std::ranges::find_if(same, [&](const auto& one) { return *one == gone; });
    if (at == same.end()) return false;
    all_.erase(*at);
    same.erase(at);
    if (same.empty()) of_.erase(found);
    return true;
}

std::list<binding> binding_list::take(destination to) {
    std::list<binding> taken;
    const auto found = of_.find(to);
    if (found == of_.end()) return taken;
    for (const auto& one : found->second) taken.splice(taken.end(), all_, one);
    of_.erase(found);
    return taken;
}

}  // namespace foz::broker
