// JSON that is written value by value.
#pragma once

#include "base/json.hpp"

#include <concepts>
#include <string>
#include <string_view>
#include <utility>

namespace foz {

// Puts the commas in by itself. Keys and values that are text must be valid UTF-8. That brackets match is up to the
// caller.
class json_writer {
public:
    json_writer& open(char bracket) {  // '{' or '['
        comma();
        text_ += bracket;
        first_ = true;
        return *this;
    }
    json_writer& close(char bracket) {
        text_ += bracket;
        first_ = false;
        return *this;
    }
    json_writer& key(std::string_view name) {
        comma();
        append_json_string(text_, name);
        text_ += ':';
        first_ = true;  // no comma before the value
        return *this;
    }
    json_writer& value(std::string_view text) {
        comma();
        append_json_string(text_, text);
        return *this;
    }
    json_writer& value(const char* text) { return value(std::string_view(text)); }
    json_writer& value(const std::string& text) { return value(std::string_view(text)); }
    json_writer& value(std::same_as<bool> auto flag) { return raw(flag ? "true" : "false"); }
    json_writer& value(std::integral auto number)
        requires(!std::same_as<decltype(number), bool>)
    {
        return raw(std::to_string(number));
    }
    json_writer& value(double number);
    // One JSON value.
    json_writer& raw(std::string_view json) {
        comma();
        text_ += json;
        return *this;
    }
    template <class T>
    json_writer& member(std::string_view name, const T& content) {
        return key(name).value(content);
    }

    const std::string& text() const& noexcept { return text_; }
    std::string text() && { return std::move(text_); }

private:
    void comma() {
        if (!std::exchange(first_, false)) text_ += ',';
    }

    std::string text_;
    bool first_ = true;
};

}  // namespace foz
