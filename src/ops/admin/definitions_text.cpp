#include "ops/admin/definitions_text.hpp"

#include "base/json_writer.hpp"

#include <simdjson.h>

namespace foz::ops {
namespace {

std::string user_without_hash(const simdjson::dom::object& user) {
    json_writer to;
    to.open('{');
    for (const auto [name, content] : user)
        if (name != "password_hash") to.key(name).raw(simdjson::minify(content));
    return to.close('}').text();
}

}  // namespace

std::string without_password_hashes(std::string_view definitions) {
    simdjson::dom::parser parser;
    simdjson::dom::object all;
    if (parser.parse(definitions.data(), definitions.size()).get(all) != simdjson::SUCCESS) return "{}";
    json_writer to;
    to.open('{');
    for (const auto [name, content] : all) {
        to.key(name);
        simdjson::dom::array users;
        if (name != "users" || content.get(users) != simdjson::SUCCESS) {
            to.raw(simdjson::minify(content));
            continue;
        }
        to.open('[');
        for (const simdjson::dom::element one : users)
            if (simdjson::dom::object user; one.get(user) == simdjson::SUCCESS) to.raw(user_without_hash(user));
        to.close(']');
    }
    return to.close('}').text();
}

}  // namespace foz::ops
