#include "cli/drill/system.hpp"

#include "base/json.hpp"

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace foz::cli::drill {
namespace {

constexpr milliseconds ready_patience{60'000};

std::string numbered(const std::string& name, std::size_t which) {
    return name + " " + std::to_string(which + 1);
}

// As workers in Node are told.
std::string json_of(const std::vector<drill_channel>& channels) {
    std::string out;
    const auto word = [](bool is) { return std::string(is ? "true" : "false"); };
    for (const drill_channel& one : channels)
        out += std::string(out.empty() ? "" : ",") + "{\"name\":" + json_string(one.name) +
               ",\"durable\":" + word(one.durable) + ",\"ordered\":" + word(one.ordered) + "}";
    return "[" + out + "]";
}

}  // namespace

system_under_test::system_under_test(const temporary_folder& folder, const plan& what, system_options how)
    : folder_(folder),
      how_(std::move(how)),
      worker_flags_(what.worker_flags),
      channels_json_(json_of(what.channels)),
      from_(how_.other.empty() ? build::own : build::other),
      broker_(how_.cluster ? make_cluster(folder)
                           : make_embedded_broker(folder, what.data.empty() ? folder.file("data") : what.data)),
      aggregators_(what.aggregators),
      workers_(what.workers) {
    write_configuration(what);
}

void system_under_test::write_configuration(const plan& what) const {
    std::ofstream out(folder_.file("foz.toml"));
    out << what.toml << "\n";
    // A worker that is started anew on a busy machine is not to count as none.
    for (const drill_channel& one : what.channels)
        out << "[channels." << one.name << "]\nno_service_after_ms = 60000\n" << one.toml << "\n";
    if (!out.flush()) throw std::runtime_error(folder_.file("foz.toml") + " can't be written");
}

std::string system_under_test::program() const {
    return from_ == build::other ? how_.other : own_program();
}

void system_under_test::start() {
    broker_->start();
    // One after the other: whoever comes first declares everything.
    for (std::size_t i = 0; i < aggregators_.size(); ++i) {
        launch_aggregator(i);
        await_aggregator(i);
    }
    for (std::size_t i = 0; i < workers_.size(); ++i) launch_worker(i);
    for (std::size_t i = 0; i < workers_.size(); ++i) await_worker(i);
}

void system_under_test::launch_aggregator(std::size_t which) {
    aggregator_process& one = aggregators_.at(which);
    command what{.name = numbered("aggregator", which),
                 .arguments = {program(), "serve", "--config", folder_.file("foz.toml"), "--listen",
                               "127.0.0.1:" + std::to_string(one.port), "--threads", "1"},
                 .log = folder_.file("aggregator" + std::to_string(which + 1) + ".log")};
    // Each begins with another node.
    const std::vector<std::string> urls = broker_->urls();
    for (std::size_t i = 0; i < urls.size(); ++i) {
        what.arguments.emplace_back("--broker");
        what.arguments.push_back(urls[(which + i) % urls.size()]);
    }
    one.running = std::make_unique<process>(what);
}

void system_under_test::await_aggregator(std::size_t which) {
    aggregator_process& one = aggregators_.at(which);
    const auto said = one.running->wait_for("ready: http://127.0.0.1:", ready_patience);
    if (!said) throw std::runtime_error(one.running->name() + " is not ready: " + one.running->last_words());
    std::from_chars(said->data(), said->data() + said->size(), one.port);
}

void system_under_test::launch_worker(std::size_t which) {
    command what{.name = numbered("worker", which),
                 .arguments = {},
                 .log = folder_.file("worker" + std::to_string(which + 1) + ".log")};
    if (how_.node_workers)
        what.arguments = {"node", node_script("drill_worker.mjs"), "--channels", channels_json_};
    else
        what.arguments = {program(), "drill-worker", "--config", folder_.file("foz.toml")};
    for (const std::string& one :
         {std::string("--log"), folder_.file("runs"), std::string("--dependency"), folder_.file("dependency-down")})
        what.arguments.push_back(one);
    for (const std::string& url : broker_->urls()) {
        what.arguments.emplace_back("--broker");
        what.arguments.push_back(url);
    }
    what.arguments.insert(what.arguments.end(), worker_flags_.begin(), worker_flags_.end());
    workers_.at(which) = std::make_unique<process>(what);
}

void system_under_test::await_worker(std::size_t which) {
    process& one = *workers_.at(which);
    if (!one.wait_for("drill-worker: ready", ready_patience))
        throw std::runtime_error(one.name() + " is not ready: " + one.last_words());
}

std::vector<std::uint16_t> system_under_test::ports() const {
    std::vector<std::uint16_t> out;
    for (const aggregator_process& one : aggregators_) out.push_back(one.port);
    return out;
}

void system_under_test::set_dependency(bool up) const {
    const std::string file = folder_.file("dependency-down");
    if (up)
        std::filesystem::remove(file);
    else
        std::ofstream(file).flush();
}

std::vector<run> system_under_test::read_runs() const {
    std::vector<run> out;
    std::ifstream in(folder_.file("runs"));
    for (std::string text; std::getline(in, text);)
        if (run one; std::sscanf(text.c_str(), R"({"s":%u,"n":%u})", &one.sender, &one.number) == 2) out.push_back(one);
    return out;
}

}  // namespace foz::cli::drill
