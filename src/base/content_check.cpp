#include "base/content_check.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace foz {
namespace {

// Id and body are hashed apart, so that no octet can move from one to the other unnoticed.
std::uint64_t seed_of(std::string_view message_id) noexcept {
    return XXH3_64bits(message_id.data(), message_id.size());
}

}  // namespace

struct content_check::state {
    XXH3_state_t hash;
};

std::uint32_t content_check_of(std::string_view message_id, std::string_view body) noexcept {
    return static_cast<std::uint32_t>(XXH3_64bits_withSeed(body.data(), body.size(), seed_of(message_id)));
}

content_check::content_check(std::string_view message_id) : state_(std::make_unique<state>()) {
    XXH3_64bits_reset_withSeed(&state_->hash, seed_of(message_id));
}

content_check::~content_check() = default;
content_check::content_check(content_check&&) noexcept = default;
content_check& content_check::operator=(content_check&&) noexcept = default;

void content_check::update(std::string_view octets) noexcept {
    XXH3_64bits_update(&state_->hash, octets.data(), octets.size());
}

std::uint32_t content_check::value() const noexcept {
    return static_cast<std::uint32_t>(XXH3_64bits_digest(&state_->hash));
}

}  // namespace foz
