#include "aggregator/shard/identity.hpp"

#include "base/digest.hpp"
#include "base/encoding.hpp"
#include "contract/names.hpp"

#include <algorithm>

namespace foz::aggregator {

bool is_resume_secret(std::string_view text) {
    if (text.size() < 22 || text.size() > 64) return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
}

client_id anonymous_client(std::string_view resume_secret) {
    return client_id(std::string(contract::anonymous_prefix) + base32(sha256(resume_secret)).substr(0, 26));
}

unsigned shard_of(const client_id& client, unsigned shards) noexcept {
    return static_cast<unsigned>(std::hash<client_id>{}(client) % shards);
}

bool same_origin(std::string_view origin, std::string_view host) {
    const std::size_t scheme_end = origin.find("://");
    return scheme_end != std::string_view::npos && !host.empty() && origin.substr(scheme_end + 3) == host;
}

}  // namespace foz::aggregator
