#include "cli/drill/clients.hpp"

#include "cli/drill/client.hpp"
#include "net/runtime.hpp"

#include <algorithm>
#include <functional>
#include <future>
#include <thread>
#include <unordered_set>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace foz::cli::drill {

std::vector<line> make_lines(const clients_setup& how) {
    std::vector<line> out;
    for (unsigned i = 0; i < how.count; ++i)
        for (const drill_channel& channel : how.channels) {
            line& one = out.emplace_back();
            one.client = "client " + std::to_string(i + 1);
            one.channel = channel.name;
            one.durable = channel.durable;
            one.ordered = channel.ordered;
            one.resumes = how.plugin;
        }
    return out;
}

bool all_heard(const std::vector<line>& lines) {
    for (const line& listener : lines) {
        if (!listener.durable || !listener.resumes) continue;
        std::unordered_set<std::uint64_t> heard;
        for (const delivery& one : listener.heard) heard.insert((std::uint64_t{one.sender} << 32) | one.number);
        for (std::size_t sender = 0; sender < lines.size(); ++sender) {
            if (lines[sender].channel != listener.channel) continue;
            const auto& wrote = lines[sender].operations;
            for (std::size_t i = 0; i < wrote.size(); ++i)
                if (wrote[i].acknowledged() && listener.listening <= wrote[i].written &&
                    !heard.contains((std::uint64_t{sender} << 32) | (i + 1)))
                    return false;
        }
    }
    return true;
}

namespace {

// On a thread of their own.
class built_in_clients final : public clients {
public:
    explicit built_in_clients(const clients_setup& how);
    ~built_in_clients() override;

    std::size_t size() const override { return groups_.size(); }
    void start() override;
    void set_writing(bool on) override;
    progress look() override;
    void drop(std::size_t client, milliseconds away) override;
    void abandon(std::size_t client) override;
    void sleep(std::size_t client, milliseconds span) override;
    void write_poison(std::size_t client, const std::string& expected) override;
    std::vector<line> finish() override;

private:
    void call(const std::function<void()>& work);
    boost::asio::awaitable<void> run_one(drill_client& one);

    net::runtime core_{1};
    std::vector<line> lines_;
    std::vector<std::vector<std::unique_ptr<drill_client>>> groups_;  // the sockets of each client
    std::size_t running_ = 0;
    std::thread thread_;
};

built_in_clients::built_in_clients(const clients_setup& how) : lines_(make_lines(how)) {
    const std::size_t channels = how.channels.size();
    for (unsigned i = 0; i < how.count; ++i) {
        client_setup setup{.resume = core_.at(0).random().token(), .plugin = how.plugin};
        setup.pace = how.pace;
        setup.patience = how.patience;
        for (std::size_t k = 0; k < how.ports.size(); ++k) setup.ports.push_back(how.ports[(i + k) % how.ports.size()]);
        std::vector<std::uint32_t> numbers;
        std::vector<line*> lines;
        for (std::size_t k = 0; k < channels; ++k) {
            numbers.push_back(static_cast<std::uint32_t>(i * channels + k));
            lines.push_back(&lines_[i * channels + k]);  // they stay where they are
        }
        auto& group = groups_.emplace_back();
        if (how.sockets == 1) {
            group.push_back(std::make_unique<drill_client>(core_.at(0), setup, numbers, lines));
            continue;
        }
        for (std::size_t k = 0; k < channels; ++k) {
            setup.bound_channel = how.channels[k].name;
            group.push_back(
                std::make_unique<drill_client>(core_.at(0), setup, std::vector{numbers[k]}, std::vector{lines[k]}));
        }
    }
}

built_in_clients::~built_in_clients() {
    if (thread_.joinable()) finish();
}

void built_in_clients::start() {
    for (const auto& group : groups_)
        for (const auto& one : group) {
            ++running_;
            boost::asio::co_spawn(core_.at(0).context(), run_one(*one), boost::asio::detached);
        }
    thread_ = std::thread([this] { core_.run(); });
}

boost::asio::awaitable<void> built_in_clients::run_one(drill_client& one) {
    co_await one.run();
    if (--running_ == 0) core_.stop();
}

// On the clients' thread; returns when it is done.
void built_in_clients::call(const std::function<void()>& work) {
    std::promise<void> done;
    core_.at(0).post([&] {
        work();
        done.set_value();
    });
    done.get_future().wait();
}

void built_in_clients::set_writing(bool on) {
    call([&] {
        for (const auto& group : groups_)
            for (const auto& one : group) one->set_writing(on);
    });
}

progress built_in_clients::look() {
    progress out;
    call([&] {
        out = look_at(lines_);
        out.settled = true;
        for (const auto& group : groups_) {
            const auto all = [&group](auto what) { return std::ranges::all_of(group, what); };
            out.listening += all([](const auto& one) { return one->listening(); }) ? 1 : 0;
            out.settled = out.settled && all([](const auto& one) { return one->settled(); });
        }
        out.complete = out.settled && all_heard(lines_);
    });
    return out;
}

void built_in_clients::drop(std::size_t client, milliseconds away) {
    call([&] {
        for (const auto& one : groups_.at(client)) one->drop(away);
    });
}

void built_in_clients::abandon(std::size_t client) {
    call([&] {
        for (const auto& one : groups_.at(client)) one->abandon();
    });
}

void built_in_clients::sleep(std::size_t client, milliseconds span) {
    call([&] {
        for (const auto& one : groups_.at(client)) one->sleep(span);
    });
}

void built_in_clients::write_poison(std::size_t client, const std::string& expected) {
    call([&] { groups_.at(client).front()->write_poison(0, expected); });
}

std::vector<line> built_in_clients::finish() {
    call([&] {
        for (const auto& group : groups_)
            for (const auto& one : group) one->stop();
    });
    thread_.join();
    groups_.clear();
    return std::move(lines_);
}

}  // namespace

progress look_at(const std::vector<line>& lines) {
    progress out;
    for (const line& one : lines) {
        out.written += one.operations.size();
        out.heard += one.heard.size();
        for (const operation& wrote : one.operations) out.acknowledged += wrote.acknowledged() ? 1 : 0;
    }
    return out;
}

std::unique_ptr<clients> make_built_in_clients(const clients_setup& how) {
    return std::make_unique<built_in_clients>(how);
}

}  // namespace foz::cli::drill
