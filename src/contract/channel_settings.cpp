#include "contract/channel_settings.hpp"

#include "contract/names.hpp"

#include <algorithm>

namespace foz::contract {
namespace {

std::string upper(std::string text) {
    for (char& c : text)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return text;
}

}  // namespace

std::string channel_settings::in_queue() const {
    return "IN_" + upper(name);
}
std::string channel_settings::out_queue() const {
    return "OUT_" + upper(name);
}

std::vector<channel_settings> default_channels() {
    return {{.name = "voice",
             .delivery = delivery_kind::volatile_,
             .consumers = consumer_kind::single_active,
             .presence = true},
            {.name = "chat"},
            {.name = "tickets"}};
}

const channel_settings* stream_of(std::span<const channel_settings> channels, std::string_view exchange,
                                  std::string_view routing_key) {
    const std::string_view first_word = routing_key.substr(0, routing_key.find('.'));
    for (const channel_settings& one : channels) {
        if (one.delivery != delivery_kind::durable) continue;
        if (exchange == outbound_exchange ? first_word == one.name : exchange.empty() && routing_key == one.out_queue())
            return &one;
    }
    return nullptr;
}

std::string check_channel_name(const std::string& name) {
    const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    if (name.empty() || name.size() > 32) return "a channel's name has 1 to 32 characters";
    if (!std::all_of(name.begin(), name.end(), allowed) || name[0] < 'a')
        return "a channel's name consists of a-z, 0-9 and '-', and begins with a letter";
    return {};
}

}  // namespace foz::contract
