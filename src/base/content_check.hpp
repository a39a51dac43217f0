// A short hash by which a message is known again at its place in a stream.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace foz {

// 32 bits of XXH3 over the body, seeded with XXH3 over the message id: the same on every machine and in every release,
// since clients bring positions back. Not a defence against somebody who looks for collisions.
std::uint32_t content_check_of(std::string_view message_id, std::string_view body) noexcept;

// The same of a body that comes in pieces and is not kept.
class content_check {
public:
    explicit content_check(std::string_view message_id);
    ~content_check();
    content_check(content_check&&) noexcept;
    content_check& operator=(content_check&&) noexcept;

    void update(std::string_view octets) noexcept;
    // Of what has come so far.
    std::uint32_t value() const noexcept;

private:
    struct state;
    std::unique_ptr<state> state_;  // about 600 octets
};

}  // namespace foz
