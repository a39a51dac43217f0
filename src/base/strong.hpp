// Strong types for ids and names, so that a queue name can't be passed where an exchange is meant.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

namespace foz {

// A string with a meaning. Tag is an incomplete type that names it.
template <class Tag>
class strong_string {
public:
    strong_string() = default;
    explicit strong_string(std::string value) noexcept : value_(std::move(value)) {}
    explicit strong_string(std::string_view value) : value_(value) {}
    explicit strong_string(const char* value) : value_(value) {}

    const std::string& str() const noexcept { return value_; }
    std::string_view view() const noexcept { return value_; }
    bool empty() const noexcept { return value_.empty(); }
    friend auto operator<=>(const strong_string&, const strong_string&) = default;

private:
    std::string value_;
};

// Who: the subject that a service addresses. Several sessions may belong to one client.
using client_id = strong_string<struct client_id_tag>;
// Which socket (Primus calls it the spark id).
using session_id = strong_string<struct session_id_tag>;
using group_name = strong_string<struct group_name_tag>;
using channel_name = strong_string<struct channel_name_tag>;
using exchange_name = strong_string<struct exchange_name_tag>;
using queue_name = strong_string<struct queue_name_tag>;

// Lets maps with string keys be searched by string_view without building a string.
struct string_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view v) const noexcept { return std::hash<std::string_view>{}(v); }
};

}  // namespace foz

template <class Tag>
struct std::hash<foz::strong_string<Tag>> {
    std::size_t operator()(const foz::strong_string<Tag>& s) const noexcept {
        return std::hash<std::string_view>{}(s.view());
    }
};
