// How a row of the table of keys is made. Internal to the table.
#pragma once

#include "ops/config/keys.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace foz::ops::table {

inline constexpr std::int64_t day_ms = 86'400'000;

// Where a member lives: of the configuration, of its server, or of a channel.
template <class M>
auto& at(const target& t, M configuration::* member) {
    return t.all.*member;
}
template <class M>
auto& at(const target& t, M aggregator::settings::* member) {
    return t.all.server.*member;
}
template <class M>
auto& at(const target& t, M aggregator::session_settings::* member) {
    return t.all.server.*member;
}
template <class M>
auto& at(const target& t, M aggregator::client_limits::* member) {
    return t.all.server.client.*member;
}
template <class M>
auto& at(const target& t, M aggregator::connect_settings::* member) {
    return t.all.server.connect.*member;
}
template <class M>
auto& at(const target& t, M embedded_settings::* member) {
    return t.all.embedded.*member;
}
template <class M>
auto& at(const target& t, M amqp::publisher_options::* member) {
    return t.all.server.publishing.*member;
}
template <class M>
auto& at(const target& t, M contract::channel_settings::* member) {
    return t.channel->*member;
}

template <class M>
auto& at(const target& t, M admin_settings::* member) {
    return t.all.admin.*member;
}
template <class M>
auto& at(const target& t, M admin_user::* member) {
    return t.user->*member;
}
template <class M>
auto& at(const target& t, M identity::issuer_settings::* member) {
    return t.issuer->*member;
}

template <class T>
std::int64_t to_number(const T& x) {
    if constexpr (std::is_integral_v<T>)
        return static_cast<std::int64_t>(x);
    else
        return x.count();
}

struct range {
    std::int64_t min;
    std::int64_t max;
};

template <class Owner, class M>
key number(const char* section, const char* name, M Owner::* member, range within, const char* unit, const char* help) {
    key made{.section = section, .name = name, .type = value_type::integer, .unit = unit, .help = help};
    made.min = within.min;
    made.max = within.max;
    made.get = [member](const target& t) { return value(to_number(at(t, member))); };
    made.set = [member](const target& t, const value& v) { at(t, member) = M(std::get<std::int64_t>(v)); };
    return made;
}

template <class Owner>
key flag(const char* section, const char* name, bool Owner::* member, const char* help) {
    key made{.section = section, .name = name, .type = value_type::boolean, .help = help};
    made.get = [member](const target& t) { return value(at(t, member)); };
    made.set = [member](const target& t, const value& v) { at(t, member) = std::get<bool>(v); };
    return made;
}

template <class Owner>
key text(const char* section, const char* name, std::string Owner::* member, const char* unit, const char* help) {
    key made{.section = section, .name = name, .unit = unit, .help = help};
    made.get = [member](const target& t) { return value(at(t, member)); };
    made.set = [member](const target& t, const value& v) { at(t, member) = std::get<std::string>(v); };
    return made;
}

template <class Owner>
key list(const char* section, const char* name, std::vector<std::string> Owner::* member, const char* unit,
         const char* help) {
    key made{.section = section, .name = name, .type = value_type::list, .unit = unit, .help = help};
    made.get = [member](const target& t) { return value(at(t, member)); };
    made.set = [member](const target& t, const value& v) { at(t, member) = std::get<std::vector<std::string>>(v); };
    return made;
}

inline key with_words(key made, std::vector<std::string> words) {
    made.words = std::move(words);
    return made;
}

inline key with_flaw(key made, std::function<std::string(const value&)> flaw) {
    made.flaw = std::move(flaw);
    return made;
}

// Also to be said as a flag, and as a variable that is known for longer than the table.
inline key as_flag(key made, const char* flag_name, const char* alias = "") {
    made.flag = flag_name;
    made.alias = alias;
    return made;
}

}  // namespace foz::ops::table
