#include "common/program.hpp"
#include "guide.hpp"

#include <charconv>
#include <chrono>
#include <stdexcept>
#include <string>

namespace {

std::chrono::milliseconds parse_pause(const std::string& text) {
    unsigned ms = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
    if (error != std::errc() || end != text.data() + text.size() || ms > 60'000)
        throw std::runtime_error("--pause: 0 to 60000 milliseconds are expected");
    return std::chrono::milliseconds(ms);
}

}  // namespace

int main(int argc, char** argv) {
    std::string pause = "150";
    return examples::run(
        argc, argv,
        {.name = "guide",
         .about = "The guide: answers questions on channel \"guide\" word by word.",
         .options = {{"--pause", "Milliseconds between two words", &pause}},
         .configure = [](foz::service::worker_options& options) { options.channels.push_back({.name = "guide"}); },
         .add_handlers = [&](foz::service::worker& worker) { guide::add_handlers(worker, parse_pause(pause)); }});
}
