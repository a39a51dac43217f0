// Definitions over several starts of a broker on one folder.
#include "base/random.hpp"
#include "broker/embedded.hpp"
#include "net/runtime.hpp"

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class embedded_definitions : public testing::Test {
protected:
    embedded_definitions() { std::filesystem::create_directories(folder_); }
    ~embedded_definitions() override { std::filesystem::remove_all(folder_); }

    std::string file(const std::string& json) {
        const std::string path = folder_ + "/defs.json";
        std::ofstream(path) << json;
        return path;
    }

    // Starts a broker and ends it; what it exports, or the line that it ends with.
    std::string started(embedded_options options) {
        options.data = folder_ + "/data";
        options.port = 0;
        options.notice = [this](const std::string& line) { notices_.push_back(line); };
        net::runtime cores(1);
        try {
            const embedded broker(cores.at(0), std::move(options));
            return broker.export_definitions();
        } catch (const std::runtime_error& error) {
            return error.what();
        }
    }
    std::string started_with(const std::string& json) { return started({.definitions_file = file(json)}); }

    const std::string folder_ = (std::filesystem::temp_directory_path() / ("foz-" + system_random().token(64)));
    std::vector<std::string> notices_;
};

const std::string topology_json = R"({"vhosts": [{"name": "a"}],
  "exchanges": [{"name": "x", "vhost": "a", "type": "topic"}],
  "queues": [{"name": "q", "vhost": "a", "arguments": {"x-max-length": 5}},
             {"name": "amq.gen-kept", "vhost": "a", "arguments": {}}],
  "bindings": [{"source": "x", "vhost": "a", "destination": "q", "destination_type": "queue", "routing_key": "k",
                "arguments": {"n": 1, "s": "t"}}]})";

TEST_F(embedded_definitions, what_a_file_defines_is_there_and_stays_without_the_file) {
    const std::string first = started_with(topology_json);
    EXPECT_THAT(first, HasSubstr(R"({"name": "q", "vhost": "a", "type": "classic", "durable": true)"));
    EXPECT_THAT(first, HasSubstr("amq.gen-kept"));
    EXPECT_THAT(first, HasSubstr(R"("routing_key": "k", "arguments": {"n": 1, "s": "t"})"));
    EXPECT_EQ(started_with(topology_json), first);
    EXPECT_EQ(started({}), first);
    EXPECT_EQ(export_definitions(folder_ + "/data"), first);
}

TEST_F(embedded_definitions, what_it_exports_is_taken_by_another_one) {
    const std::string first = started_with(topology_json);
    std::filesystem::remove_all(folder_ + "/data");
    EXPECT_EQ(started_with(first), first);
}

TEST_F(embedded_definitions, a_conflict_names_object_and_argument_and_nothing_starts) {
    started_with(topology_json);
    EXPECT_THAT(started_with(R"({"vhosts": [{"name": "a"}],
        "queues": [{"name": "p", "vhost": "a"}, {"name": "q", "vhost": "a", "arguments": {"x-max-length": 6}}]})"),
                HasSubstr("defs.json: queues[1].arguments.x-max-length: inequivalent arg 'x-max-length' for queue 'q' "
                          "in vhost 'a': received '6' but current is '5'"));
    EXPECT_THAT(started_with(R"({"exchanges": [{"name": "x", "vhost": "a", "type": "direct"}]})"),
                HasSubstr("exchanges[0].type: inequivalent arg 'type' for exchange 'x'"));
    EXPECT_THAT(started_with(R"({"queues": [{"name": "n", "vhost": "a", "arguments": {"x-max-length": -1}}]})"),
                HasSubstr("queues[0].arguments.x-max-length: invalid arg 'x-max-length'"));
    EXPECT_THAT(started_with(R"({"bindings": [{"source": "no", "vhost": "a", "destination": "q",
        "destination_type": "queue", "routing_key": ""}]})"),
                HasSubstr("bindings[0]: no exchange 'no' in vhost 'a'"));
}

TEST_F(embedded_definitions, a_virtual_host_that_is_named_takes_the_place_of_the_built_in_one) {
    EXPECT_THAT(started({}), HasSubstr(R"({"name": "/"})"));
    EXPECT_THAT(started_with(R"({"vhosts": [{"name": "a"}]})"), Not(HasSubstr(R"({"name": "/"})")));
    EXPECT_THAT(started({.vhosts = {"b"}}), HasSubstr(R"({"name": "b"})"));
    EXPECT_THAT(started({}), HasSubstr(R"({"name": "a"})"));
}

TEST_F(embedded_definitions, a_virtual_host_with_queues_is_there_though_nobody_names_it) {
    started({.definitions = {.queues = {{"/", {.name = "q", .flags = {.durable = true}, .arguments = {}}}}}});
    const std::string later = started({.vhosts = {"other"}});
    EXPECT_THAT(later, HasSubstr(R"({"name": "/"})"));
    EXPECT_THAT(later, HasSubstr(R"({"name": "q", "vhost": "/")"));
}

TEST_F(embedded_definitions, users_of_a_later_file_replace_those_of_the_earlier) {
    const std::string first = started_with(R"({"vhosts": [{"name": "/"}], "users": [{"name": "anna", "password": "s"}],
        "permissions": [{"user": "anna", "vhost": "/", "configure": "", "write": "", "read": ".*"}]})");
    EXPECT_THAT(first, HasSubstr(R"({"name": "anna", "password_hash": ")"));
    EXPECT_THAT(first, HasSubstr(R"({"user": "anna", "vhost": "/", "configure": "", "write": "", "read": ".*"})"));
    EXPECT_EQ(started({}), first);
    const std::string later = started_with(R"({"users": [{"name": "bert", "password": "s"}]})");
    EXPECT_THAT(later, HasSubstr("bert"));
    EXPECT_THAT(later, Not(HasSubstr("anna")));
}

TEST_F(embedded_definitions, policies_of_the_file_and_of_the_program_add_up_and_replace_those_kept) {
    const definition_set given{
        .policies = std::vector<policy>{
            {.vhost = "/", .name = "own", .pattern = "^OUT_", .definition = {{"max-length-bytes", 1000}}}}};
    const std::string json = R"({"policies": [{"vhost": "/", "name": "file", "pattern": "", "definition": {}}]})";
    const std::string both = started({.definitions_file = file(json), .definitions = given});
    EXPECT_THAT(both, HasSubstr(R"("name": "own")"));
    EXPECT_THAT(both, HasSubstr(R"("name": "file")"));
    EXPECT_EQ(started({}), both);
    const std::string own = started({.definitions = given});
    EXPECT_THAT(own, Not(HasSubstr(R"("name": "file")")));
    EXPECT_THAT(own, HasSubstr(R"("definition": {"max-length-bytes": 1000})"));
}

TEST_F(embedded_definitions, warnings_name_the_file) {
    started_with(R"({"parameters": [{}]})");
    EXPECT_THAT(notices_, ElementsAre(folder_ + "/defs.json: parameters: not supported, left out"));
}

TEST_F(embedded_definitions, a_folder_that_is_none_is_not_made_by_an_export) {
    EXPECT_THROW(export_definitions(folder_ + "/none"), std::runtime_error);
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/none"));
}

}  // namespace
}  // namespace foz::broker
