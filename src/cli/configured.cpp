#include "cli/configured.hpp"

#include "amqp/conn/client.hpp"
#include "cli/commands.hpp"

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <unistd.h>

#include <CLI/CLI.hpp>

namespace foz::cli {

configured::configured(CLI::App& command, const std::vector<std::string>& sections,
                       const std::map<std::string, std::string>& shorter) {
    command.add_option("--config", file_, "TOML file; variables and flags are stronger")
        ->envname("FOZ_CONFIG")
        ->type_name("FILE");
    for (const ops::key& one : ops::keys()) {
        const bool wanted =
            sections.empty() || std::find(sections.begin(), sections.end(), one.section) != sections.end();
        if (one.flag.empty() || !wanted) continue;
        const auto other = shorter.find(one.flag);
        add_flag(command, one, one.flag);
        if (other == shorter.end()) continue;
        flags_.back().option->group("");  // understood, not shown
        add_flag(command, one, other->second);
    }
}

void configured::add_flag(CLI::App& command, const ops::key& one, const std::string& name) {
    flag& made = flags_.emplace_back(flag{.what = &one, .name = name, .option = nullptr});
    if (one.type == ops::value_type::boolean) {
        made.option = command.add_flag(name, made.on, one.help);
        return;
    }
    if (one.type == ops::value_type::list) {
        made.option = command.add_option(name, made.texts, one.help)->allow_extra_args(false);
        made.option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    } else {
        made.option = command.add_option(name, made.text, one.help);
        made.option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
    const std::string words =
        one.type == ops::value_type::text && !one.words.empty() ? CLI::detail::join(one.words, "|") : one.unit;
    made.option->type_name(words.empty() ? "N" : words);
    ops::configuration defaults;
    const std::string usual = ops::to_toml(one.get({defaults}));
    if (usual != "\"\"" && usual != "[]") made.option->default_str(usual);
}

namespace {

// The client libraries that came with this program: where `cmake --install` puts them, or in its build folder.
void find_libraries(aggregator::settings& server) {
    std::error_code failure;
    const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", failure).parent_path();
    const auto find = [&](std::string& file, const char* name) {
        for (const auto& place : {folder / "../share/foz" / name, folder / "../.." / name})
            if (file.empty() && std::filesystem::exists(place, failure)) file = place.lexically_normal().string();
    };
    find(server.primus_js_file, "primus.js");
    find(server.foz_js_file, "foz.js");
}

}  // namespace

ops::configuration configured::read(ops::configuration_reader& reader) const {
    if (!file_.empty()) reader.read_file(file_);
    std::vector<std::string_view> environment;
    for (char** one = environ; *one; ++one) environment.emplace_back(*one);
    reader.read_variables(environment);
    for (const flag& one : flags_) {
        if (one.option->count() == 0) continue;
        const bool list = one.what->type == ops::value_type::list;
        const bool boolean = one.what->type == ops::value_type::boolean;
        reader.read_flag(*one.what, list ? one.texts : std::vector{boolean ? (one.on ? "true" : "false") : one.text},
                         one.name);
    }
    ops::configuration all = reader.finish();
    find_libraries(all.server);
    return all;
}

ops::configuration configured::read() const {
    ops::configuration_reader reader;
    ops::configuration all = read(reader);
    require_good(reader);
    return all;
}

void require_good(const ops::configuration_reader& reader) {
    if (reader.problems().empty()) return;
    if (reader.flag_is_wrong()) throw wrong_usage(reader.problems().front());
    throw std::runtime_error(reader.problems().front());
}

namespace {

template <class Visit>
void each_amqps(const aggregator::settings& server, const Visit& visit) {
    std::vector<amqp::url> seen;
    for (const auto* const urls : {&server.consume_urls, &server.publish_urls})
        for (const amqp::url& one : *urls) {
            if (!one.tls || std::ranges::find(seen, one) != seen.end()) continue;
            visit(one);
            seen.push_back(one);
        }
}

}  // namespace

std::vector<std::string> broker_tls_problems(const aggregator::settings& server) {
    std::vector<std::string> out;
    each_amqps(server, [&](const amqp::url& one) {
        if (const auto made = net::make_tls_context(amqp::tls_of(one, server.broker_tls)); !made)
            out.push_back(one.redacted() + ": " + made.error());
    });
    return out;
}

std::vector<std::string> broker_tls_warnings(const aggregator::settings& server) {
    std::vector<std::string> out;
    each_amqps(server, [&](const amqp::url& one) {
        if (one.verify == false)
            out.push_back(
                one.redacted() +
                ": verify_none: the certificate is not checked, so anyone who can answer there receives the password");
    });
    return out;
}

void require_tls(const aggregator::settings& server) {
    if (const auto problems = broker_tls_problems(server); !problems.empty())
        throw std::runtime_error(problems.front());
}

}  // namespace foz::cli
