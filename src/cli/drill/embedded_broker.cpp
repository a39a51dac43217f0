#include "cli/drill/brokers.hpp"

namespace foz::cli::drill {
namespace {

constexpr milliseconds embedded_start_patience{60'000};

class embedded_process final : public broker_nodes {
public:
    embedded_process(const temporary_folder& folder, std::string data)
        : log_(folder.file("broker.log")), data_(std::move(data)) {}

    std::size_t size() const override { return 1; }
    std::string name_of(std::size_t) const override { return "the broker"; }
    std::vector<std::string> urls() const override { return {"amqp://" + address_}; }
    process& at(std::size_t) override { return *process_; }

    void start() override {
        launch(0);
        await_ready(0);
    }
    void launch(std::size_t) override {
        process_ = std::make_unique<process>(
            command{.name = "broker",
                    .arguments = {own_program(), "broker", "--data", data_, "--listen", address_},
                    .log = log_});
    }
    void await_ready(std::size_t) override {
        const auto said = process_->wait_for("ready: amqp://", embedded_start_patience);
        if (!said) throw std::runtime_error("the embedded broker did not start: " + process_->last_words());
        address_ = said->substr(0, said->find_first_of("/ "));
    }

private:
    const std::string log_;
    const std::string data_;
    std::string address_ = "127.0.0.1:0";  // once it has a port, that one for ever
    std::unique_ptr<process> process_;
};

}  // namespace

std::unique_ptr<broker_nodes> make_embedded_broker(const temporary_folder& folder, const std::string& data) {
    return std::make_unique<embedded_process>(folder, data);
}

}  // namespace foz::cli::drill
