// The configuration of a subcommand: its flags, made from the table of keys, over variables and a file.
#pragma once

#include "ops/config/configuration.hpp"
#include "ops/config/keys.hpp"

#include <deque>
#include <map>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace foz::cli {

class configured {
public:
    // Adds --config and the flags of the keys in these sections; all of them when none is named. `shorter`: the names
    // here of flags that need not be told apart; their own are understood too.
    explicit configured(CLI::App& command, const std::vector<std::string>& sections = {},
                        const std::map<std::string, std::string>& shorter = {});
    configured(const configured&) = delete;
    configured& operator=(const configured&) = delete;

    // A file that is said otherwise than by --config.
    void set_file(std::string path) { file_ = std::move(path); }
    // All layers. The reader knows problems and origins.
    ops::configuration read(ops::configuration_reader& reader) const;
    // The same, and require_good().
    ops::configuration read() const;

private:
    struct flag {
        const ops::key* what;
        std::string name;  // "--listen"
        CLI::Option* option;
        std::string text;
        std::vector<std::string> texts;
        bool on = false;
    };

    void add_flag(CLI::App& command, const ops::key& one, const std::string& name);

    std::string file_;
    std::deque<flag> flags_;  // the command line writes into them: they stay where they are
};

// What keeps an amqps broker from being reached whatever it does: files that can't be used. And what is dangerous.
std::vector<std::string> broker_tls_problems(const aggregator::settings& server);
std::vector<std::string> broker_tls_warnings(const aggregator::settings& server);
// Throws the first problem: it is told now, and not at every attempt to connect.
void require_tls(const aggregator::settings& server);

// Throws the first problem, as wrong_usage when a flag is wrong.
void require_good(const ops::configuration_reader& reader);

}  // namespace foz::cli
