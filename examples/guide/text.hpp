// The stories of the guide.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace guide {

// The same `about` and `seed` make the same story. Words with their punctuation, at least 20.
std::vector<std::string> story(std::string_view about, std::uint64_t seed);

}  // namespace guide
