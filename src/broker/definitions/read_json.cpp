#include "broker/definitions/json.hpp"

#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>
#include <utility>

#include <simdjson.h>

namespace foz::broker {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t name_max = 255;  // AMQP's short string
constexpr unsigned depth_max = amqp::table_depth_max;

// Where the reading is, and the first thing that was wrong.
class definition_parser {
public:
    explicit definition_parser(random_source& random) : random_(random) {}

    bool read(const dom::element& root);
    const std::string& problem() const noexcept { return problem_; }
    read_definitions take() { return std::move(out_); }

private:
    // One object of a section.
    struct item {
        dom::object is;
        std::string path;
    };

    template <class Read>
    void each(const dom::object& root, const char* section, Read read);
    void each_policy(const dom::object& root);

    std::optional<std::string> text(const item& in, const char* key);  // nothing: it is not there
    std::string name(const item& in, const char* key);                 // required, a short string
    std::string name_or_empty(const item& in, const char* key);
    bool flag(const item& in, const char* key, bool otherwise);
    std::int64_t number(const item& in, const char* key);
    amqp::table table(const item& in, const char* key);
    amqp::field_value value(const dom::element& of, const std::string& path, unsigned depth);
    amqp::table table(const dom::object& of, const std::string& path, unsigned depth);

    void read_user(const item& in);
    std::vector<std::string> tags(const item& in);
    void read_password(const item& in, user_definition& out);
    void read_permission(const item& in);
    void read_exchange(const item& in);
    void read_queue(const item& in);
    void read_binding(const item& in);
    void read_policy_of(const item& in);

    void warn_if_filled(const dom::object& in, const std::string& path, const char* key);
    void fail(const std::string& path, const std::string& why) {
        if (problem_.empty()) problem_ = (path.empty() ? "" : path + ": ") + why;
    }

    random_source& random_;
    read_definitions out_;
    std::string problem_;
};

bool filled(const dom::element& value) {
    dom::array list;
    dom::object object;
    if (value.get(list) == simdjson::SUCCESS) return list.size() > 0;
    if (value.get(object) == simdjson::SUCCESS) return object.size() > 0;
    return !value.is_null();
}

template <class Read>
void definition_parser::each(const dom::object& root, const char* section, Read read) {
    dom::element found;
    if (root[section].get(found) != simdjson::SUCCESS) return;
    dom::array list;
    if (found.get(list) != simdjson::SUCCESS) return fail(section, "must be an array");
    std::size_t index = 0;
    for (const dom::element one : list) {
        item at{{}, std::string(section) + "[" + std::to_string(index++) + "]"};
        if (one.get(at.is) != simdjson::SUCCESS) return fail(at.path, "must be an object");
        read(at);
        if (!problem_.empty()) return;
    }
}

bool definition_parser::read(const dom::element& root) {
    dom::object all;
    if (root.get(all) != simdjson::SUCCESS) {
        fail({}, "must be an object");
        return false;
    }
    each(all, "vhosts", [this](const item& in) {
        out_.set.vhosts.push_back(name(in, "name"));
        warn_if_filled(in.is, in.path, "limits");
    });
    each(all, "users", [this](const item& in) { read_user(in); });
    each(all, "permissions", [this](const item& in) { read_permission(in); });
    if (all["policies"].error() == simdjson::SUCCESS) out_.set.policies.emplace();
    each(all, "policies", [this](const item& in) { read_policy_of(in); });
    each(all, "exchanges", [this](const item& in) { read_exchange(in); });
    each(all, "queues", [this](const item& in) { read_queue(in); });
    each(all, "bindings", [this](const item& in) { read_binding(in); });
    for (const char* const section : {"topic_permissions", "parameters", "global_parameters", "operator_policies"})
        warn_if_filled(all, {}, section);
    return problem_.empty();
}

void definition_parser::warn_if_filled(const dom::object& in, const std::string& path, const char* key) {
    dom::element value;
    if (in[key].get(value) != simdjson::SUCCESS || !filled(value)) return;
    out_.warnings.push_back((path.empty() ? "" : path + ".") + key + ": not supported, left out");
}

std::optional<std::string> definition_parser::text(const item& in, const char* key) {
    dom::element found;
    if (in.is[key].get(found) != simdjson::SUCCESS || found.is_null()) return std::nullopt;
    std::string_view held;
    if (found.get(held) == simdjson::SUCCESS) return std::string(held);
    fail(in.path + "." + key, "must be a string");
    return std::nullopt;
}

std::string definition_parser::name_or_empty(const item& in, const char* key) {
    std::string held = text(in, key).value_or("");
    if (held.size() > name_max) fail(in.path + "." + key, "must have at most 255 octets");
    return held;
}

std::string definition_parser::name(const item& in, const char* key) {
    std::string held = name_or_empty(in, key);
    if (held.empty()) fail(in.path + "." + key, "is missing");
    return held;
}

bool definition_parser::flag(const item& in, const char* key, bool otherwise) {
    dom::element found;
    if (in.is[key].get(found) != simdjson::SUCCESS) return otherwise;
    bool held = otherwise;
    if (found.get(held) != simdjson::SUCCESS) fail(in.path + "." + key, "must be true or false");
    return held;
}

std::int64_t definition_parser::number(const item& in, const char* key) {
    dom::element found;
    std::int64_t held = 0;
    if (in.is[key].get(found) == simdjson::SUCCESS && found.get(held) != simdjson::SUCCESS)
        fail(in.path + "." + key, "must be a whole number");
    return held;
}

amqp::table definition_parser::table(const item& in, const char* key) {
    dom::element found;
    if (in.is[key].get(found) != simdjson::SUCCESS || found.is_null()) return {};
    dom::object held;
    dom::array list;
    // An empty table is [] in what some versions of RabbitMQ wrote.
    if (found.get(list) == simdjson::SUCCESS && list.size() == 0) return {};
    if (found.get(held) == simdjson::SUCCESS) return table(held, in.path + "." + key, 1);
    fail(in.path + "." + key, "must be an object");
    return {};
}

amqp::table definition_parser::table(const dom::object& of, const std::string& path, unsigned depth) {
    amqp::table out;
    if (depth > depth_max) {
        fail(path, "is nested too deeply");
        return out;
    }
    for (const auto& [key, held] : of) {
        const std::string at = path + "." + std::string(key);
        if (key.size() > name_max) fail(at, "must have at most 255 octets");
        out.append(std::string(key), value(held, at, depth + 1));
    }
    return out;
}

// As RabbitMQ reads them: whole numbers are of 64 bits, others doubles.
amqp::field_value definition_parser::value(const dom::element& of, const std::string& path, unsigned depth) {
    switch (of.type()) {
        case dom::element_type::BOOL:
            return of.get_bool().value_unsafe();
        case dom::element_type::INT64:
            return of.get_int64().value_unsafe();
        case dom::element_type::DOUBLE:
            return of.get_double().value_unsafe();
        case dom::element_type::STRING:
            return of.get_string().value_unsafe();
        case dom::element_type::UINT64:
            fail(path, "is too large a number");
            return {};
        case dom::element_type::NULL_VALUE:
            return {};
        case dom::element_type::OBJECT:
            return table(of.get_object().value_unsafe(), path, depth);
        case dom::element_type::ARRAY:
            break;
    }
    amqp::field_array out;
    if (depth > depth_max) {
        fail(path, "is nested too deeply");
        return out;
    }
    const dom::array list = of.get_array().value_unsafe();
    for (const dom::element one : list)
        out.push_back(value(one, path + "[" + std::to_string(out.size()) + "]", depth + 1));
    return out;
}

void definition_parser::read_user(const item& in) {
    user_definition made{.name = name(in, "name")};
    read_password(in, made);
    made.tags = tags(in);
    warn_if_filled(in.is, in.path, "limits");
    out_.set.users.push_back(std::move(made));
}

void definition_parser::read_password(const item& in, user_definition& out) {
    const auto hash = text(in, "password_hash");
    if (!hash) {
        const auto plain = text(in, "password");
        if (!plain) return fail(in.path + ".password_hash", "is missing, and so is a password");
        std::array<std::uint8_t, 4> salt{};
        random_.fill(salt);
        out.password_hash = hash_password(*plain, (std::uint32_t{salt[0]} << 24) | (std::uint32_t{salt[1]} << 16) |
                                                      (std::uint32_t{salt[2]} << 8) | salt[3]);
        return;
    }
    if (const auto said = text(in, "hashing_algorithm")) {
        const auto known = hashing_of(*said);
        if (!known)
            return fail(in.path + ".hashing_algorithm",
                        "\"" + *said + "\" is not supported: " + std::string(to_string(hashing::sha256)) + " and " +
                            std::string(to_string(hashing::sha512)) + " are");
        out.algorithm = *known;
    }
    // Without one nobody gets in by password (but by a certificate).
    if (!hash->empty() && !is_password_hash(*hash, out.algorithm))
        return fail(in.path + ".password_hash", "is not base64 of a salt and a digest");
    out.password_hash = *hash;
}

// A list, or as older versions write it: words with commas between them.
std::vector<std::string> definition_parser::tags(const item& in) {
    std::vector<std::string> all;
    dom::element found;
    if (in.is["tags"].get(found) != simdjson::SUCCESS) return all;
    dom::array list;
    if (found.get(list) == simdjson::SUCCESS) {
        for (const dom::element one : list) {
            std::string_view word;
            if (one.get(word) != simdjson::SUCCESS) fail(in.path + ".tags", "must be strings");
            all.emplace_back(word);
        }
        return all;
    }
    std::istringstream words(text(in, "tags").value_or(""));
    for (std::string word; std::getline(words, word, ',');)
        if (!word.empty()) all.push_back(word);
    return all;
}

void definition_parser::read_permission(const item& in) {
    permission_definition made{.user = name(in, "user"), .vhost = name(in, "vhost")};
    const auto rule = [&](const char* key, std::string& to) {
        if (auto said = text(in, key))
            to = std::move(*said);
        else
            fail(in.path + "." + key, "is missing");
    };
    rule("configure", made.rules.configure);
    rule("write", made.rules.write);
    rule("read", made.rules.read);
    out_.set.permissions.push_back(std::move(made));
}

void definition_parser::read_policy_of(const item& in) {
    policy made{.vhost = name(in, "vhost"),
                .name = name(in, "name"),
                .pattern = text(in, "pattern").value_or(""),
                .priority = number(in, "priority"),
                .definition = table(in, "definition")};
    const std::string target = text(in, "apply-to").value_or("all");
    const auto known = policy_target_of(target);
    if (!known) return fail(in.path + ".apply-to", "\"" + target + "\" is none of queues, exchanges, all");
    made.apply_to = *known;
    if (const auto read = read_policy(made)) {
        for (const std::string& key : read->unknown)
            out_.warnings.push_back(in.path + ".definition." + key + ": has no effect on this broker");
    } else {
        return fail(in.path + "." + read.error().at, read.error().text);
    }
    out_.set.policies->push_back(std::move(made));
}

void definition_parser::read_exchange(const item& in) {
    out_.set.exchanges.push_back({name(in, "vhost"),
                                  {.name = name(in, "name"),
                                   .type = name(in, "type"),
                                   .durable = flag(in, "durable", true),
                                   .auto_delete = flag(in, "auto_delete", false),
                                   .internal = flag(in, "internal", false),
                                   .arguments = table(in, "arguments")}});
}

void definition_parser::read_queue(const item& in) {
    queue_definition made{
        name(in, "vhost"),
        {.name = name(in, "name"),
         .flags = {.durable = flag(in, "durable", true), .auto_delete = flag(in, "auto_delete", false)},
         .arguments = table(in, "arguments")}};
    // The kind is an argument; a file that says it beside the arguments alone means it no less.
    const std::string type = name_or_empty(in, "type");
    if (!type.empty() && type != "classic" && !made.is.arguments.find("x-queue-type"))
        made.is.arguments.set("x-queue-type", std::string_view(type));
    out_.set.queues.push_back(std::move(made));
}

void definition_parser::read_binding(const item& in) {
    const std::string kind = name_or_empty(in, "destination_type");
    if (kind != "queue" && kind != "exchange")
        return fail(in.path + ".destination_type", "must be \"queue\" or \"exchange\"");
    const std::string source = name_or_empty(in, "source");
    // Every queue is bound to the default exchange by itself.
    if (source.empty()) return;
    out_.set.bindings.push_back({name(in, "vhost"),
                                 {.source = source,
                                  .destination = name(in, "destination"),
                                  .to_exchange = kind == "exchange",
                                  .routing_key = name_or_empty(in, "routing_key"),
                                  .arguments = table(in, "arguments")}});
}

}  // namespace

std::expected<read_definitions, std::string> parse_definitions(std::string_view json, random_source& random) {
    dom::parser parser;
    dom::element root;
    if (const auto failure = parser.parse(json.data(), json.size(), true).get(root))
        return std::unexpected(std::string("not valid JSON: ") + simdjson::error_message(failure));
    definition_parser reading(random);
    if (!reading.read(root)) return std::unexpected(reading.problem());
    return reading.take();
}

std::expected<read_definitions, std::string> load_definitions(const std::string& file, random_source& random) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return std::unexpected(file + ": " + std::generic_category().message(errno));
    const std::string json{std::istreambuf_iterator<char>(in), {}};
    auto read = parse_definitions(json, random);
    if (!read) return std::unexpected(file + ": " + read.error());
    for (std::string& warning : read->warnings) warning = file + ": " + warning;
    return read;
}

}  // namespace foz::broker
