#include "aggregator/channel/page_index.hpp"

#include "contract/names.hpp"

namespace foz::aggregator {

page_index::page_index(std::span<const entry_ref> entries, std::uint64_t said_before_s) {
    said_s_.reserve(entries.size());
    // An entry that names a receiver twice is there once.
    const auto add = [](numbers& to, std::uint32_t number) {
        if (to.empty() || to.back() != number) to.push_back(number);
    };
    for (std::uint32_t n = 0; n < entries.size(); ++n) {
        const entry& one = *entries[n];
        if (one.timestamp_s != 0) said_before_s = one.timestamp_s;
        said_s_.push_back(said_before_s);
        if (one.too_large) too_large_.push_back(n);
        if (one.answer) add(answers_[one.answer->to.client.view()], n);
        for (const entry_route& route : one.routes) {
            if (route.how == envelope::via::broadcast) add(broadcasts_, n);
            if (route.how == envelope::via::multicast) add(by_group_[route.receivers.front()], n);
            if (route.how != envelope::via::direct) continue;
            for (const std::string_view to : route.receivers) {
                const bool session = to.starts_with(contract::session_prefix);
                add(session ? by_session_[to.substr(contract::session_prefix.size())] : by_client_[to], n);
            }
        }
    }
}

}  // namespace foz::aggregator
