#include "guide.hpp"

#include "base/json.hpp"
#include "common/fields.hpp"
#include "text.hpp"

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace guide {
namespace {

constexpr std::size_t about_bytes_max = 200;

// FNV-1a: the same in every process.
std::uint64_t seed_of(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash;
}

void say(foz::service::request& r, const std::vector<std::string>& words, std::chrono::milliseconds pause) {
    for (const std::string& word : words) {
        if (r.cancelled()) return;
        r.part("{\"word\":" + foz::json_string(word) + "}");
        std::this_thread::sleep_for(pause);
    }
    r.reply("{\"words\":" + std::to_string(words.size()) + "}");
}

}  // namespace

void add_handlers(foz::service::worker& worker, std::chrono::milliseconds pause) {
    worker.on("guide", "tell", [pause](foz::service::request& r) {
        const std::string about = examples::fields(r.message()).required("about", about_bytes_max);
        r.part_again();
        say(r, story(about, seed_of(r.message_id())), pause);
    });
    worker.on("guide", "improvise", [pause](foz::service::request& r) {
        const std::string about = examples::fields(r.message()).required("about", about_bytes_max);
        say(r, story(about, std::random_device()()), pause);
    });
}

}  // namespace guide
