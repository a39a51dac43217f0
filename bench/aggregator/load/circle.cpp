#include "circle.hpp"

#include "../../broker/load/process.hpp"

#include <algorithm>
#include <stdexcept>

namespace foz::load {
namespace {

constexpr std::size_t sampled = 256;  // clients whose segments are counted
constexpr double longest_times = 15;  // of the time that was asked for

}  // namespace

circle_window::circle_window(const arguments& all)
    : window(all.count("window", 1)),
      seconds(all.number("seconds", 1)),
      warm_up(all.number("warm_up", 0.3)),
      at_least(all.count("at_least", 0)) {}

json_line circle::measure(const circle_window& how, const next_frame& next) {
    window_ = how.window;
    next_ = &next;
    const std::uint64_t published_before = published_;
    moved_at_ = now_seconds();
    measure_idle_poll();
    moved_at_ = now_seconds();
    turn_for(how.warm_up, 0);
    const sample before = look();
    const totals first = seen_;
    idle_polls_ = 0;
    const usage used(options_.server);
    turn_for(how.seconds, how.at_least);
    json_line out;
    used.add_to(out);
    const totals last = seen_;
    const sample after = look();
    const auto ratio = [](std::uint64_t a, std::uint64_t b) {
        return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
    };
    out.add("load_idle", static_cast<double>(idle_polls_) * idle_poll_cpu_)
        .add("deliveries", last.deliveries - first.deliveries)
        .add("frame_octets", ratio(last.octets - first.octets, last.deliveries - first.deliveries))
        .add("frames_per_write", ratio(after.frames - before.frames, after.segments - before.segments));
    let_arrive();
    out.add("published", published_ - published_before);  // the warm-up and what has arrived since included
    return out;
}

// Nothing is on its way now: this is what the polls cost that find nothing.
void circle::measure_idle_poll() {
    constexpr int polls = 2'000;
    const double begin = bench::own_cpu_seconds();
    for (int i = 0; i < polls; ++i) one_poll();
    idle_poll_cpu_ = (bench::own_cpu_seconds() - begin) / polls;
}

void circle::turn_for(double seconds, std::uint64_t at_least) {
    const double begin = now_seconds();
    const std::uint64_t wanted = seen_.deliveries + at_least;
    for (double passed = 0; passed < seconds || (seen_.deliveries < wanted && passed < longest_times * seconds);
         passed = now_seconds() - begin) {
        refill();
        one_poll();
    }
}

void circle::refill() {
    const std::uint64_t complete = seen_.deliveries / options_.receivers;
    if (published_ >= complete + window_) return says_.flush();
    out_.clear();
    for (; published_ < complete + window_; ++published_) (*next_)(out_);
    says_.send(out_);
}

void circle::one_poll() {
    const std::uint64_t before = seen_.deliveries;
    clients_.poll(0, [this](std::size_t index, std::string_view payload) {
        if (!words_.is_delivery(payload)) return;
        ++counts_[index];
        ++seen_.deliveries;
        seen_.octets += payload.size() + server_header_size(payload.size());
    });
    if (seen_.deliveries != before) {
        moved_at_ = now_seconds();
        return;
    }
    ++idle_polls_;
    if (clients_.gone() > 0) throw std::runtime_error("the server has closed a connection");
    if (now_seconds() - moved_at_ > options_.patience) throw std::runtime_error("no delivery any more");
}

void circle::let_arrive() {
    if (words_.kind() == server_kind::bare) says_.say("f");
    while (seen_.deliveries < published_ * options_.receivers) {
        says_.flush();
        one_poll();
    }
}

circle::sample circle::look() const {
    sample out;
    const std::size_t stride = std::max<std::size_t>(1, clients_.size() / sampled);
    for (std::size_t i = 0; i < clients_.size(); i += stride) {
        out.frames += counts_[i];
        out.segments += clients_[i].segments_in();
    }
    return out;
}

}  // namespace foz::load
