#include "aggregator/shard/identity.hpp"

#include "base/digest.hpp"
#include "base/encoding.hpp"
#include "base/utf8.hpp"
#include "contract/message_id.hpp"
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

std::string device_mark(std::string_view resume_secret) {
    return base32(sha256(resume_secret)).substr(26, 8);
}

bool is_client_name(std::string_view text) {
    constexpr std::size_t octets_max = 128;
    const bool plain = std::ranges::none_of(text, [](char c) {
        const auto octet = static_cast<unsigned char>(c);
        return octet < 0x20 || octet == 0x7f;
    });
    return !text.empty() && text.size() <= octets_max && plain && is_utf8(text) &&
           contract::message_name(text).size() <= contract::name_octets_max &&
           !text.starts_with(contract::anonymous_prefix) && !text.starts_with(contract::session_prefix);
}

unsigned shard_of(const client_id& client, unsigned shards) noexcept {
    return static_cast<unsigned>(std::hash<client_id>{}(client) % shards);
}

}  // namespace foz::aggregator
