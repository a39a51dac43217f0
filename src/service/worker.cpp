#include "service/worker.hpp"

#include "contract/names.hpp"
#include "service/connect_json.hpp"
#include "service/worker_core.hpp"

#include <exception>
#include <string>
#include <utility>

namespace foz::service {

worker::worker(worker_options options) : core_(std::make_unique<worker_core>(std::move(options))) {}
worker::~worker() = default;

void worker::on(const std::string& channel, const std::string& type, handler work) {
    core_->on(channel, type, std::move(work));
}
void worker::on_connect(const std::string& channel, connect_handler decide) {
    core_->on(channel, std::string(contract::type_connect), [this, decide = std::move(decide)](request& r) {
        const auto asked = parse_connect_question(r.message());
        if (!asked) throw error("bad_message", "a question about a client is expected");
        try {
            r.reply(decide(*asked).json());
        } catch (const std::exception& failure) {
            if (core_->tell_notice)
                core_->tell_notice("channel " + std::string(r.channel()) + ": nobody decided about a client, " +
                                   failure.what());
            throw error("not_decided", "nobody can say it now");
        }
    });
}
void worker::follow(const std::string& channel, std::chrono::system_clock::time_point since, follower hear) {
    core_->follow(channel, since, std::move(hear));
}
void worker::on_ready(std::function<void()> tell) {
    core_->tell_ready = std::move(tell);
}
void worker::on_notice(std::function<void(const std::string&)> tell) {
    core_->tell_notice = std::move(tell);
}
void worker::run(bool signals) {
    core_->run(signals);
}
void worker::stop() {
    core_->stop();
}
worker_counters worker::counters() const {
    return core_->counters();
}

}  // namespace foz::service
