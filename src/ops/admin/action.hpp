// What the admin port does is done by actions: one for each path that takes a POST.
#pragma once

#include <expected>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace foz::ops {

// The members of the JSON object that an action is asked with: strings, booleans and whole numbers, without nesting.
class action_arguments {
public:
    // The error is one line for people.
    static std::expected<action_arguments, std::string> parse(std::string_view json);

    // The member of that name; nothing when there is none, or one of another type.
    std::optional<std::string> text(std::string_view name) const { return get<std::string>(name); }
    std::optional<bool> flag(std::string_view name) const { return get<bool>(name); }
    std::optional<long long> number(std::string_view name) const { return get<long long>(name); }
    // What is wrong with the members: one that is not among these, or has another type than the name's ("client": a
    // string; "+stay_away": a boolean; "#before": a number). Empty: nothing.
    std::string flaw(std::initializer_list<std::string_view> known) const;

private:
    using argument = std::variant<std::string, bool, long long>;
    template <class T>
    std::optional<T> get(std::string_view name) const {
        const auto at = members_.find(name);
        const T* const held = at == members_.end() ? nullptr : std::get_if<T>(&at->second);
        return held ? std::optional<T>(*held) : std::nullopt;
    }

    std::map<std::string, argument, std::less<>> members_;
};

struct action_outcome {
    unsigned status = 200;
    std::string target;  // for the audit log: whom or what it was about
    // One JSON value; of an error, a line for people.
    std::string answer;
};

// Lives on the admin's shard and outlives it.
class action {
public:
    virtual ~action() = default;
    // Behind /api/: "clients/disconnect".
    virtual std::string_view path() const = 0;
    // Only asked for users that may act. `done` is called once on this shard, perhaps inside. A flaw of the arguments
    // is status 400.
    virtual void run(const action_arguments& what, std::function<void(action_outcome)> done) = 0;
};

}  // namespace foz::ops
