#include "broker/operators.hpp"

#include "broker/definitions/json.hpp"
#include "broker/definitions/kept.hpp"
#include "broker/definitions/topology.hpp"

#include <stdexcept>
#include <utility>

namespace foz::broker {
namespace {

void require(const std::expected<void, std::string>& done, const std::string& label) {
    if (!done) throw std::runtime_error(label + done.error());
}

// On this machine, with all rights everywhere.
user_settings local_user(const std::string& name, const std::string& password, random_source& random) {
    const auto salt = static_cast<std::uint32_t>(random.below(std::uint64_t{1} << 32));
    return {.name = name, .password_hash = hash_password(password, salt), .loopback_only = true, .vhosts = {{"*", {}}}};
}

}  // namespace

operators_definitions::operators_definitions(const embedded_options& options, storage& disk, random_source& random)
    : label_(options.definitions_file + ": "), given_(options.definitions), random_(random) {
    if (!options.definitions_file.empty()) {
        auto read = load_definitions(options.definitions_file, random);
        if (!read) throw std::runtime_error(read.error());
        file_ = std::move(read->set);
        for (const std::string& warning : read->warnings)
            if (options.notice) options.notice(warning);
    }
    const auto was = kept_definitions([&](const auto& each) { disk.definitions(each); });
    all_ = was;
    definition_set now = file_;
    append(now, given_);
    append(now, {.vhosts = options.vhosts});
    lay_over(all_, now);
    // Not kept: whoever defines virtual hosts later need not have it.
    if (all_.vhosts.empty()) builtin_vhost_ = {"/"};
    require(check(file_, whole()), label_);
    require(check(given_, whole()), "");
    keep(disk, was, all_);
}

definition_set operators_definitions::whole() const {
    definition_set out = all_;
    append(out, {.vhosts = builtin_vhost_});
    return out;
}

std::vector<user_settings> operators_definitions::users(const embedded_options& options) const {
    std::vector<user_settings> out = front_users(all_);
    if (out.empty()) out.push_back(local_user("guest", "guest", random_));
    std::erase_if(out, [&](const user_settings& one) { return one.name == options.inside_user; });
    if (!options.inside_user.empty()) out.push_back(local_user(options.inside_user, options.inside_password, random_));
    return out;
}

void operators_definitions::declare_in(node& model) const {
    require(declare(model, file_), label_);
    require(declare(model, given_), "");
}

}  // namespace foz::broker
